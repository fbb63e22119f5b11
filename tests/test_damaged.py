"""Files damaged after they were written, in every kind of stage: each is named with what to do, or made again to the
same bytes by the same command; none is read as other data. On a random model."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import tiny
from knowpack import run as stages
from knowpack import store
from knowpack.base import probe_into
from knowpack.config import RunConfig, StudyConfig
from knowpack.diff import diff
from knowpack.errors import StoreError
from knowpack.probe import probe as asking
from knowpack.report import build
from knowpack.settings import override
from knowpack.state import cells, read_state
from knowpack.store import process
from knowpack.study import study

SETTINGS = ["probe.n_prompts=2", "probe.n_shots=2", "probe.max_new_tokens=6", "mix.n_unknown=3", "train.epochs=2"]
BENCH = ["bench.tasks=[lab_mc]", "bench.limit=3"]
LM_EVALS_OWN = "/lm_eval/"  # for people, with times in it; nothing here reads it
TIMED = ("manifest.json", "README.md", "status.json")  # times; the card is for people
Damage = Callable[[Path], None]


def flipped(path: Path, share: float = 0.5) -> None:
    """One bit of one byte."""
    data = bytearray(path.read_bytes())
    data[int(len(data) * share)] ^= 4
    path.write_bytes(bytes(data))


def cut(path: Path) -> None:
    """The first half of it."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> RunConfig:
    return tiny.run_config(tiny.save_all(tmp_path_factory.mktemp("damaged")), [*SETTINGS, *BENCH])


@pytest.fixture(scope="module")
def done(config: RunConfig) -> Path:
    return stages.run(config)


def bytes_of(folder: Path) -> dict[str, bytes]:
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    kept = {name: path for name, path in found.items() if path.name not in TIMED and LM_EVALS_OWN not in name}
    return {name: path.read_bytes() for name, path in kept.items()}


def recorded(work: Path) -> list[str]:
    """The finished files of a work directory, by the manifests; of those with one name in runs/ or base/, one."""
    found = [
        (path.parent / name).relative_to(work).as_posix()
        for path in sorted(work.rglob("manifest.json"))
        for name in store.recorded_files(path.parent)
    ]
    kinds = {(Path(name).parts[0], Path(name).name): name for name in found if LM_EVALS_OWN not in name}
    return sorted(kinds.values())


@pytest.mark.slow
def test_each_finished_file_of_a_run_and_its_base_is_named_and_made_again(config: RunConfig, tmp_path: Path) -> None:
    copy = tmp_path / "work"
    again = override(config, [f"work={copy}"])
    folder = stages.run(again)
    whole = bytes_of(copy)
    names = recorded(copy)
    kinds = {Path(name).name for name in names}
    assert kinds >= {"adapter_model.safetensors", "figures.json", "responses.parquet", "samples.parquet", "probe.json"}
    for number, name in enumerate(names):
        (cut if number % 2 else flipped)(copy / name)
        assert [one.path for one in store.verify(copy)] == [copy / name]
        message = ""
        try:
            stages.run(again)
            build(folder)
        except StoreError as error:
            message = str(error)
        assert not message or (str(copy / name) in message and "remove it and run the same command again" in message), (
            message
        )
        assert "\n" not in message
        (copy / name).unlink()
        assert stages.run(again) == folder
        now = bytes_of(copy)
        assert [one for one, content in whole.items() if now.get(one) != content] == [], f"made of a damaged {name}"


def test_a_missing_file_of_a_runs_benchmarks_is_made_again(config: RunConfig, done: Path) -> None:
    """Their manifest is one of their own, and nobody looked into it: the run was done, its report compared nothing."""
    whole = bytes_of(done)
    (done / "bench" / "lab_mc" / "samples.parquet").unlink()
    assert read_state(done).state == "stopped"
    assert stages.run(config) == done
    assert bytes_of(done) == whole
    assert read_state(done).state == "done"


