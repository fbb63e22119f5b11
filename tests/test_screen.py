"""facts.screen: what is measured is what can be lost, and no HighlyKnown fact is missed by it."""

from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

import knowpack as kp
import tiny
from commands import call
from knowpack import store
from knowpack.base import measure_base, open_base
from knowpack.cli.stages import config_of
from knowpack.config import FactsConfig, ModelConfig, ProbeConfig, RunConfig
from knowpack.errors import FactsError
from knowpack.facts import sources
from knowpack.pack import plan
from knowpack.records import GRADERS, Category, Fact, table
from knowpack.report.summary import _screened

N = 150


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunConfig:
    """150 facts of the lab, all asked under three prompts."""
    return RunConfig(
        facts=FactsConfig(sample=N),
        probe=ProbeConfig(n_prompts=3, noise=False, max_new_tokens=12),
        work=str(tmp_path_factory.mktemp("screen")),
    )


def test_screening_misses_no_highly_known_fact_and_leaves_out_what_cannot_be_lost(whole: RunConfig) -> None:
    """The expected facts are read off the answers of all 150 facts under all prompts."""
    every = open_base(whole)
    measure_base(every, whole)
    first = every.responses.filter((pl.col("prompt") == 0) & (pl.col("form") == 0)).collect()
    right = [pl.col(f"matched_{grader}").is_not_null() for grader in GRADERS]
    graded = pl.any_horizontal(*right, *(pl.col(f"refused_{grader}") for grader in GRADERS))
    expected = set(first.filter(graded)["fact_id"])
    assert 0 < len(expected) < N  # or else nothing is told apart here

    config = whole.model_copy(update={"facts": FactsConfig(screen=N)})
    screened = open_base(config, asker=every.asker)
    assert set(screened.facts["fact_id"]) == expected
    measure_base(screened, config)
    highly = pl.col("category") == str(Category.HIGHLY_KNOWN)
    assert set(screened.knowledge.filter(highly)["fact_id"]) == set(every.knowledge.filter(highly)["fact_id"])


def test_a_sample_is_taken_of_the_facts_that_passed(whole: RunConfig) -> None:
    config = whole.model_copy(update={"facts": FactsConfig(screen=N, sample=10)})
    passed = open_base(whole.model_copy(update={"facts": FactsConfig(screen=N)}))
    some = open_base(config, asker=passed.asker).facts
    assert some.height == 10
    assert set(some["fact_id"]) <= set(passed.facts["fact_id"])


def test_facts_to_train_on_are_taken_of_those_that_were_not_answered(whole: RunConfig) -> None:
    passed = open_base(whole.model_copy(update={"facts": FactsConfig(screen=N)}))
    config = whole.model_copy(update={"facts": FactsConfig(screen=N, n_unanswered=20)})
    asked = open_base(config, asker=passed.asker).facts
    beside = asked.join(passed.facts, on="fact_id", how="anti")
    assert (beside.height, asked.height) == (20, passed.facts.height + 20)
    every = open_base(whole, asker=passed.asker).facts["fact_id"].to_list()
    assert asked["fact_id"].to_list() == sorted(asked["fact_id"], key=every.index)  # in the table's order


def test_the_command_and_the_call_screen_too(whole: RunConfig, tmp_path: Path) -> None:
    passed = open_base(whole.model_copy(update={"facts": FactsConfig(screen=N)}))
    assert config_of(model="lab", screen=N, settings=[]).facts == FactsConfig(screen=N)
    settings = {"probe.n_prompts": 3, "probe.noise": False, "probe.max_new_tokens": 12}
    asked = kp.probe(model="lab", out=tmp_path / "out", screen=N, work=whole.work, settings=settings)
    assert asked.facts["fact_id"].to_list() == passed.facts["fact_id"].to_list()


@pytest.mark.filterwarnings("always")  # as where other warnings have reset what Python remembers
def test_more_to_screen_than_there_are_is_noted_once_by_every_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    store.write_table(Path("facts.parquet"), sources.load("lab").head(30))
    store.write_table(Path("new.parquet"), tiny.facts(5))
    few = ["--shots", "lab", "--set", "probe.n_prompts=1", "--set", "probe.max_new_tokens=12", "--out", "out"]
    line = "knowpack: note: screen 31 is more than the 30 facts there are: all are asked"
    probe, diff, pack = ["probe", "--facts"], ["diff", "--tuned", "lab", "--facts"], ["pack", "new.parquet", "--known"]
    for command, n in ((probe, 31), (diff, 31), (pack, 31), (probe, 30)):
        assert call(monkeypatch, *command, "facts.parquet", *few, "--screen", n, "--dry-run") == 0
        said = [one for one in capsys.readouterr().err.splitlines() if "screen" in one]
        assert said == ([line] if n > 30 else []), command


def test_facts_left_out_by_no_screening_are_one_line() -> None:
    with pytest.raises(ValueError, match=r"set facts\.screen too"):
        FactsConfig(n_unanswered=20)


def test_a_table_of_which_nothing_is_known_is_one_line(tmp_path: Path) -> None:
    """A random model answers nothing and refuses nothing."""
    tiny.save_model(tmp_path / "model")
    tiny.save_facts(tmp_path / "facts.parquet", 12)
    tiny.save_shots(tmp_path / "shots.csv")
    config = RunConfig(
        model=ModelConfig(name=str(tmp_path / "model")),
        facts=FactsConfig(path=str(tmp_path / "facts.parquet"), screen=9),
        probe=ProbeConfig(n_shots=2, shots=str(tmp_path / "shots.csv")),
        work=str(tmp_path / "work"),
    )
    with pytest.raises(FactsError, match="answers none of 9 facts under its first prompt"):
        open_base(config)


def test_the_report_says_what_was_left_out() -> None:
    def told(screen: int | None, n_screen: int | None) -> int:
        packed = {"n_screen": n_screen}
        run = SimpleNamespace(manifest={"config": {"facts": {"screen": screen}}}, read=lambda name: packed)
        return _screened(run)  # type: ignore[arg-type]

    assert [told(1200, None), told(None, 900), told(None, None)] == [1200, 900, 0]


def test_pack_measures_on_what_can_be_lost_and_replays_the_rest() -> None:
    """100 facts, of which 30 can be lost: four fifths of those report, the others validate, 70 are replayed."""
    known = table([Fact(f"{n:03}", f"What is {n}?", (str(n),)) for n in range(100)], Fact)
    stakes = known.filter(pl.col("fact_id") < "030")
    split = plan.parts(known, known.head(0), seed=1, n_report=50, n_validation=50, measured=stakes)
    assert [split.report.height, split.validation.height, split.replay.height] == [24, 6, 70]
    assert set(split.report["fact_id"]) | set(split.validation["fact_id"]) == set(stakes["fact_id"])
    few = plan.parts(known, known.head(0), seed=1, n_report=10, n_validation=5, measured=stakes)
    assert [few.report.height, few.validation.height, few.replay.height] == [10, 5, 85]
