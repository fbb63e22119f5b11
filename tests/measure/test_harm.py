"""Harm counted by hand; net of noise where nothing changed; and that it is defined in one place."""

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from knowpack import records
from knowpack.measure import harm
from knowpack.measure.stakes import Draw, Stakes, at_stake, from_shifts, untrained
from knowpack.records import Estimate, Fact, Knowledge, Shift

NAMES = {"U": "Unknown", "W": "WeaklyKnown", "M": "MaybeKnown", "H": "HighlyKnown"}
SOURCE = Path(__file__).parents[2] / "src" / "knowpack"


def known(letters: str, refused: tuple[float, ...] = ()) -> pl.DataFrame:
    """Facts f0, f1, ... under both graders; "-" = not asked."""
    shares = refused or (0.0,) * len(letters)
    rows = [
        Knowledge(f"f{i}", grader, 10, 0.0, NAMES[c], "", shares[i])
        for grader in ("default", "paper")
        for i, c in enumerate(letters)
        if c != "-"
    ]
    return records.table(rows, Knowledge)


def facts(n: int) -> pl.DataFrame:
    return records.table([Fact(f"f{i}", "Q", ("A",), relation=None if i % 2 else "r") for i in range(n)], Fact)


def of(before: str, after: str, *draws: tuple[str, str], trained: set[str] | None = None) -> Stakes:
    asked = [Draw(known(base), known(tuned)) for base, tuned in draws]
    return untrained(known(before), known(after), asked, facts(len(before)), trained or set(), "default")


def value(found: Estimate | None) -> float:
    assert found is not None
    return found.value


def test_raw_counts_under_the_prompts_that_chose() -> None:
    found = of("HHHHMMUU", "HMUHUHHW")
    assert value(harm.known_lost_raw(found)) == 0.5  # 2 of 4
    assert value(harm.harm_raw(found)) == 3 / 8  # H->M, H->U, M->U
    assert value(harm.gain_raw(found)) == 2 / 8  # M->H, U->H; WeaklyKnown is no rise
    assert harm.known_lost_raw(found).n == 4  # type: ignore[union-attr]


def test_trained_facts_are_no_harm_and_no_gain() -> None:
    found = of("UUHH", "HUUH", trained={"f0", "f2"})
    assert value(harm.harm_raw(found)) == value(harm.gain_raw(found)) == value(harm.known_lost_raw(found)) == 0.0


def test_net_asks_both_under_prompts_that_chose_nothing() -> None:
    # A: all four HighlyKnown. B: the base fails f0; the adapter fails f0 and f1.
    found = of("HHHH", "HHHH", ("MHHH", "UMHH"))
    assert value(harm.known_lost_floor(found)) == 0.25
    assert value(harm.known_lost_net(found)) == 0.25  # not .5 - 0, nor 0 - .25
    assert value(harm.harm_net(found)) == 0.25
    assert value(harm.known_lost_raw(found)) == 0.0


def test_draws_are_averaged_fact_by_fact() -> None:
    found = of("HHHH", "HHHH", ("HHHH", "MHHH"), ("MHHH", "MMHH"))
    assert value(harm.known_lost_net(found)) == (0.25 + 0.25) / 2
    assert value(harm.known_lost_floor(found)) == (0 + 0.25) / 2
    assert "2 draws of prompts" in harm.known_lost_net(found).method  # type: ignore[union-attr]


def test_later_draws_ask_only_what_is_at_stake() -> None:
    before = known("HMUU", (0.0, 0.0, 0.9, 0.1))
    assert at_stake(before)["fact_id"].to_list() == ["f0", "f1", "f2"]
    second = Draw(known("HM-"), known("MU-"))
    found = untrained(before, None, [Draw(known("HMUU"), known("HMHU")), second], facts(4), set(), "default")
    assert value(harm.harm_net(found)) == (0 + 2 / 4) / 2  # what was Unknown and not asked cannot fall
    assert value(harm.gain_net(found)) == 0.25  # the first draw alone


def test_refusals_by_hand() -> None:
    before = known("UWUH", (1.0, 0.6, 0.2, 0.9))  # f0 and f1: Unknown, and refused under half of the prompts
    after = known("UUUH", (0.5, 0.3, 0.2, 0.9))
    fresh = Draw(known("UUUH", (0.9, 0.5, 0.0, 0.0)), known("UUUH", (0.7, 0.1, 0.0, 0.0)))
    found = untrained(before, after, [fresh], facts(4), set(), "default")
    assert value(harm.refusals_kept(found)) == pytest.approx(0.4)
    assert value(harm.refusals_kept_floor(found)) == pytest.approx(0.7)
    assert value(harm.refusals_lost_net(found)) == pytest.approx(0.3)


def test_nothing_to_lose_is_no_figure_not_zero() -> None:
    found = of("UU", "UU", ("UU", "UU"))
    assert harm.known_lost_raw(found) is harm.known_lost_net(found) is harm.refusals_kept(found) is None
    bare = of("HH", "HH")
    assert harm.known_lost_net(bare) is harm.known_lost_floor(bare) is harm.gain_net(bare) is None


def test_a_shift_table_gives_the_raw_figures() -> None:
    rows = [
        Shift("f0", "default", False, "HighlyKnown", "Unknown", -1.0),
        Shift("f1", "default", False, "HighlyKnown", "HighlyKnown", 0.0),
        Shift("f2", "default", True, "HighlyKnown", "Unknown", -1.0),
    ]
    found = from_shifts(records.table(rows, Shift), facts(3), "default")
    assert value(harm.known_lost_raw(found)) == 0.5
    assert harm.refusals_kept(found) is None


