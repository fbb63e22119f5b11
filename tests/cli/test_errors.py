"""What a user can do wrong, through the command line: one clear line each, exit code 2, and nothing lost."""

import errno
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import torch
import yaml
from transformers.utils import logging

import tiny
from commands import call
from knowpack import store
from knowpack.cli import main as cli
from knowpack.errors import StoreError

Fails = Callable[..., str]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """model/, facts.parquet, shots.csv, and probe/: a finished probe of them."""
    return tiny.save_all(tmp_path_factory.mktemp("errors"))


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Fails:
    """Run a command that must fail by exit code 2 with one line; give the line back."""
    logging.disable_progress_bar()  # as the command does before transformers is imported

    def call(*args: object) -> str:
        monkeypatch.setattr(sys, "argv", ["knowpack", *map(str, args)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            cli.main()
        said = [line for line in capsys.readouterr().err.splitlines() if not line.endswith(" ...")]  # but stages
        assert stop.value.code == 2, said
        assert len(said) == 1, said
        assert said[0].startswith("knowpack: ")
        assert len(said[0]) < 700
        return said[0]

    return call


def probing(given: Path, out: Path, **other: object) -> list[object]:
    options = {"model": given / "model", "facts": given / "facts.parquet", "shots": given / "shots.csv", "out": out}
    small = ["probe.n_prompts=2", "probe.n_shots=2", "probe.max_new_tokens=4", "probe.noise=false"]
    named = [part for name, value in (options | other).items() for part in (f"--{name}", value)]
    return ["probe", *named, "--quiet", *(part for setting in small for part in ("--set", setting))]


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_missing_column(fails: Fails, tmp_path: Path) -> None:
    table = written(tmp_path / "t.csv", "question,subject\nWho?,Ada\n")
    line = fails("facts", "import", table, "--out", tmp_path / "f.parquet")
    assert "no column for the answer" in line
    assert not (tmp_path / "f.parquet").exists()


def test_row_that_is_not_utf8_is_named(fails: Fails, tmp_path: Path) -> None:
    table = written(tmp_path / "t.csv", b"question,answer\nWho?,Ada\nWhere?,Stra\xdfe\n")
    line = fails("facts", "import", table, "--out", tmp_path / "f.parquet")
    assert "t.csv" in line
    assert "3" in line
    assert "UTF-8" in line


def test_fact_of_100000_characters(fails: Fails, tmp_path: Path, given: Path) -> None:
    row = json.dumps({"question": "Who " * 25_000, "answer": "Ada"})
    table = written(tmp_path / "t.jsonl", row + "\n")
    assert "100000" in fails("facts", "import", table, "--out", tmp_path / "f.parquet").replace("99999", "100000")
    assert "characters" in fails(*probing(given, tmp_path / "probe", facts=table))


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet"])
def test_empty_file(fails: Fails, tmp_path: Path, given: Path, name: str) -> None:
    table = written(tmp_path / name, "")
    assert "empty" in fails("facts", "import", table, "--out", tmp_path / "f.parquet")
    assert "empty" in fails(*probing(given, tmp_path / "probe", facts=table))


def test_header_without_rows(fails: Fails, tmp_path: Path) -> None:
    table = written(tmp_path / "t.csv", "question,answer\n")
    assert "no facts" in fails("facts", "import", table, "--out", tmp_path / "f.parquet")


def test_truncated_facts(fails: Fails, tmp_path: Path, given: Path) -> None:
    whole = (given / "facts.parquet").read_bytes()
    table = written(tmp_path / "facts.parquet", whole[: len(whole) // 2])
    assert "truncated" in fails(*probing(given, tmp_path / "probe", facts=table))
    assert "facts.parquet" in fails("facts", "lint", table)


def test_truncated_knowledge_map(fails: Fails, tmp_path: Path, given: Path) -> None:
    known = written(tmp_path / "knowledge.parquet", b"PAR1 and no more")
    line = fails(
        "mix", "--facts", given / "facts.parquet", "--knowledge", known, "--unknown", 1, "--out", tmp_path / "e.parquet"
    )
    assert "knowledge.parquet is no readable parquet file (truncated?)" in line


def test_knowledge_map_that_is_another_table(fails: Fails, tmp_path: Path, given: Path) -> None:
    facts = given / "facts.parquet"
    line = fails("mix", "--facts", facts, "--knowledge", facts, "--unknown", 1, "--out", tmp_path / "e.parquet")
    assert "lacks the column(s)" in line


@pytest.mark.parametrize("command", ["run", "study"])
def test_unknown_key_names_the_known_ones(fails: Fails, tmp_path: Path, command: str) -> None:
    section = {"probe": {"n_promts": 3}}
    content = section if command == "run" else {"base": section, "cells": [{"label": "a"}]}
    line = fails(command, written(tmp_path / "c.yaml", yaml.safe_dump(content)))
    assert "n_promts" in line
    assert "n_prompts" in line
    setting = "probe.nothing=1" if command == "run" else "base.probe.nothing=1"
    assert "probe.nothing" in fails(command, written(tmp_path / "d.yaml", "{}"), setting)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a: [1", b"- 1\n- 2\n", b""])
def test_config_that_is_no_yaml_of_settings(fails: Fails, tmp_path: Path, content: bytes) -> None:
    assert "c.yaml" in fails("run", written(tmp_path / "c.yaml", content))


def test_missing_config(fails: Fails, tmp_path: Path) -> None:
    assert "nowhere.yaml" in fails("run", tmp_path / "nowhere.yaml")


def test_model_without_a_tokenizer(fails: Fails, tmp_path: Path, given: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "bare").mkdir(exist_ok=True)
        shutil.copy(given / "model" / name, tmp_path / "bare" / name)
    assert "tokenizer" in fails(*probing(given, tmp_path / "probe", model=tmp_path / "bare"))


def test_model_folder_that_is_not_there(fails: Fails, tmp_path: Path, given: Path) -> None:
    assert "no folder" in fails(*probing(given, tmp_path / "probe", model=tmp_path / "nowhere"))


def test_adapter_for_another_base(fails: Fails, tmp_path: Path, given: Path) -> None:
    adapter = other_adapter(tmp_path / "adapter")
    line = fails(*probing(given, tmp_path / "probe", adapter=adapter))
    assert "does not fit" in line
    assert "another/base" in line
    comparing = ["diff", *probing(given, tmp_path / "diff", adapter=adapter)[1:], "--work", tmp_path / "work"]
    assert "does not fit" in fails(*comparing)


def other_adapter(folder: Path) -> Path:
    """A LoRA adapter of a Llama twice as wide as the tiny one."""
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    wide = LlamaConfig(
        vocab_size=50,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        bos_token_id=0,
        eos_token_id=1,
    )
    lora = LoraConfig(r=1, target_modules=["down_proj"], task_type="CAUSAL_LM")
    get_peft_model(LlamaForCausalLM(wide), lora).save_pretrained(folder)
    config = store.read_json(folder / "adapter_config.json")
    store.write_json(folder / "adapter_config.json", {**config, "base_model_name_or_path": "another/base"})
    return folder


def test_full_disk_loses_nothing_and_the_same_command_goes_on(
    fails: Fails, tmp_path: Path, given: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "probe"
    whole = pl.DataFrame.write_parquet
    n_written = 0

    def full_after_two(self: pl.DataFrame, *args: object, **options: object) -> None:
        nonlocal n_written
        n_written += 1
        if n_written > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        whole(self, *args, **options)

    monkeypatch.setattr(pl.DataFrame, "write_parquet", full_after_two)
    assert "the disk is full" in fails(*probing(given, out))
    monkeypatch.undo()
    left = {path.relative_to(out) for path in out.rglob("*") if path.is_file()}
    assert not [path for path in left if path.suffix == ".part"]
    kept = {
        path: (out / path).stat().st_mtime_ns
        for path in left
        if path.suffix == ".parquet" and ".parts" not in str(path)
    }
    assert kept
    monkeypatch.setattr(sys, "argv", ["knowpack", *map(str, probing(given, out))])
    try:
        cli.main()
    except SystemExit as stop:
        assert not stop.code  # noqa: PT017
    assert {path: (out / path).stat().st_mtime_ns for path in kept} == kept
    assert store.read_table(out / "knowledge.parquet").height == 24


def test_a_disk_too_full_to_measure_the_base_ends_the_study_in_one_line(
    fails: Fails, tmp_path: Path, given: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: pl.DataFrame, *args: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    base = {
        "model": {"name": str(given / "model")},
        "facts": {"path": str(given / "facts.parquet")},
        "probe": {"shots": str(given / "shots.csv"), "n_prompts": 2, "n_shots": 2},
        "mix": {"n_unknown": 2},
        "work": str(tmp_path / "work"),
    }
    config = written(tmp_path / "s.yaml", yaml.safe_dump({"base": base, "cells": [{"label": "a"}, {"label": "b"}]}))
    monkeypatch.setattr(pl.DataFrame, "write_parquet", full)
    assert "the disk is full" in fails("study", config, "--quiet")


@pytest.mark.parametrize("how", ["raises", "polars"])
def test_a_table_on_a_full_disk_is_one_line_and_leaves_the_old_one(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.parquet"
    store.write_table(path, pl.DataFrame({"a": [1]}))
    before = path.read_bytes()

    def full(self: pl.DataFrame, beside: Path) -> None:
        beside.write_bytes(b"PAR1 torn")
        if how == "raises":
            raise OSError(errno.ENOSPC, "No space left on device")
        raise pl.exceptions.ComputeError("parquet: underlying IO error: No space left on device (os error 28)")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", full)
    with pytest.raises(StoreError, match=r"^the disk is full: .*t\.parquet was not written; free some space"):
        store.write_table(path, pl.DataFrame({"a": [2]}))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["prob", "--model", "lab"], "No such command 'prob'. Did you mean 'probe'? (see knowpack --help)"),
        (["probe", "--modl", "lab", "--out", "o"], "No such option: --modl (Possible options: --model)"),
        (["probe"], "Missing option '--out' (see knowpack probe --help)"),
        (["probe", "--sample", "ten", "--out", "o"], "Invalid value for '--sample'"),
        (["pack", "f.csv", "--out", "o", "--effort"], "--effort"),
        (["facts", "lnt", "lab"], "see knowpack facts --help"),
        (["--verson"], "see knowpack --help"),
        (["study", "s.yaml", "--executor", "slurm"], "'slurm'"),
    ],
)
def test_a_typo_in_the_command_line_is_one_line_and_no_box(fails: Fails, words: list[str], told: str) -> None:
    assert told in fails(*words)


def test_a_group_alone_still_prints_its_help(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["knowpack", "facts"])
    with pytest.raises(SystemExit):
        cli.main()
    said = capsys.readouterr()
    assert "paraphrase" in said.out + said.err


def test_advice_names_the_command_that_has_the_option(fails: Fails, tmp_path: Path, given: Path) -> None:
    """probe and pack read tables too, and have no --answer."""
    table = written(tmp_path / "t.csv", "question,anwser\nWho?,Ada\n")
    assert "by knowpack facts import --answer" in fails(*probing(given, tmp_path / "probe", facts=table))


def test_a_benchmark_that_does_not_exist_is_said_before_the_model_is_loaded(fails: Fails, given: Path) -> None:
    line = fails("bench", "--model", given / "model", "--tasks", "lab_mcc", "--quiet")
    assert "lab_mcc" in line
    assert "lab_mc" in line.replace("lab_mcc", "")


def test_what_takes_seconds_is_announced_first(
    given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """torch's import, the model, the sample that the plan is timed by: each was silent."""
    asked = [word for word in probing(given, tmp_path / "probe") if word != "--quiet"]
    assert call(monkeypatch, *asked) == 0
    begun = [line for line in capsys.readouterr().err.splitlines() if line.endswith("...")]
    assert begun[0] == "starting ..."
    assert begun[1].startswith("loading ")
    assert begun[2] == "timing a sample, for the plan ..."


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_too_little_memory_is_no_bug_with_a_traceback(
    fails: Fails, tmp_path: Path, given: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Wherever it runs out: most places halve what is computed at once, or say what to lower."""

    def full(*_: object) -> None:
        raise error

    monkeypatch.setattr("knowpack.probe.probe.lines_by_ids", full)
    assert "out of memory; use a smaller model" in fails(*probing(given, tmp_path / "probe"))
