"""Intervals, paired tests and corrections: every share has its n, every headline an interval that cannot collapse.

Arrays -> Estimate, p-values. Shares: Clopper and Pearson's interval on an effective n (Korn and Graubard 1998), because
facts of one relation move together; paired differences: Tango 1998 on an effective n; means without bounds: t over
clusters; several seeds: facts and seeds together (Zou and Donner 2008); McNemar's exact test; Holm 1979.
benchmarks/coverage.py simulates what they cover.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from knowpack.records import Estimate

Floats = NDArray[np.float64]
Values = Sequence[float] | NDArray[np.generic]
Clusters = Sequence[object] | NDArray[np.generic]

Z = 1.959963984540054  # the .975 quantile of the normal distribution: all intervals are 95%
OF_DIFFERENCES = ("Tango", "t,", "mean of")  # methods of figures in -1..1, whose ends may all lie above 0
DUST = 1e-12  # sums of floats that should be 0 (2.8e-17) are 0


def wilson(k: int, n: int, z: float = Z) -> Estimate:
    """A share k of n independent draws with Wilson's score interval (1927). Raises ValueError where n is 0."""
    if n <= 0 or not 0 <= k <= n:
        raise ValueError(f"a share needs 0 <= k <= n and n > 0, got k={k}, n={n}")
    p = k / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return Estimate(p, max(0.0, float(centre - half)), min(1.0, float(centre + half)), n, method="Wilson")


class _Spread(NamedTuple):
    """How far the mean of the values is from the true one, estimated."""

    variance: float
    """Of the mean, clusters and draws redrawn."""
    df: float
    """Degrees of freedom of that estimate (Satterthwaite)."""
    n_clusters: int
    """1 where the facts, all of one cluster, were taken as independent."""
    n_facts: int
    """The rows, or the facts whose answers they are."""


def share(values: Values, clusters: Clusters | None = None, *, facts: Clusters | None = None) -> Estimate:
    """The mean of values in 0..1, with an interval that holds at 0, at 1 and for few clusters.

    values: (n,) one a fact, or (n, draws) where each fact was measured under several draws of prompts (the interval is
    then over facts and draws). clusters: (n,) labels of facts that move together; None = each fact by itself; all the
    same = the interval is about this one cluster. facts: (n,) the fact of each value, where values are answers of which
    a fact has several: they move together, whatever the clusters are.

    Korn and Graubard 1998: with V the variance of the mean over clusters and p(1-p) that of one 0/1 answer,
        n_eff = p (1-p) / V * (z / t_df)^2, at most n; where V is 0 nothing can be read off it: n, of answers the facts
        low = Beta(.025; p n_eff, n_eff - p n_eff + 1), high = Beta(.975; p n_eff + 1, n_eff - p n_eff)
    which is Clopper and Pearson's exact interval where facts are independent. A value that is itself a mean of answers
    counts as one answer: conservative, and what keeps the interval from collapsing at .99. Raises ValueError on empty
    input or values out of range.
    """
    from scipy.stats import beta

    table = _table(values, 0.0)
    p, n = _clean(float(table.mean())), len(table)
    spread = _spread(table, clusters, facts)
    n_eff = _effective(p * (1 - p), spread, n)
    k = p * n_eff
    low = float(beta.ppf(0.025, k, n_eff - k + 1)) if p > 0 else 0.0
    high = float(beta.ppf(0.975, k + 1, n_eff - k)) if p < 1 else 1.0
    return Estimate(p, min(low, p), max(high, p), n, method=_method("Clopper-Pearson", n_eff, n, spread))


def difference(values: Values, clusters: Clusters | None = None) -> Estimate:
    """The mean of paired differences in -1..1 (after - before, fact by fact), with Tango's interval.

    values: (n,), or (n, draws), then averaged fact by fact: both models were asked under the same draws, so what a draw
    does to both cancels, and what is left of it differs from fact to fact. For 0/1 outcomes a difference is -1, 0 or 1:
    with b the share of 1 and c that of -1 the mean is b - c. Tango 1998 inverts the score test of b - c = D, whose
    variance (2 q + D (1 - D)) / n has q = c at its most likely under D; so it does not collapse where nothing differs:
    [-z^2/(n+z^2), z^2/(n+z^2)]. Fractions count as the part of a flip that they are, which their true variance cannot
    exceed; n is replaced by
        n_eff = (b + c - (b-c)^2) / V * (z / t_df)^2, at most n; n where V is 0.
    """
    table = _table(values, -1.0).mean(axis=1, keepdims=True)
    b, c = _clean(float(np.maximum(table, 0).mean())), _clean(float(np.maximum(-table, 0).mean()))
    n, mean = len(table), _clean(b - c)
    spread = _spread(table, clusters)
    n_eff = _effective(b + c - mean * mean, spread, n)
    low, high = -_tango(c, b, n_eff), _tango(b, c, n_eff)
    return Estimate(mean, min(low, mean), max(high, mean), n, method=_method("Tango", n_eff, n, spread))