def test_facts_without_a_relation_are_clusters_of_their_own() -> None:
    assert of("HHHHHH", "HHHHHH").cluster.tolist() == ["r", "f1", "r", "f3", "r", "f5"]


def noisy(rng: np.random.Generator, p: np.ndarray) -> pl.DataFrame:
    """Ten answers to each fact, right with its own chance -> Knowledge."""
    right = rng.binomial(10, p)
    names = np.where(right == 10, "HighlyKnown", np.where(right == 0, "Unknown", "MaybeKnown"))
    rows = [Knowledge(f"f{i}", "default", 10, k / 10, str(names[i]), "", 0.0) for i, k in enumerate(right)]
    return records.table(rows, Knowledge)


def test_regression_to_the_mean_is_no_harm() -> None:
    """Facts answered by chance, nothing trained: the old raw - floor has a bias where draws differ; net has none."""
    rng = np.random.default_rng(1)
    table, net, old = facts(300), [], []
    for _ in range(40):
        p = rng.beta(4, 1, size=300)
        a = noisy(rng, p)
        found = untrained(a, a, [Draw(noisy(rng, p), noisy(rng, p))], table, set(), "default")  # no drafts, no memory
        net.append(value(harm.known_lost_net(found)))
        old.append(value(harm.known_lost_raw(found)) - value(harm.known_lost_floor(found)))
    error = np.std(net, ddof=1) / np.sqrt(len(net))
    assert abs(np.mean(net)) < 3 * error < 0.05
    assert np.mean(old) < -0.2  # raw is 0: the same prompts before and after


def test_an_adapter_that_changes_nothing_has_net_0_and_an_interval_about_it() -> None:
    rng = np.random.default_rng(2)
    p = rng.beta(4, 1, size=200)
    a, b = noisy(rng, p), noisy(rng, p)
    found = untrained(a, a, [Draw(b, b)], facts(200), set(), "default")
    for figure in (harm.known_lost_net, harm.harm_net, harm.gain_net):
        estimate = figure(found)
        assert estimate is not None
        assert estimate.value == 0.0
        assert estimate.low < 0 < estimate.high  # type: ignore[operator]


def compared(*rows: tuple[str, float, float, float, float | None, bool | None]) -> pl.DataFrame:
    names = ("level", "difference", "low", "high", "scale", "higher_is_better")
    tasks = [f"t{i}" for i in range(len(rows))]
    return pl.DataFrame(rows, schema=names, orient="row").with_columns(n=pl.lit(100), task=pl.Series(tasks))


def test_benchmark_drop_is_of_asked_tasks_in_their_own_unit_and_direction() -> None:
    found = harm.benchmark_drop(
        compared(
            ("part", -0.5, -0.6, -0.4, 1.0, True),  # a subject: not judged
            ("task", -0.1, -0.3, 0.1, 100.0, True),  # .1 BLEU is .001
            ("task", -0.01, -0.02, 0.005, 1.0, True),
            ("task", 0.015, 0.0, 0.03, 1.0, False),  # lower is better: it rose
            ("task", -9.0, -9.0, -9.0, None, None),  # perplexity: no range
        )
    )
    assert found is not None
    assert (found.value, found.low, found.high, found.n) == (0.015, 0.0, 0.03, 100)
    bleu = harm.benchmark_drop(compared(("task", -0.1, -0.3, 0.1, 100.0, True)))
    assert bleu is not None
    assert (bleu.value, bleu.low, bleu.high) == pytest.approx((0.001, -0.001, 0.003))
    assert harm.benchmark_drop(compared(("task", -9.0, -9.0, -9.0, None, None))) is None


def test_mean_drop_of_benchmarks_is_over_tasks_not_over_metrics_by_hand() -> None:
    """Task a (two metrics: falls .02 and .04, both +-.03) and task b (fall .01 +- .04): (.03 + .01) / 2 = .02;
    half-width sqrt(.03^2 + .04^2) / 2 = .025."""
    rows = compared(
        ("task", -0.02, -0.05, 0.01, 1.0, True),
        ("task", -4.0, -7.0, -1.0, 100.0, True),
        ("task", 0.01, -0.03, 0.05, 1.0, False),
        ("part", -0.9, -0.9, -0.9, 1.0, True),
    ).with_columns(task=pl.Series(["a", "a", "b", "a1"]))
    found = harm.benchmark_mean_drop(rows)
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((0.02, -0.005, 0.045))
    assert found.n == 2
    assert harm.benchmark_mean_drop(rows.tail(1)) is None


def test_harm_is_defined_once() -> None:
    """No other file defines a function of these names, or compares categories to count what was lost."""
    names = "|".join(figure.__name__ for figure in (*harm.FIGURES, harm.benchmark_drop)) + "|known_lost|refusals_lost"
    elsewhere = [path for path in SOURCE.rglob("*.py") if path.name not in ("harm.py", "stakes.py")]
    assert len(elsewhere) > 100
    second = [path.name for path in elsewhere if re.search(rf"def ({names})\b", path.read_text())]
    assert second == []
    counted = re.compile(r"!= (str\()?Category\.HIGHLY_KNOWN|!= \"HighlyKnown\"")
    assert [path.name for path in elsewhere if counted.search(path.read_text())] == []
