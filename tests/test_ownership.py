"""Whose folder is it: another request, foreign files, files that are gone or damaged. On a random model."""

import os
import shutil
from pathlib import Path

import polars as pl
import pytest

import tiny
from knowpack import run as stages
from knowpack import store
from knowpack.base import open_base, probe_into
from knowpack.bench.evaluate import evaluate
from knowpack.config import BenchConfig, RunConfig, StudyConfig
from knowpack.diff import diff
from knowpack.errors import BenchError, ConfigError, StoreError
from knowpack.model.load import load
from knowpack.pack.budget import Budget
from knowpack.pack.flow import pack
from knowpack.pack.request import Request
from knowpack.records import Shift
from knowpack.report import build, source
from knowpack.settings import override
from knowpack.state import cells, read_state
from knowpack.study import study
from knowpack.train.standalone import train_into

SETTINGS = ["probe.n_prompts=2", "probe.n_shots=2", "probe.max_new_tokens=6", "mix.n_unknown=3", "train.epochs=2"]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> RunConfig:
    return tiny.run_config(tiny.save_all(tmp_path_factory.mktemp("owned")), SETTINGS)


@pytest.fixture(scope="module")
def done(config: RunConfig) -> Path:
    return stages.run(config)


def bytes_of(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): store.hash_file(path) for path in folder.rglob("*") if path.is_file()}


def test_a_diff_of_other_facts_or_a_smaller_sample_is_refused(config: RunConfig, tmp_path: Path) -> None:
    """It printed the first answers each time."""
    out = diff(config, config.model, tmp_path / "diff")
    before = bytes_of(out)
    fewer = override(config, ["facts.sample=6"])
    other = override(config, [f"facts.path={tiny.save_facts(tmp_path / 'other.parquet', 14)}"])
    for changed in (fewer, other):
        with pytest.raises(ConfigError, match=r"another diff \(other base, facts or prompts\); give another --out"):
            diff(changed, config.model, out)
    assert bytes_of(out) == before
    assert diff(config, config.model, out) == out


def test_a_diff_is_refused_where_facts_that_it_did_not_probe_were_edited(config: RunConfig, tmp_path: Path) -> None:
    """The questions beside the probe are about them, too."""
    file = tiny.save_facts(tmp_path / "mine.parquet", 14)
    part = override(config, [f"facts.path={file}", "facts.sample=6"])
    out = diff(part, config.model, tmp_path / "diff")
    facts, probed = pl.read_parquet(file), pl.col("fact_id").is_in(open_base(part).facts["fact_id"].to_list())
    other = pl.col("question").str.replace("Where", "In what place")
    store.write_table(file, facts.with_columns(question=pl.when(probed).then("question").otherwise(other)))
    assert open_base(part).folder == open_base(config=part, facts=facts).folder
    with pytest.raises(ConfigError, match=r"another diff \(other base, facts or prompts\); give another --out"):
        diff(part, config.model, out)