def mean(values: Values, clusters: Clusters | None = None, *, unit: str = "", bounded: bool = False) -> Estimate:
    """The mean of values with a t interval over clusters.

    Where all values are the same the spread says nothing: for differences in -1..1 (bounded) the interval is that of
    `difference`, else there is none.
    """
    from scipy.stats import t

    table = _table(values, -1.0 if bounded else None)
    spread = _spread(table, clusters)
    point, n = _clean(float(table.mean())), len(table)
    if spread.variance <= 0:
        if bounded:
            return difference(values, clusters)._replace(unit=unit)
        return Estimate(point, None, None, n, unit, method="no spread, no interval")
    half = float(t.ppf(0.975, spread.df)) * spread.variance**0.5
    return Estimate(point, point - half, point + half, n, unit, method=f"t, {spread.df:.0f} degrees of freedom")


def minus(first: Estimate, second: Estimate) -> Estimate | None:
    """first - second of two estimates that are taken as independent (MOVER: Zou and Donner 2008).

    With d = a - b: low = d - sqrt((a - a_low)^2 + (b_high - b)^2), high = d + sqrt((a_high - a)^2 + (b - b_low)^2).
    Figures of the same facts rise and fall together, so that the interval is rather too wide. None without intervals.
    """
    if first.low is None or first.high is None or second.low is None or second.high is None:
        return None
    d = first.value - second.value
    low = d - float(np.hypot(first.value - first.low, second.high - second.value))
    high = d + float(np.hypot(first.high - first.value, second.value - second.low))
    return first._replace(value=d, low=low, high=high, method="difference of two estimates (MOVER)")


def over_seeds(estimates: Sequence[Estimate]) -> Estimate:
    """The mean of one figure over seeds, its interval over facts and seeds; n is the first's.

    The facts are the same for all seeds, so that their part of the uncertainty does not shrink with more seeds. Each
    side (Zou and Donner 2008): distance^2 = (mean distance from a seed's value to that end)^2 + (t s / sqrt(seeds))^2,
    s the standard deviation over seeds. Cut at the ends that the figure's own intervals respect: shares stay shares.
    One seed: its own interval. Seeds without interval: the seeds' part alone.
    """
    from scipy.stats import t

    if not estimates:
        raise ValueError("a mean over no seeds")
    first, n_seeds = estimates[0], len(estimates)
    if n_seeds == 1:
        return first
    values = np.asarray([one.value for one in estimates], dtype=np.float64)
    point = _clean(float(values.mean()))
    seeds = float(t.ppf(0.975, n_seeds - 1) * values.std(ddof=1) / np.sqrt(n_seeds))
    with_interval = [
        (one.value - one.low, one.high - one.value) for one in estimates if one.low is not None and one.high is not None
    ]
    below, above = np.asarray(with_interval, dtype=np.float64).mean(axis=0) if with_interval else (0.0, 0.0)
    low, high = point - float(np.hypot(below, seeds)), point + float(np.hypot(above, seeds))
    if first.unit == "share" and abs(values).max() <= 1:
        signed = any(one.value < 0 or (one.low or 0) < 0 or one.method.startswith(OF_DIFFERENCES) for one in estimates)
        low, high = max(low, -1.0 if signed else 0.0), min(high, 1.0)
    return first._replace(value=point, low=low, high=high, method=f"facts and {n_seeds} seeds")


def least_shown(n: int) -> float:
    """The smallest loss that n facts can show to be kept to: the upper end of Tango's interval where none flipped."""
    return Z * Z / (n + Z * Z)


