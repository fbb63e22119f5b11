"""Groups of facts: shrinkage by hand arithmetic, the correction against scipy, and that it helps."""

import numpy as np
import pytest
from scipy.stats import false_discovery_control
from test_harm import facts, known

from knowpack.measure import p_values, stats
from knowpack.measure.group_harm import GroupHarm, group_harm, partially_pooled
from knowpack.measure.stakes import Draw, untrained
from knowpack.records import Fact, rows, table


def test_benjamini_and_hochberg_is_scipys() -> None:
    p = [0.03, 0.001, 0.8, 0.04, 0.012, 0.5, 0.04]
    assert p_values.benjamini_hochberg(p) == pytest.approx(false_discovery_control(p))
    assert p_values.benjamini_hochberg([]) == []


def test_two_groups_are_drawn_together_by_hand() -> None:
    """A: 2 of 4 lost, B: 0 of 4. s^2 = 1/6, v = 1/24, Q = 3, tau^2 = 1/12, B = 1/3; mean 1/4; t(.975, 6) = 2.4469."""
    found = partially_pooled(np.array([1.0, 1, 0, 0, 0, 0, 0, 0]), np.array(["A"] * 4 + ["B"] * 4))
    assert found["A"].value == pytest.approx(1 / 4 + 2 / 3 * 1 / 4)
    assert found["B"].value == pytest.approx(1 / 4 - 2 / 3 * 1 / 4)
    half = 2.4469 * (2 / 3 / 24 + 1 / 9 / 16) ** 0.5
    assert found["A"].low == pytest.approx(found["A"].value - half, abs=1e-4)
    assert found["A"].high == pytest.approx(found["A"].value + half, abs=1e-4)


def test_groups_that_differ_by_chance_only_all_become_the_mean() -> None:
    found = partially_pooled(np.array([1.0, 0, 1, 0, 0, 1]), np.array(["A", "A", "B", "B", "C", "C"]))
    assert {one.value for one in found.values()} == {0.5}


def test_no_spread_within_the_groups_no_pooling() -> None:
    found = partially_pooled(np.array([1.0, 1, 0, 0]), np.array(["A", "A", "B", "B"]))
    assert (found["A"].value, found["B"].value, found["A"].low) == (1.0, 0.0, None)
    assert partially_pooled(np.array([1.0]), np.array(["A"]))["A"].value == 1.0


def test_pooled_shares_are_nearer_to_the_truth_than_the_groups_own() -> None:
    rng, own, pooled = np.random.default_rng(0), 0.0, 0.0
    for _ in range(50):
        truth = np.clip(rng.normal(0.3, 0.1, 30), 0, 1)
        groups = np.repeat(np.arange(30), 8).astype(str)
        x = (rng.random(240) < truth[np.repeat(np.arange(30), 8)]).astype(float)
        found = partially_pooled(x, groups)
        own += sum((x[groups == str(g)].mean() - truth[g]) ** 2 for g in range(30))
        pooled += sum((found[str(g)].value - truth[g]) ** 2 for g in range(30))
    assert pooled < 0.6 * own


def test_net_losses_by_relation_with_corrected_p() -> None:
    """Of 12 known facts the six of relation r are lost by the adapter alone; facts without a relation are no group."""
    before, base = known("H" * 12), known("H" * 12)
    tuned = known("MH" * 6)  # even facts have relation r (test_harm.facts)
    found = untrained(before, tuned, [Draw(base, tuned)], facts(12), set(), "default")
    (one,) = rows(group_harm(found, facts(12), "default"), GroupHarm)
    assert (one.by, one.group, one.figure, one.n, one.value) == ("relation", "r", "known_lost_net", 6, 1.0)
    assert one.p == one.p_adjusted == 2 / 2**6  # both of the 64 sign vectors that are as extreme


def test_a_popularity_class_counts_relations_not_facts() -> None:
    """Six lost facts of one relation are one event: p is 2/64 where each is lost alone, 1 where they move together."""
    made = [Fact(f"f{i}", "Q", ("A",), relation=f"r{i // 6}", popularity="head") for i in range(12)]
    before, tuned = known("H" * 12), known("M" * 6 + "H" * 6)
    found = untrained(before, tuned, [Draw(before, tuned)], table(made, Fact), set(), "default")
    by = {(one.by, one.group): one for one in rows(group_harm(found, table(made, Fact), "default"), GroupHarm)}
    assert by["relation", "r0"].p == 2 / 2**6
    head = by["popularity", "head"]
    assert (head.value, head.p) == (0.5, 1.0)
    alone = stats.difference([1.0] * 6 + [0.0] * 6)
    assert alone.low is not None
    assert alone.high is not None
    assert head.low < alone.low < alone.high < head.high  # two relations say less than twelve facts


def test_an_adapter_that_changes_nothing_lost_nothing_in_its_group() -> None:
    before = known("HHHM" * 3)
    under_b = known("HMHM" * 3)
    found = untrained(before, before, [Draw(under_b, under_b)], facts(12), set(), "default")
    (one,) = rows(group_harm(found, facts(12), "default"), GroupHarm)
    assert (one.value, one.pooled, one.p) == (0.0, 0.0, 1.0)


def test_raw_where_nothing_was_asked_afresh() -> None:
    made = [Fact(f"f{i}", "Q", ("A",), popularity=("head", "tail")[i % 2]) for i in range(4)]
    found = untrained(known("HHHH"), known("HMHM"), [], table(made, Fact), set(), "default")
    one, other = rows(group_harm(found, table(made, Fact), "default"), GroupHarm)
    assert (one.group, one.figure, one.value, one.p) == ("tail", "known_lost_raw", 1.0, None)
    assert other.value == 0.0