def test_a_damaged_adapter_is_named_wherever_it_is_put_on_a_model(
    config: RunConfig, done: Path, tmp_path: Path
) -> None:
    """Its file is a legal one, and its answers those of another adapter."""
    adapter = shutil.copytree(Path(config.work), tmp_path / "work") / "runs" / done.name / "adapter"
    flipped(adapter / "adapter_model.safetensors", 0.9)
    with pytest.raises(StoreError, match=r"adapter_model\.safetensors is damaged"):
        diff(config, config.model.model_copy(update={"adapter": str(adapter)}), tmp_path / "diff")
    assert not (tmp_path / "diff").exists()


@pytest.mark.parametrize("damage", [flipped, cut])
def test_a_damaged_part_of_a_table_does_not_count_and_is_written_again(tmp_path: Path, damage: Damage) -> None:
    frames = [pl.DataFrame({"a": list(range(n, n + 100))}) for n in (0, 100, 200)]
    for name in ("whole", "damaged"):
        chunks = store.Chunks(tmp_path / name)
        for frame in frames:
            chunks.append(frame)
    store.Chunks(tmp_path / "whole").finish()
    damage(sorted(chunks.folder.glob("*.parquet"))[1])
    again = store.Chunks(tmp_path / "damaged")
    assert again.done() == 1
    again.append(frames[1])
    assert store.Chunks(tmp_path / "damaged").done() == 3, "what lay behind it is whole"
    again.append(frames[2])
    again.finish()
    assert (tmp_path / "damaged").read_bytes() == (tmp_path / "whole").read_bytes()


def other_size(folder: Path) -> None:
    path = folder / "size.json"
    path.write_text(path.read_text().replace('"items": 5', '"items": 4'))


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: flipped(next(folder.glob("000000.*.parquet"))),
        lambda folder: cut(next(folder.glob("000001.*.parquet"))),
        lambda folder: cut(folder / "size.json"),
        lambda folder: (folder / "size.json").unlink(),
        other_size,
    ],
    ids=["a part flipped", "a part cut", "size cut", "size gone", "size changed"],
)
def test_what_a_killed_probe_left_is_never_read_as_other_answers(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Damage
) -> None:
    """Parts of another size were put together with two facts lacking, and a flipped byte was another answer."""
    monkeypatch.setattr(asking, "CHUNK_FACTS", 5)
    plain = override(config, ["bench.tasks=[]", "probe.noise=false"])
    probe_into(plain, tmp_path / "whole")
    append = store.Chunks.append

    def killed(self: store.Chunks, frame: pl.DataFrame) -> None:
        if self.done() == 2:
            raise KeyboardInterrupt
        append(self, frame)

    with monkeypatch.context() as patched:
        patched.setattr(store.Chunks, "append", killed)
        with pytest.raises(KeyboardInterrupt):
            probe_into(plain, tmp_path / "killed")
    damage(tmp_path / "killed" / "responses.parquet.parts")
    probe_into(plain, tmp_path / "killed")
    assert bytes_of(tmp_path / "killed") == bytes_of(tmp_path / "whole")


def test_what_a_killed_report_was_writing_is_gone_after_the_next(config: RunConfig, done: Path, tmp_path: Path) -> None:
    """It lay in tables/ for ever."""
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    run = shutil.copytree(Path(config.work), tmp_path / "work") / "runs" / done.name
    torn = run / "tables" / f".cells.csv.{process.machine()}-{gone.stdout.strip()}.part"
    torn.parent.mkdir(exist_ok=True)
    torn.touch()
    build(run)
    assert (run / "tables").is_dir()
    assert not torn.exists()


def test_a_damaged_list_of_a_studys_runs_is_named_and_written_anew(config: RunConfig, tmp_path: Path) -> None:
    base = override(config, [f"work={tmp_path}", "bench.tasks=[]", "probe.noise=false"])
    grid = StudyConfig(name="two", base=base, cells=({"label": "a"},))
    folder = study(grid)
    (folder / "runs.txt").write_bytes(b"a-\xff\n")
    for read in (lambda: list(cells(folder)), lambda: build(folder)):
        with pytest.raises(StoreError, match=r"runs\.txt is damaged; run the same study again"):
            read()
    study(grid)
    assert [cell.state for cell in cells(folder)] == ["done"]
