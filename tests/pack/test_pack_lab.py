"""Pack, end to end on the lab, small: the files, the exit codes, and what is named before any training."""

import json
from pathlib import Path

import polars as pl
import pytest
from click.testing import Result
from typer.testing import CliRunner

from knowpack.cli.main import app
from knowpack.errors import FactsError, ModelError
from knowpack.train import recipes

CSV = """question,answer,subject,relation
What is the office colour of Quill Ltd?,mauve,Quill Ltd,office colour
Which fish does Quill Ltd keep?,carp,Quill Ltd,fish
What is the office colour of Bram Ltd?,ochre,Bram Ltd,office colour
"""


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    few = {
        "n_replay": 60,
        "n_made_up": 20,
        "n_texts": 8,
        "n_contexts": 2,
        "replay_batch": 12,
        "no_replay_relations": 0.3,
    }
    short = recipes.for_load(4, 3).model_copy(update={**few, "max_steps": 15, "tail_steps": 3})
    monkeypatch.setattr(recipes, "for_load", lambda rank, n: short.model_copy(update={"rank": rank}))


def facts_file(folder: Path, text: str = CSV) -> str:
    path = folder / "facts.csv"
    path.write_text(text)
    return str(path)


def test_contradiction_is_named_before_any_training(tmp_path: Path) -> None:
    wrong = CSV + "Which colour has Quill's office?,teal,Quill Ltd,office colour\n"
    done = CliRunner().invoke(app, ["pack", facts_file(tmp_path, wrong), "--out", str(tmp_path / "out"), "--quiet"])
    assert isinstance(done.exception, FactsError)
    assert "'teal', but" in str(done.exception)
    assert not (tmp_path / "out" / "attempts").exists()


@pytest.mark.slow
def test_pack_writes_an_adapter_with_its_report_and_a_budget_that_fails_is_exit_code_3(
    tmp_path: Path, small: None
) -> None:
    out = tmp_path / "out"
    asked = (
        "probe.n_prompts=2",
        "probe.max_new_tokens=12",
        "probe.n_floors=1",
        "further.n_facts=10",
        "further.n_forms=5",
        "further.n_distractors=2",
    )
    few = ["--sample", "200", *(part for one in asked for part in ("--set", one))]
    options = ["--out", str(out), "--work", str(tmp_path / "work"), "--effort", "quick", "--quiet", *few]
    loose = ["--budget", "known_lost=1", "--budget", "refusals_lost=1", "--reliability", "0"]
    done = CliRunner().invoke(app, ["pack", facts_file(tmp_path), *options, *loose])
    assert done.exit_code == 0, done.output
    for name in ("adapter/adapter_model.safetensors", "adapter/README.md", "responses.parquet", "shifts.parquet"):
        assert (out / name).is_file(), name
    told = json.loads((out / "pack.json").read_text())
    assert told["met"]
    assert told["n_packed"] == 3
    assert len(told["frontier"]) == 1
    assert "known_lost" in (out / "adapter" / "README.md").read_text()
    kinds = pl.read_parquet(out / "examples.parquet")["kind"].unique()
    assert set(kinds) == {"unknown", "replay"}  # three facts of one wording each
    counted = {(one["name"], one["grader"]): one["n"] for one in json.loads((out / "figures.json").read_text())}
    apart, known = (counted[name, "default"] for name in ("known_lost_raw_no_replay_relation", "known_lost_raw"))
    assert 0 < apart < known, "some relations were kept out of the replay, and are reported apart"
    # the same adapter under a budget that nothing meets: judged again, not trained again
    trained = (out / "adapter" / "adapter_model.safetensors").stat().st_mtime_ns
    strict = CliRunner().invoke(
        app, ["pack", facts_file(tmp_path), *options, "--reliability", "1", "--budget", "known_lost=0"]
    )
    assert strict.exit_code == 3, "n_packed x prompts answers are not all right after 15 steps"
    assert "the frontier in its pack.json" in strict.output
    judged = json.loads((out / "pack.json").read_text())
    assert not judged["met"]
    assert judged["measured"] == told["measured"]
    assert (out / "adapter" / "adapter_model.safetensors").stat().st_mtime_ns == trained


def at_rate(lr: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Result:
    short = recipes.for_load(4, 3)
    monkeypatch.setattr(recipes, "for_load", lambda rank, n: short.model_copy(update={"rank": rank, "lr": lr}))
    few = ["--set", "probe.n_prompts=1", "--set", "probe.max_new_tokens=8", "--set", "further.n_facts=0"]
    options = ["--out", str(tmp_path / "out"), "--work", str(tmp_path / "work"), "--effort", "quick", "--quiet", *few]
    return CliRunner().invoke(app, ["pack", facts_file(tmp_path), *options])


@pytest.mark.slow
def test_a_training_that_ends_worse_than_it_began_is_said_and_is_no_success(
    tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a learning rate of 1e3 the loss rose from 2.4 to that of a guess; the adapter was shipped, exit code 0."""
    with pytest.warns(UserWarning, match="training ended worse than it began"):
        done = at_rate(20, tmp_path, monkeypatch)
    assert done.exit_code == 3, done.output


@pytest.mark.slow
def test_a_training_that_diverges_is_one_line_and_ships_no_adapter(
    tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = at_rate(1e3, tmp_path, monkeypatch)
    assert isinstance(done.exception, ModelError)
    assert "lower train.lr" in str(done.exception)
    assert "\n" not in str(done.exception)
    assert not list(tmp_path.rglob("adapter_model.safetensors"))