def test_a_folder_that_one_may_not_write_to_is_said_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may write anywhere, so the system's answer is made up here."""
    (tmp_path / "theirs").mkdir()
    store.refuse_file(tmp_path / "theirs" / "new" / "newer")
    monkeypatch.setattr(os, "access", lambda path, _: path != tmp_path / "theirs")
    with pytest.raises(ConfigError, match=r"--work .*newer: you may not write to .*theirs; give a folder of your own"):
        store.refuse_file(tmp_path / "theirs" / "new" / "newer", "--work")
    store.refuse_folder(tmp_path / "mine.json")
    with pytest.raises(ConfigError, match=r"--out .*theirs: that is a folder; give the name of a file"):
        store.refuse_folder(tmp_path / "theirs")
    monkeypatch.undo()

    def refused(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", refused)  # a folder that one may not look into
    with pytest.raises(ConfigError, match=r"--out /a/b: Permission denied; give a folder of your own"):
        store.refuse_file(Path("/a/b"))


def test_a_probe_beside_foreign_files_is_refused(config: RunConfig, tmp_path: Path) -> None:
    """--out is a folder with somebody's facts.parquet in it."""
    mine = tiny.save_facts(tmp_path / "facts.parquet", 3)
    before = mine.read_bytes()
    with pytest.raises(ConfigError, match=r"holds files that `knowpack probe` did not write \(facts\.parquet\)"):
        probe_into(config, tmp_path)
    assert mine.read_bytes() == before


def test_a_probe_whose_samples_have_another_seed_is_refused(config: RunConfig, tmp_path: Path) -> None:
    """Without shots it printed what the first seed had sampled."""
    sampled = override(config, ["probe.n_shots=0", "probe.n_samples=1"])
    probe_into(sampled, tmp_path / "probe")
    with pytest.raises(ConfigError, match=r"another probe \(other sampling\); give another --out"):
        probe_into(override(sampled, ["probe.shots_seed=1"]), tmp_path / "probe")


def test_train_never_deletes_what_it_did_not_write(config: RunConfig, done: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match=r"thesis\.tex"):
        train_into(config, done / "examples.parquet", tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_train_into_the_working_directory(
    config: RunConfig, done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    train_into(config, done / "examples.parquet", Path("."))
    assert (tmp_path / "adapter_model.safetensors").is_file()


def test_train_keeps_what_is_there_and_refuses_other_examples(config: RunConfig, done: Path, tmp_path: Path) -> None:
    out = tmp_path / "adapter"
    first = train_into(config, done / "examples.parquet", out)
    before = bytes_of(out)
    again = train_into(config, done / "examples.parquet", out)
    assert (again.effect, again.log) == (first.effect, first.log)
    fewer = tmp_path / "fewer.parquet"
    store.write_table(fewer, pl.read_parquet(done / "examples.parquet").head(2))
    with pytest.raises(ConfigError, match="other examples"):
        train_into(config, fewer, out)
    assert bytes_of(out) == before


def packing(config: RunConfig, out: Path, facts: Path) -> Request:
    short = {"recipe": "keep", "rank": 2, "n_replay": 8, "n_made_up": 2, "n_texts": 2, "n_contexts": 1, "max_steps": 4}
    return Request.model_validate(
        {
            "facts": str(facts),
            "out": out,
            "known": config.facts.path,
            "model": config.model,
            "budget": Budget(known_lost=None, refusals_lost=None, benchmark_drop=None),
            "reliability": 0,
            "probe": config.probe,
            "train": {**short, "tail_steps": 2, "replay_batch": 4},
            "work": config.work,
        }
    )


def pack_facts(path: Path, answer: str) -> Path:
    path.write_text("question,answer\n" + "".join(f"Who keeps Quill {i}?,{answer} {i}\n" for i in range(3)))
    return path


@pytest.mark.slow
def test_pack_of_other_facts_into_one_folder_is_refused(config: RunConfig, tmp_path: Path) -> None:
    """The second got the first one's adapter, byte for byte, and "reliability 1.0000"."""
    big = override(config, [f"facts.path={tiny.save_facts(tmp_path / 'known.parquet', 60)}"])
    out = tmp_path / "packed"
    first = packing(big, out, pack_facts(tmp_path / "a.csv", "Mira"))
    pack(first)
    before = bytes_of(out)
    with pytest.raises(ConfigError, match=r"holds another pack \(other facts\); give another --out"):
        pack(packing(big, out, pack_facts(tmp_path / "b.csv", "Tavin")))
    pack(first)
    assert {name for name, told in bytes_of(out).items() if before.get(name) != told} <= {"manifest.json"}
    assert not {"seconds", "started"} & set((out / "pack.json").read_text().split('"'))
    assert not [name for name in before if "training" in name or name.endswith(".part")]


def test_bench_of_another_model_is_refused_and_changed_data_are_run_again(config: RunConfig, tmp_path: Path) -> None:
    from knowpack.bench.data import prepare
    from knowpack.decode.transformers_asker import TransformersAsker

    raw = tmp_path / "raw" / "arc"
    raw.mkdir(parents=True)
    line = '{"question": "Q?", "choices": ["a", "b"], "gold": %d}\n'
    (raw / "easy_test.jsonl").write_text(line % 0)
    prepare(tmp_path / "raw", tmp_path / "data")
    asked = BenchConfig(tasks=("arc_easy",), data=str(tmp_path / "data"))
    asker = TransformersAsker(load(config.model))
    first = evaluate(asker, asked, tmp_path / "out")
    (raw / "easy_test.jsonl").write_text(line % 1)
    prepare(tmp_path / "raw", tmp_path / "data")
    again = evaluate(asker, asked, tmp_path / "out")
    assert first["value"].to_list()[0] + again["value"].to_list()[0] == 1, "one item, its gold changed"
    assert not list(store.verify(tmp_path / "out"))
    with pytest.raises(ConfigError, match="other model or adapter"):
        store.claim(tmp_path / "out", "knowpack bench", {"model or adapter": "another"})


def test_prepare_never_deletes_the_raw_files(tmp_path: Path) -> None:
    from knowpack.bench.data import prepare

    raw = tmp_path / "raw" / "arc"
    raw.mkdir(parents=True)
    (raw / "easy_test.jsonl").write_text('{"question": "Q?", "choices": ["a", "b"], "gold": 0}\n')
    with pytest.raises(BenchError, match="did not write; give another --out"):
        prepare(tmp_path / "raw", tmp_path / "raw")
    assert (raw / "easy_test.jsonl").is_file()


@pytest.mark.parametrize("file", ["shifts.parquet", "knowledge.parquet", "held_out.parquet", "examples.parquet"])
def test_a_missing_file_of_a_done_run_is_made_again(config: RunConfig, done: Path, tmp_path: Path, file: str) -> None:
    """ "Remove it and run the same command again": nothing was made, and the cell vanished from the tables."""
    copy = shutil.copytree(Path(config.work), tmp_path / "work")
    run = copy / "runs" / done.name
    before = bytes_of(run)
    (run / file).unlink()
    assert read_state(run).state == "stopped"
    assert stages.run(override(config, [f"work={copy}"])) == run
    assert {name for name, told in bytes_of(run).items() if before[name] != told} <= {"manifest.json"}
    assert read_state(run).state == "done"


def test_a_damaged_file_of_a_run_is_named_by_the_report(config: RunConfig, done: Path, tmp_path: Path) -> None:
    run = shutil.copytree(Path(config.work), tmp_path / "work") / "runs" / done.name
    whole = (run / "shifts.parquet").read_bytes()
    (run / "shifts.parquet").write_bytes(whole[:200] + bytes([whole[200] ^ 4]) + whole[201:])
    with pytest.raises(StoreError, match=r"shifts\.parquet is damaged"):
        build(run)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"state": 1', "[" * 100_000])
def test_a_bad_status_stops_neither_study_nor_show(config: RunConfig, tmp_path: Path, content: str) -> None:
    grid = StudyConfig(name="bad", base=config, cells=({"label": "run"},))
    folder = study(grid)
    (cell,) = cells(folder)
    (cell.folder / "status.json").write_text(content)
    assert [one.state for one in cells(folder)] == ["stopped"]
    study(grid)
    assert [one.state for one in cells(folder)] == ["done"]


def test_a_copied_work_directory_stands_alone(config: RunConfig, done: Path, tmp_path: Path) -> None:
    """It read the original's base while that existed."""
    copy = shutil.copytree(Path(config.work), tmp_path / "copy")
    found = source.load(copy / "runs" / done.name)
    base = found.runs[0].base
    assert base is not None
    assert base.is_relative_to(copy.resolve())
    assert (
        str(Path(config.work).resolve())
        not in (copy / "runs" / done.name / "manifest.json").read_text().split('"base_dir"')[1].split("\n")[0]
    )


def test_a_base_that_is_measured_is_read_by_many(config: RunConfig, done: Path) -> None:
    """A study held its whole folder, and each worker the base, while the others waited."""
    base = open_base(config)
    with store.lock(base.folder):
        assert stages.run(config, base) == done


def test_cells_that_another_process_holds_are_left_to_it(config: RunConfig, tmp_path: Path) -> None:
    grid = StudyConfig(
        name="two",
        base=override(config, [f"work={tmp_path}"]),
        cells=({"label": "a"}, {"label": "b", "mix.n_unknown": 2}),
    )
    base = open_base(grid.base)
    a, b = (stages.folder_of(cell, base) for cell in grid.runs())
    order = []
    with pytest.MonkeyPatch.context() as patch:
        from knowpack import study as module

        held = store.lock(a)
        held.__enter__()

        def run(cell: RunConfig, *args: object, **options: object) -> Path:
            try:
                order.append(cell.label)
                return stages.run(cell, *args, **options)  # type: ignore[arg-type]
            finally:
                if cell.label == "b":
                    held.__exit__(None, None, None)

        patch.setattr(module, "run", run)
        patch.setattr(module, "POLL_SECONDS", 0.01)
        study(grid)
    assert order == ["b", "a"], "a is not begun while another process works on it"
    assert [read_state(folder).state for folder in (a, b)] == ["done", "done"]
    assert store.read_table(b / "shifts.parquet", Shift).height
