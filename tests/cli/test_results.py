"""How commands end: one JSON object and nothing else, the verdict and its exit code, what `show` says meanwhile."""

import io
import json
import logging
import os
import re
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

import tiny
from commands import call, options
from knowpack.cli.console import Watched
from knowpack.cli.progress_note import NotedProgress
from knowpack.config import RunConfig
from knowpack.errors import ConfigError
from knowpack.progress import SILENT
from knowpack.settings import override
from knowpack.state import NOTE, now

SMALL = ["probe.n_prompts=2", "probe.n_shots=2", "probe.max_new_tokens=4"]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """model/, tuned/ (another model of its shape), facts.parquet, shots.csv."""
    return tiny.save_tuned(tiny.save_all(tmp_path_factory.mktemp("results")))


def test_json_is_one_object_on_stdout_and_nothing_else(
    given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "probe", *options(given, SMALL), "--out", tmp_path / "probe", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["n_facts"]) == ("probe", 12)
    assert sum(row["n"] for row in told["knowledge"] if row["grader"] == "default") == 12
    comparing = ["--tuned", given / "tuned", "--work", tmp_path / "work", "--out", tmp_path / "diff"]
    assert call(monkeypatch, "diff", *options(given, SMALL), *comparing, "--json") == 0, (
        "without limits it judges nothing"
    )
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
    assert call(monkeypatch, "diff", *options(given, SMALL), *comparing, "--budget", "known_lost=0.1") == 3
    *_, judged, page = capsys.readouterr().out.splitlines()
    assert judged.startswith("verdict: not measured")
    assert page == f"report: {tmp_path / 'diff' / 'report.html'}"
    assert call(monkeypatch, "diff", *options(given, SMALL), *comparing, "--budget", "known=0.1") == 2


def test_what_a_command_is_doing_is_noted_while_it_works_and_not_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("knowpack.cli.progress_note.EVERY_SECONDS", 0.0)
    with NotedProgress(SILENT, tmp_path).stage("training steps", 10) as advance:
        advance(4)
        found = now(tmp_path)
        assert found is not None
        assert (found.label, found.done, found.total) == ("training steps", 4, 10)
        old = time.time() - 3600  # a killed command leaves its note
        os.utime(tmp_path / NOTE, (old, old))
        assert now(tmp_path) is None
    assert not (tmp_path / NOTE).exists()


def test_a_librarys_log_goes_above_the_bars_and_breaks_none(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    handler = logging.StreamHandler()  # holds the stream of now, as those of transformers do
    logger = logging.getLogger("of_a_library")
    logger.addHandler(handler)
    try:
        watched = Watched(Console(file=screen, force_terminal=True, width=80))
        with watched.stage("probe", 10):
            assert handler.stream is sys.stderr is not screen, "what rich prints above its bars"
            logger.warning("something is deprecated")
        assert handler.stream is screen
    finally:
        logger.removeHandler(handler)
    assert "something is deprecated" in screen.getvalue()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("probe.n_prompts=many", "probe.n_prompts: expected a whole number, got 'many'"),
        ("probe.n_prompts=0", "probe.n_prompts: expected at least 1, got 0"),
        ("probe.noise=perhaps", "probe.noise: expected true or false, got 'perhaps'"),
        ("model.dtype=float8", "model.dtype: expected 'auto', 'float32', 'bfloat16' or 'float16', got 'float8'"),
        ("train.recipe=magic", "train.recipe is plain or keep"),
    ],
)
def test_a_wrong_setting_is_said_in_words_of_ours(setting: str, said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        override(RunConfig(), [setting])


def test_an_unknown_task_is_said_before_the_model_is_loaded(
    given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [
        "--tuned",
        given / "tuned",
        "--set",
        "bench.tasks=[lab_mcc]",
        "--work",
        tmp_path,
        "--out",
        tmp_path / "diff",
    ]
    assert call(monkeypatch, "diff", *options(given, SMALL), *asked) == 2
    said = capsys.readouterr().err
    assert "unknown benchmark task 'lab_mcc'" in said
    assert "near names: lab_mc" in said
    assert "loading" not in said
