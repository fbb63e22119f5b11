"""Intervals, paired tests and corrections: every share has its n and an interval.

Arrays -> Estimate, p-values. Wilson 1927 for independent shares; the cluster bootstrap (Cameron, Gelbach and
Miller 2008) where facts of one relation move together; McNemar's exact test for two models on the same items;
Holm 1979 over a family of tests.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from knowpack.seeds import stream

Floats = NDArray[np.float64]


class Estimate(NamedTuple):
    """A figure, its interval and its n."""

    value: float
    low: float | None
    """Lower end of the 95% interval; None where one cannot be had (a single cluster)."""
    high: float | None
    n: int


def wilson(k: int, n: int, z: float = 1.959963984540054) -> Estimate:
    """A share k of n with Wilson's score interval. Raises ValueError where n is 0."""
    if n <= 0 or not 0 <= k <= n:
        raise ValueError(f"a share needs 0 <= k <= n and n > 0, got k={k}, n={n}")
    p = k / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return Estimate(p, max(0.0, float(centre - half)), min(1.0, float(centre + half)), n)


def cluster_bootstrap(
    values: Sequence[float] | Floats,
    clusters: Sequence[object] | NDArray[np.generic],
    *,
    weights: Sequence[float] | Floats | None = None,
    seed: int = 0,
    n_draws: int = 2000,
) -> Estimate:
    """sum(values) / sum(weights) with a percentile interval from redrawing whole clusters.

    values: (n,), weights: (n,), ones where None: then it is the mean. Rows of weight 0 do not count in n.
    clusters: (n,) labels. Raises ValueError on empty input.
    """
    value = np.asarray(values, dtype=np.float64)
    weight = np.ones_like(value) if weights is None else np.asarray(weights, dtype=np.float64)
    if value.size == 0 or weight.sum() == 0:
        raise ValueError("a share of nothing: the input is empty or all weights are 0")
    _, index = np.unique(np.asarray([str(label) for label in clusters]), return_inverse=True)
    n = int((weight != 0).sum())
    tops = np.bincount(index, weights=value)  # (clusters,)
    bottoms = np.bincount(index, weights=weight)
    point = float(tops.sum() / bottoms.sum())
    if len(tops) < 2:
        return Estimate(point, None, None, n)
    rng = stream(seed, "bootstrap")
    # Clusters with equal sums are of one kind: drawing kinds by their number is the same draw, small for any n
    kinds, n_kind = np.unique(np.stack([tops, bottoms]), axis=1, return_counts=True)  # (2, kinds), (kinds,)
    drawn = rng.multinomial(len(tops), n_kind / len(tops), size=n_draws)  # (draws, kinds)
    below = drawn @ kinds[1]
    means = (drawn @ kinds[0])[below > 0] / below[below > 0]
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(point, float(low), float(high), n)


def over_seeds(values: Sequence[float]) -> Estimate:
    """The mean over seeds with a t interval; no interval from a single seed."""
    from scipy.stats import t

    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        raise ValueError("a mean over no seeds")
    mean = float(array.mean())
    if array.size == 1:
        return Estimate(mean, None, None, 1)
    half = float(t.ppf(0.975, array.size - 1) * array.std(ddof=1) / np.sqrt(array.size))
    return Estimate(mean, mean - half, mean + half, int(array.size))


def paired_bootstrap(
    before: Sequence[float] | Floats, after: Sequence[float] | Floats, *, seed: int = 0, n_draws: int = 2000
) -> Estimate:
    """Mean of after - before over the same items, with a percentile interval from redrawing items."""
    delta = np.asarray(after, dtype=np.float64) - np.asarray(before, dtype=np.float64)
    if delta.size == 0:
        raise ValueError("a paired difference over no items")
    rng = stream(seed, "bootstrap")
    means = [delta[rng.integers(delta.size, size=delta.size)].mean() for _ in range(n_draws)]
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(float(delta.mean()), float(low), float(high), int(delta.size))


def mcnemar(n_lost: int, n_won: int) -> float:
    """Exact two-sided p of McNemar's test: flips 1->0 against flips 0->1. 1.0 where nothing flipped."""
    from scipy.stats import binomtest

    if n_lost + n_won == 0:
        return 1.0
    return float(binomtest(n_lost, n_lost + n_won, 0.5).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the order given."""
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(p_values))
    worst = 0.0
    for rank, index in enumerate(order):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = worst
    return [float(p) for p in adjusted]