def _table(values: Values, lowest: float | None) -> Floats:
    """(n, draws), checked: not empty, no missing value, within lowest..1 where there are bounds."""
    table = np.asarray(values, dtype=np.float64)
    table = table[:, None] if table.ndim == 1 else table
    if table.size == 0:
        raise ValueError("a mean of nothing: the input is empty")
    outside = lowest is not None and (table.min() < lowest - DUST or table.max() > 1 + DUST)
    if outside or not np.isfinite(table).all():
        wanted = "numbers" if lowest is None else f"numbers from {lowest:g} to 1"
        raise ValueError(f"expected {wanted}, got {table.min():g} to {table.max():g}")
    return table


def _spread(table: Floats, clusters: Clusters | None, facts: Clusters | None = None) -> _Spread:
    """Variance of the mean of table (n, draws), both facts (by cluster) and draws being a sample of many.

    Facts: s_c the sum of (row mean - mean) over cluster c, h_c its share of the rows;
        V_facts = sum of s_c^2 / (1 - h_c) / n^2         (CR2 of a mean: large clusters pull the mean to themselves)
        df = 1 / sum of h_c^2 - 1, at least 1            (clusters of one size: their number - 1)
    Draws: the variance of the D column means / D, less what of it is noise that V_facts holds already; df D - 1.
    The two are added, df by Satterthwaite.
    """
    n, n_draws = table.shape
    of_fact = np.arange(n) if facts is None else np.asarray([str(one) for one in facts])
    labels = of_fact if clusters is None else np.asarray([str(one) for one in clusters])
    names, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
    units, places, sizes = np.unique(of_fact, return_inverse=True, return_counts=True)
    if len(names) == 1:
        index, counts = places, sizes
    if len(units) < 2:
        return _Spread(0.0, 1.0, 1, len(units))
    shares = counts / n
    sums = np.bincount(index, weights=table.mean(axis=1) - table.mean())
    by_fact = float((sums**2 / (1 - shares)).sum() / n**2)
    df_facts = max(1.0, 1 / float((shares**2).sum()) - 1)
    draws = 0.0
    if n_draws > 1:
        noise = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
        within = float((noise**2).sum()) / ((n - 1) * (n_draws - 1)) / (n * n_draws)
        draws = max(0.0, float(table.mean(axis=0).var(ddof=1)) / n_draws - within)
    total = by_fact + draws
    if total <= DUST**2:
        return _Spread(0.0, df_facts, len(names), len(units))
    parts = by_fact**2 / df_facts + (draws**2 / (n_draws - 1) if n_draws > 1 else 0.0)
    return _Spread(total, total**2 / parts, len(names), len(units))


def _effective(one: float, spread: _Spread, n: int) -> float:
    """How many independent 0/1 answers, each of variance `one`, tell as much as the sample does (see `share`)."""
    from scipy.stats import t

    if one <= 0 or spread.variance <= 0:
        return float(spread.n_facts)
    fewer = (Z / float(t.ppf(0.975, spread.df))) ** 2
    return min(float(n), one / spread.variance * fewer)


def _tango(b: float, c: float, n: float) -> float:
    """The largest D that the score test does not refuse, b and c being shares of n pairs that went up and down.

    Its statistic n (b - c - D) / sqrt(n (2 q + D (1 - D))) is -z there, with q the larger root of
    2 q^2 - (b + c - (2 - b + c) D) q - c D (1 - D) = 0 (Tango 1998, section 3, his counts divided by n).
    """
    from scipy.optimize import brentq

    def over(d: float) -> float:
        linear = (2 - b + c) * d - b - c
        q = (np.sqrt(max(0.0, linear**2 + 8 * c * d * (1 - d))) - linear) / 4
        return float(n * (b - c - d) ** 2 - Z * Z * max(0.0, 2 * q + d * (1 - d)))

    start = min(b - c + DUST, 1.0)
    return float(brentq(over, start, 1.0)) if over(start) < 0 < over(1.0) else 1.0


def _clean(value: float) -> float:
    return 0.0 if abs(value) < DUST else value


def _method(name: str, n_eff: float, n: int, spread: _Spread) -> str:
    about = "facts of one cluster" if spread.n_clusters == 1 and n > 1 else f"{spread.n_clusters} clusters"
    return f"{name}, effective n {n_eff:.0f}, {about}"
