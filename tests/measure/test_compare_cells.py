"""Cells against each other: hand arithmetic, scipy's exact tests, and coverage by simulation."""

import math

import numpy as np
import polars as pl
import pytest
from scipy.stats import binomtest, ttest_1samp

from knowpack import records
from knowpack.measure import compare_cells
from knowpack.measure.compare_cells import Outcome


def outcomes(*rows: tuple[str, int, int, str, str, float]) -> pl.DataFrame:
    return records.table([Outcome(*row) for row in rows], Outcome)


def test_flips_of_single_facts_are_mcnemars_exact_test() -> None:
    d = np.array([1.0] * 7 + [-1.0] * 2 + [0.0] * 30)
    expected = binomtest(2, 9, 0.5).pvalue  # an independent library's exact two-sided test
    assert compare_cells.flip_test(d, np.arange(39)) == pytest.approx(expected)


def test_facts_of_one_relation_flip_together() -> None:
    d = np.array([1.0] * 5 + [1.0] * 3)  # two relations: the signs ++ and -- are as extreme, of four
    assert compare_cells.flip_test(d, ["a"] * 5 + ["b"] * 3) == pytest.approx(0.5)
    assert compare_cells.flip_test(d, range(8)) == pytest.approx(2 / 256)
    assert compare_cells.flip_test(np.zeros(8), range(8)) == 1.0


def test_drawn_flips_agree_with_all_of_them() -> None:
    d = np.array([1.0] * 14 + [-1.0] * 6)
    assert compare_cells.flip_test(d, range(20)) == pytest.approx(binomtest(6, 20, 0.5).pvalue, abs=0.01)


def test_tost_is_two_one_sided_t_tests() -> None:
    d = np.random.default_rng(0).normal(0.005, 0.1, 200)
    lower = ttest_1samp(d, -0.02, alternative="greater").pvalue
    upper = ttest_1samp(d, 0.02, alternative="less").pvalue
    assert compare_cells.equivalence(d, range(200)) == pytest.approx(max(lower, upper))


def test_nothing_differs_but_of_few_facts_that_shows_no_equivalence() -> None:
    assert compare_cells.equivalence(np.zeros(20), range(20)) > 0.05  # z^2 / (20 + z^2) = .02 at z = .64
    assert compare_cells.equivalence(np.zeros(500), range(500)) < 0.05  # z = 3.2


def test_pairs_are_of_the_same_facts_and_seeds() -> None:
    table = outcomes(
        ("a", 1, 10, "f", "r", 0.0),
        ("a", 1, 10, "g", "r", 0.0),
        ("a", 2, 10, "f", "r", 1.0),
        ("b", 1, 50, "f", "r", 1.0),
        ("b", 2, 50, "f", "r", 1.0),
        ("b", 1, 50, "h", "s", 1.0),  # not in a
        ("c", 3, 50, "f", "r", 1.0),  # no seed in common
    )
    (found,) = compare_cells.pairs(table)
    assert (found.first, found.second) == ("a", "b")
    assert (found.difference.value, found.difference.n) == (0.5, 1)  # f: mean of 1 - 0 and 1 - 1


def test_holm_is_over_all_pairs() -> None:
    rows = [(cell, 1, 10, f"f{i}", f"f{i}", float(cell == "c" and i < 12)) for cell in "abc" for i in range(40)]
    found = {(one.first, one.second): one for one in compare_cells.pairs(outcomes(*rows))}
    p = 2 / 2**12  # twelve facts lost in c alone
    assert found["a", "c"].p == pytest.approx(p)
    assert found["a", "c"].p_holm == pytest.approx(3 * p)
    assert found["a", "b"].p_holm == 1.0


def test_the_slope_is_the_least_squares_one_and_three_doses_are_needed() -> None:
    rows = [
        (str(n), seed, n, f"f{i}", f"r{i % 4}", float((i + seed) % 10 < k))
        for k, n in enumerate((1, 10, 100), 1)
        for seed in (0, 1)
        for i in range(20)
    ]
    found = compare_cells.dose_response(outcomes(*rows))
    assert found is not None
    assert found.slope.value == pytest.approx(0.1)  # .1, .2, .3 lost at 1, 10, 100
    assert (found.n_runs, found.sizes, found.slope.n) == (6, (1, 10, 100), 120)
    assert compare_cells.dose_response(outcomes(*(row for row in rows if row[2] < 100))) is None


def test_the_variance_is_that_of_two_way_clusters() -> None:
    rng = np.random.default_rng(3)
    rows = [
        (str(n), seed, n, f"f{i}", f"r{i % 3}", float(rng.random() < 0.2 + 0.1 * math.log10(n)))
        for n in (1, 10, 100)
        for seed in (0, 1)
        for i in range(9)
    ]
    found = compare_cells.dose_response(outcomes(*rows))
    assert found is not None
    x = np.array([math.log10(row[2]) for row in rows])
    y = np.array([row[5] for row in rows])
    slope, intercept = np.polyfit(x, y, 1)
    centred = x - x.mean()
    scores = centred * (y - intercept - slope * x)  # for a slope with an intercept the sandwich is one number
    total = (centred**2).sum()

    def one_way(labels: list[str]) -> float:
        names = sorted(set(labels))
        meat = sum(sum(s for s, own in zip(scores, labels, strict=True) if own == name) ** 2 for name in names)
        return float(meat * len(names) / (len(names) - 1) / total**2)

    relations, runs = [row[4] for row in rows], [f"{row[0]} {row[1]}" for row in rows]
    both = [f"{a} {b}" for a, b in zip(relations, runs, strict=True)]
    parts = [one_way(labels) for labels in (relations, runs, both)]
    variance = max(parts[0] + parts[1] - parts[2], parts[0], parts[1])
    assert found.slope.low is not None
    assert found.slope.high is not None
    half = 12.7062 * math.sqrt(variance)  # t of .975 with 1 degree of freedom: three relations - 2
    assert found.slope.high - found.slope.low == pytest.approx(2 * half, rel=1e-4)


def test_the_slopes_interval_holds_when_runs_and_relations_have_effects_of_their_own() -> None:
    rng = np.random.default_rng(11)
    hits, n_studies = 0, 120
    doses = np.repeat([1, 10, 100, 1000], 3)
    for _ in range(n_studies):
        run = rng.normal(0, 0.05, 12)
        relation = rng.normal(0, 0.05, 12)
        p = np.clip(0.3 + 0.05 * np.log10(doses)[:, None] + run[:, None] + np.repeat(relation, 5)[None, :], 0, 1)
        lost = (rng.random(p.shape) < p).astype(float)
        frame = pl.DataFrame(
            {
                "label": np.repeat(doses, 60).astype(str),
                "seed": np.repeat(np.arange(12), 60),
                "n_unknown": np.repeat(doses, 60),
                "fact_id": np.tile(np.arange(60), 12).astype(str),
                "cluster": np.tile(np.repeat(np.arange(12), 5), 12).astype(str),
                "lost": lost.ravel(),
            }
        )
        found = compare_cells.dose_response(frame)
        assert found is not None
        assert found.slope.low is not None
        assert found.slope.high is not None
        hits += found.slope.low <= 0.05 <= found.slope.high
    assert hits / n_studies >= 0.92
