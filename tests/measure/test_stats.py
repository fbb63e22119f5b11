"""Against scipy, statsmodels' published examples, and hand arithmetic."""

import numpy as np
import pytest
from scipy.stats import binomtest

from knowpack.measure.stats import cluster_bootstrap, holm, mcnemar, over_seeds, paired_bootstrap, wilson


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 10), (10, 10), (137, 1000)])
def test_wilson_is_scipys(k: int, n: int) -> None:
    expected = binomtest(k, n).proportion_ci(method="wilson")
    got = wilson(k, n)
    assert got.low == pytest.approx(expected.low, abs=1e-9)
    assert got.high == pytest.approx(expected.high, abs=1e-9)


def test_a_share_of_nothing_raises() -> None:
    with pytest.raises(ValueError, match="n=0"):
        wilson(0, 0)
    with pytest.raises(ValueError, match="empty"):
        cluster_bootstrap([], [])
    with pytest.raises(ValueError, match="no items"):
        paired_bootstrap([], [])


def test_clusters_that_move_together_widen_the_interval() -> None:
    rng = np.random.default_rng(0)
    means = rng.normal(size=20)
    values = np.repeat(means, 50)
    by_cluster = cluster_bootstrap(values, np.repeat(np.arange(20), 50), n_draws=4000)
    by_row = cluster_bootstrap(values, np.arange(1000), n_draws=4000)
    # Standard error of a mean of 20 independent cluster means: sd/sqrt(20); a 95% interval is 3.92 of them.
    width = 3.92 * means.std() / np.sqrt(20)
    assert by_cluster.high - by_cluster.low == pytest.approx(width, rel=0.1)
    assert by_row.high - by_row.low < 0.25 * (by_cluster.high - by_cluster.low)
    assert by_cluster.value == pytest.approx(values.mean())


def test_one_cluster_gives_no_interval() -> None:
    got = cluster_bootstrap([1.0, 0.0], ["a", "a"])
    assert (got.value, got.low, got.high, got.n) == (0.5, None, None, 2)


def test_rows_of_weight_zero_do_not_count() -> None:
    got = cluster_bootstrap([1, 0, 0], ["a", "b", "c"], weights=[1, 1, 0])
    assert got.value == 0.5
    assert got.n == 2


def test_mcnemar_by_hand() -> None:
    # 1 against 7 flips: 2 * (C(8,0) + C(8,1)) / 2^8
    assert mcnemar(1, 7) == pytest.approx(2 * 9 / 256)
    assert mcnemar(0, 0) == 1.0


def test_holm_by_hand() -> None:
    # sorted .01 x4, .02 x3, .03 x2 (kept at .06), .5 x1
    assert holm([0.02, 0.5, 0.01, 0.03]) == pytest.approx([0.06, 0.5, 0.04, 0.06])


def test_over_seeds_by_hand() -> None:
    got = over_seeds([1.0, 2.0, 3.0])  # sd 1, t(.975, 2) = 4.3027
    assert got.value == 2.0
    assert got.high - got.value == pytest.approx(4.3027 / np.sqrt(3), abs=1e-4)
    assert over_seeds([1.0]).low is None
