"""The command line: help, examples that can be run, the stages by hand, exit codes, two processes at once."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import click
import polars as pl
import pytest
import typer
import yaml
from typer.testing import CliRunner

import tiny
from commands import call, options
from knowpack import store
from knowpack.cli import main as cli
from knowpack.config import RunConfig, StudyConfig
from knowpack.pack import budget
from knowpack.pack.request import Request
from knowpack.records import Example, Knowledge, Shift
from knowpack.settings import load, override

ROOT = Path(__file__).parents[2]
SMALL = ["probe.n_prompts=2", "probe.n_shots=2", "probe.max_new_tokens=4", "probe.noise=false"]


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command with its whole name."""
    todo: list[tuple[str, click.Command]] = [("knowpack", typer.main.get_command(cli.app))]
    while todo:
        name, command = todo.pop()
        if isinstance(command, click.Group) or hasattr(command, "commands"):
            todo += [(f"{name} {part}", one) for part, one in command.commands.items()]
        if not hasattr(command, "commands") or getattr(command, "invoke_without_command", False):
            yield name, command


COMMANDS = dict(commands())


def check_command_line(line: str) -> None:
    """The command exists, has the options named, and reads files that the repository has."""
    words = shlex.split(line, comments=True)
    name = next((" ".join(words[:n]) for n in (3, 2) if " ".join(words[:n]) in COMMANDS), None)
    assert name, line
    known = {option for parameter in COMMANDS[name].params for option in parameter.opts}
    given = {word.split("=")[0] for word in words if word.startswith("--")}
    assert given <= known | {"--help"}, f"{line}: {given - known}"
    for word in words:
        assert not word.startswith("examples/") or (ROOT / word).is_file(), word
    check_values(name, words)


def check_values(name: str, words: list[str]) -> None:
    """Settings by --set or behind a YAML file, and limits by --budget: names that exist, values that they take."""
    after = {option: [b for a, b in pairwise(words) if a == option] for option in ("--set", "--budget")}
    of_pack = name in ("knowpack pack", "knowpack capacity")
    override(Request(out=Path("out")) if of_pack else RunConfig(), after["--set"])
    budget.parse(after["--budget"], benchmarks=True)
    settings = [word for word in words if "=" in word and not word.startswith("-")]
    given = next((ROOT / word for word in words if word.startswith("examples/") and word.endswith(".yaml")), None)
    if name in ("knowpack run", "knowpack study") and given is not None:
        load(given, RunConfig if name.endswith("run") else StudyConfig, settings)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_whole_at_eighty_columns(name: str) -> None:
    """No option and no default is cut where one would copy it."""
    shown = CliRunner().invoke(cli.app, [*name.split()[1:], "--help"], env={"COLUMNS": "80"})
    assert shown.exit_code == 0
    assert max(map(len, shown.output.splitlines())) <= 80
    assert [line for line in shown.output.splitlines() if "…" in line] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_an_example_that_can_be_run(name: str) -> None:
    text = " ".join((COMMANDS[name].help or "").split())
    found = re.search(r"Example: (knowpack .*)", text)
    assert found, f"{name} --help shows no example"
    assert found[1].startswith(name)
    check_command_line(found[1])


def test_commands_of_the_readme_exist() -> None:
    text = (ROOT / "README.md").read_text().replace("\\\n", " ")  # a command over two lines
    lines = [line.strip() for line in text.splitlines() if line.startswith("    knowpack ")]
    assert len(lines) >= 5
    for line in lines:
        check_command_line(line)


PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "CONTRIBUTING.md"])


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "LOG.md"], ids=lambda page: page.stem)
def test_commands_of_the_pages_exist(page: Path) -> None:
    """Every command that a page shows, with its options; what is printed below one is not looked at."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in re.findall(r"^ +(?:\$ )?(knowpack [a-z-].*)$", text, flags=re.M):
        check_command_line(re.split(r"  +[^-\s]|\s[|&>]|\s\|\|", line)[0])


def test_shipped_configs_load() -> None:
    for path in (ROOT / "examples").glob("*.yaml"):
        load(path, RunConfig if path.stem == "run" else StudyConfig)
    paper = load(ROOT / "examples" / "paper.yaml", StudyConfig)
    assert paper.seeds == (42, 1337, 10824)  # Pletenev et al. 2025, section 4


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """model/, tuned/ (another model of its shape), facts.parquet, shots.csv."""
    return tiny.save_tuned(tiny.save_all(tmp_path_factory.mktemp("cli")))


def test_every_stage_by_hand(
    given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    probing = [
        *options(given, [*SMALL, "probe.n_samples=3", "probe.temperature=2"]),
        "--out",
        tmp_path / "probe",
        "--quiet",
    ]
    assert call(monkeypatch, "probe", *probing) == 0
    assert capsys.readouterr().err.count("\n") <= 1, "quiet"  # transformers' own bar of loading, at most
    asked = pl.read_parquet(tmp_path / "probe" / "responses.parquet")
    assert asked["sample"].unique().sort().to_list() == [0, 1, 2, 3]
    assert asked.height == 12 * 2 * 4
    known = store.read_table(tmp_path / "probe" / "knowledge.parquet", Knowledge)
    assert known["p_sampled"].null_count() == 0

    mixing = ["mix", "--facts", given / "facts.parquet", "--knowledge", tmp_path / "probe", "--unknown", 3]
    assert call(monkeypatch, *mixing, "--paraphrase", 1, "--out", tmp_path / "examples.parquet") == 0
    examples = store.read_table(tmp_path / "examples.parquet", Example)
    assert examples["kind"].value_counts(sort=True)["count"].to_list() == [3, 3]
    assert call(monkeypatch, *mixing, "--out", tmp_path / "examples.jsonl") == 0
    lines = [json.loads(line) for line in (tmp_path / "examples.jsonl").read_text().splitlines()]
    assert [[turn["role"] for turn in line["messages"]] for line in lines] == [["system", "user", "assistant"]] * 3

    training = ["--examples", tmp_path / "examples.parquet", "--out", tmp_path / "adapter", "--set", "train.epochs=2"]
    assert call(monkeypatch, "train", "--model", given / "model", *training, "--quiet") == 0
    assert {path.name for path in (tmp_path / "adapter").iterdir()} >= {
        "adapter_config.json",
        "adapter_model.safetensors",
        "README.md",
        "train_log.jsonl",
    }

    comparing = [*options(given, SMALL), "--work", tmp_path / "work", "--quiet"]
    examples_of = ["--trained", tmp_path / "examples.parquet", "--adapter", tmp_path / "adapter"]
    assert call(monkeypatch, "diff", *comparing, *examples_of, "--out", tmp_path / "diff") == 0
    assert store.read_table(tmp_path / "diff" / "shifts.parquet", Shift)["trained"].sum() == 3 * 2  # two graders
    assert call(monkeypatch, "diff", *comparing, "--tuned", given / "tuned", "--out", tmp_path / "tuned") == 0
    moved = pl.read_parquet(tmp_path / "tuned" / "responses.parquet")["text"]
    assert not moved.equals(pl.read_parquet(tmp_path / "diff" / "responses.parquet")["text"])
    assert (tmp_path / "tuned" / "report.html").is_file()
    assert "report.html" in capsys.readouterr().out.splitlines()[-1]


def study_file(given: Path, folder: Path, cells: list[dict[str, object]]) -> Path:
    base = {
        "model": {"name": str(given / "model")},
        "facts": {"path": str(given / "facts.parquet")},
        "probe": {"shots": str(given / "shots.csv"), "n_prompts": 2, "n_shots": 2, "max_new_tokens": 4},
        "train": {"epochs": 2},
        "work": str(folder / "work"),
    }
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump({"base": base, "cells": cells}))
    return path


def test_a_failed_cell_is_named_and_the_exit_code_is_one(
    given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = [
        {"label": "impossible", "mix.n_unknown": 2, "mix.n_highly_known": 1},
        {"label": "fine", "mix.n_unknown": 2},
    ]
    path = study_file(given, tmp_path, cells)  # type: ignore[arg-type]
    assert call(monkeypatch, "study", path, "--quiet") == 1
    said = capsys.readouterr()
    assert "failed: impossible-" in said.err
    assert "mix.n_highly_known=1" in said.err
    assert "report.html" in said.out, "what is done is reported"
    assert call(monkeypatch, "show", tmp_path / "work" / "studies" / "study") == 0
    shown = capsys.readouterr().out
    rows = [line.split() for line in shown.splitlines() if line.startswith("│")]
    assert [(row[1], row[3]) for row in rows] == [("impossible", "failed"), ("fine", "done")], "labels, not hashes"


def test_shards_by_the_command_and_the_last_writes_the_report(
    given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = study_file(given, tmp_path, [{"label": "a", "mix.n_unknown": 2}, {"label": "b", "mix.n_unknown": 3}])
    assert call(monkeypatch, "study", path, "--quiet", "--shard", "2/2", "--dry-run") == 0
    planned = capsys.readouterr().out
    assert "b: training" in planned
    assert "a: training" not in planned, "it planned the cells of all shards"
    assert call(monkeypatch, "study", path, "--quiet", "--shard", "3/3", "--dry-run") == 0
    assert "of 2 cells none is in shard 3/3" in capsys.readouterr().out
    assert call(monkeypatch, "study", path, "--quiet", "--shard", "2/2") == 0
    assert "shard 2/2 is through; 1 of 2 cells are for the others" in capsys.readouterr().out
    assert call(monkeypatch, "study", path, "--quiet", "--shard", "1/2") == 0
    assert "report.html" in capsys.readouterr().out
    assert call(monkeypatch, "show", tmp_path / "work" / "studies" / "study", "--watch") == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[-1] == "2 done"
    assert sorted(line.partition(": ")[2] for line in shown[:-1]) == ["done", "done"]
    assert call(monkeypatch, "study", path, "--shard", "1/2", "--executor", "ray") == 2
    assert "--shard is one worker of many that you start yourself" in capsys.readouterr().err


@pytest.mark.slow
def test_two_processes_on_one_work_directory_print_the_same_tables(given: Path, tmp_path: Path) -> None:
    path = study_file(given, tmp_path, [{"label": "a", "mix.n_unknown": 2}, {"label": "b", "mix.n_unknown": 3}])
    command = [sys.executable, "-c", "from knowpack.cli.main import main; main()", "study", str(path)]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=1800) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert said[0][0] == said[1][0], "the same tables"
    runs = [one.name for one in (tmp_path / "work" / "runs").iterdir()]
    assert len(runs) == 2
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.slow
def test_a_study_that_another_process_holds_is_waited_for_and_the_wait_is_said(given: Path, tmp_path: Path) -> None:
    path = study_file(given, tmp_path, [{"label": "a", "mix.n_unknown": 2}])
    command = [sys.executable, "-c", "from knowpack.cli.main import main; main()", "study", str(path), "name=held"]
    with store.lock(tmp_path / "work" / "studies" / "held"):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
        assert process.stderr is not None
        assert any("waiting for another process" in line for line in process.stderr)
    out, err = process.communicate(timeout=1800)
    assert process.returncode == 0, err
    assert "report: " in out
