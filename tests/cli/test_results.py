"""How commands end: one JSON object and nothing else, the verdict and its exit code, what `show` says meanwhile."""

import json
import os
import sys
import time
from pathlib import Path

import pytest

import tiny
from knowpack.cli import main as cli
from knowpack.cli.noted import Noted
from knowpack.progress import SILENT
from knowpack.state import NOTE, now

SMALL = ["probe.n_prompts=2", "probe.n_shots=2", "probe.max_new_tokens=4"]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """model/, tuned/ (another model of its shape), facts.parquet, shots.csv."""
    folder = tmp_path_factory.mktemp("results")
    tokens = tiny.tokenizer()
    for name, seed in (("model", 0), ("tuned", 1)):
        tiny.llama(len(tokens), seed).save_pretrained(folder / name)
        tokens.save_pretrained(folder / name)
    tiny.save_facts(folder / "facts.parquet", 12)
    tiny.save_shots(folder / "shots.csv")
    return folder


def call(monkeypatch: pytest.MonkeyPatch, *args: object) -> int:
    """Run a command in this process; its exit code."""
    monkeypatch.setattr(sys, "argv", ["knowpack", *map(str, args)])
    try:
        cli.main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def options(given: Path) -> list[object]:
    small = [part for setting in SMALL for part in ("--set", setting)]
    return ["--model", given / "model", "--facts", given / "facts.parquet", "--shots", given / "shots.csv", *small]


def test_json_is_one_object_on_stdout_and_nothing_else(
    given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "probe", *options(given), "--out", tmp_path / "probe", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["n_facts"]) == ("probe", 12)
    assert sum(row["n"] for row in told["knowledge"] if row["grader"] == "default") == 12
    comparing = ["--tuned", given / "tuned", "--work", tmp_path / "work", "--out", tmp_path / "diff"]
    assert call(monkeypatch, "diff", *options(given), *comparing, "--json") == 0, "without limits it judges nothing"
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["verdict"]) == ("diff", "not measured"), "a random model knows nothing to lose"
    assert told["seconds"] > 0
    assert "--tuned" in told["again"]
    assert Path(told["report"]).is_file()
    assert call(monkeypatch, "show", tmp_path / "diff", "--json") == 0
    (line,) = json.loads(capsys.readouterr().out)["runs"]
    assert (line["label"], line["state"]) == ("diff", "done")


def test_a_diff_with_a_budget_ends_by_three_where_it_is_not_shown_to_be_met(
    given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    comparing = ["--tuned", given / "tuned", "--work", tmp_path / "work", "--out", tmp_path / "diff", "--quiet"]
    assert call(monkeypatch, "diff", *options(given), *comparing, "--budget", "known_lost=0.1") == 3
    *_, judged, page = capsys.readouterr().out.splitlines()
    assert judged.startswith("verdict: not measured")
    assert page == f"report: {tmp_path / 'diff' / 'report.html'}"
    assert call(monkeypatch, "diff", *options(given), *comparing, "--budget", "known=0.1") == 2


def test_what_a_command_is_doing_is_noted_while_it_works_and_not_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("knowpack.cli.noted.EVERY_SECONDS", 0.0)
    with Noted(SILENT, tmp_path).stage("training steps", 10) as advance:
        advance(4)
        found = now(tmp_path)
        assert found is not None
        assert (found.label, found.done, found.total) == ("training steps", 4, 10)
        old = time.time() - 3600  # a killed command leaves its note
        os.utime(tmp_path / NOTE, (old, old))
        assert now(tmp_path) is None
    assert not (tmp_path / NOTE).exists()
