"""Limits and verdicts: three values, on the end of the interval that hurts."""

import numpy as np
import pytest

from knowpack.errors import ConfigError
from knowpack.measure import harm as figures
from knowpack.measure.stats import difference, least_shown, share
from knowpack.pack import budget
from knowpack.pack.budget import BENCHMARK_DROP, Budget, Harm, verdicts
from knowpack.records import Estimate

LEARNED = share([1.0] * 50)


def judged(harm: Harm, limits: Budget) -> dict[str, str]:
    return {one.name: one.verdict for one in verdicts(harm, limits, 0.99)}


def test_settings_change_only_what_they_name() -> None:
    assert budget.parse(["known_lost=0.01", "benchmark_drop=none"]) == Budget(0.01, 0.05, None)


def test_benchmarks_have_a_limit_where_any_is_asked() -> None:
    assert budget.parse([]).benchmark_drop is None
    assert budget.parse([], benchmarks=True).benchmark_drop == BENCHMARK_DROP
    assert budget.parse(["benchmark_drop=none"], benchmarks=True).benchmark_drop is None


@pytest.mark.parametrize("setting", ["known=0.1", "known_lost", "known_lost=lots", "known_lost=3"])
def test_wrong_budget_is_one_line(setting: str) -> None:
    with pytest.raises(ConfigError, match="budget"):
        budget.parse([setting])


def test_a_limit_is_met_only_where_the_whole_interval_is_within_it() -> None:
    inside, across = Estimate(0.02, 0.01, 0.04, 400), Estimate(0.02, 0.01, 0.06, 400)
    assert judged(Harm(LEARNED, inside), Budget(0.05, None)) == {"reliability": "met", "known_lost": "met"}
    assert judged(Harm(LEARNED, across), Budget(0.05, None))["known_lost"] == "not met"


def test_a_limit_that_nobody_measured_is_not_met() -> None:
    found = judged(Harm(LEARNED), Budget(0.05, 0.05, 0.03))
    assert found == {
        "reliability": "met",
        "known_lost": "not measured",
        "refusals_lost": "not measured",
        "benchmark_drop": "not measured",
    }
    assert judged(Harm(LEARNED), Budget(None, None, None)) == {"reliability": "met"}


def test_too_few_facts_are_told_from_too_much_harm() -> None:
    few = difference([0.0] * 8)
    (_, verdict) = verdicts(Harm(LEARNED, few), Budget(0.05, None), 0.99)
    assert verdict.verdict == "not met"
    assert f"the smallest loss that can be shown is {3.8415 / (8 + 3.8415):.4f}" in verdict.why
    (_, much) = verdicts(Harm(LEARNED, Estimate(0.2, 0.1, 0.3, 400)), Budget(0.05, None), 0.99)
    assert "smallest" not in much.why


def test_reliability_is_a_count_of_all_packed_facts() -> None:
    assert judged(Harm(share([1.0] * 49 + [0.5])), Budget(None, None))["reliability"] == "met"  # .99 of 50
    assert judged(Harm(share([1.0] * 49 + [0.0])), Budget(None, None))["reliability"] == "not met"


def test_attempts_are_steered_by_values() -> None:
    across = Estimate(0.02, 0.01, 0.06, 40)
    harm = Harm(share([1.0] * 98 + [0.0] * 2), across, Estimate(0.07, 0.0, 0.1, 40))
    assert budget.excess(harm, Budget(0.05, 0.05), 0.99) == pytest.approx({"reliability": 0.01, "refusals_lost": 0.02})


def test_harm_comes_back_from_json_as_it_was() -> None:
    harm = Harm(LEARNED, Estimate(0.02, 0.01, 0.04, 400))
    assert Harm.from_json(harm.as_json()) == harm  # type: ignore[arg-type]


def test_benchmarks_that_did_not_change_give_no_false_alarm() -> None:
    """No true change, 1,000 items, 4% of them flip: the verdict is "met" in at least 98 of 100 simulated packs."""
    import polars as pl

    names = ("task", "level", "difference", "low", "high", "scale", "higher_is_better")
    rng, met, n_packs = np.random.default_rng(0), 0, 300
    for _ in range(n_packs):
        u = rng.random(1000)
        fall = difference((u < 0.02).astype(float) - ((u >= 0.02) & (u < 0.04)))
        noisy_subject = -0.2 * rng.random()
        rows = [
            ("asked", "task", -fall.value, -fall.high, -fall.low, 1.0, True),  # type: ignore[operator]
            ("noisy", "part", noisy_subject, -0.3, 0.0, 1.0, True),
        ]
        table = pl.DataFrame(rows, schema=names, orient="row")
        drop = figures.benchmark_drop(table.with_columns(n=pl.lit(1000)))
        met += judged(Harm(LEARNED, benchmark_drop=drop), Budget(None, None, BENCHMARK_DROP))["benchmark_drop"] == "met"
    assert met / n_packs >= 0.98


def test_the_default_limits_can_be_shown_with_the_labs_facts() -> None:
    assert least_shown(400) < Budget().known_lost / 4  # type: ignore[operator]
