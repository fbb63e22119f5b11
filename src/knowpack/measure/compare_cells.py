"""Cells of a grid against each other: which differ, which are equivalent, and how harm grows with the number of facts.

Outcomes (one row a run and known, untrained fact: was it lost?) -> a Comparison for every pair of cells, and a Dose.
Both cells of a pair are of one base, asked the same prompts about the same facts: what the prompts do cancels, and no
floor is needed. Facts of one relation move together: relations are what is redrawn, flipped or summed over here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from knowpack.errors import FactsError
from knowpack.measure import p_values, stats
from knowpack.records import Estimate
from knowpack.seeds import stream

Floats = NDArray[np.float64]
MARGIN = 0.02  # two points of known facts lost: what counts as equivalent
N_FLIPS = 20_000
MOST_EXACT = 14  # clusters of which all 2^14 flips are tried


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one fact in one run: HighlyKnown to the base, not trained."""

    label: str
    seed: int
    n_unknown: int
    fact_id: str
    cluster: str
    """Its relation; itself where it has none."""
    lost: float
    """1 = it is not HighlyKnown any more, 0 = it is."""
    base: str = ""
    """The model, facts and prompts that it was HighlyKnown by."""


class Comparison(NamedTuple):
    """Two cells on the same facts."""

    first: str
    second: str
    difference: Estimate
    """Share of known facts lost, second - first; n counts facts."""
    p: float
    """Two-sided, that there is no difference (`flip_test`)."""
    p_holm: float
    """Corrected for all pairs of the grid."""
    p_equivalent: float
    """TOST: that the difference is larger than MARGIN either way; small = shown to be equivalent."""


class Dose(NamedTuple):
    """How the share of known facts lost grows with the number of facts trained."""

    slope: Estimate
    """Share more a tenfold number of facts; n counts fact and run pairs."""
    p: float
    n_runs: int
    sizes: tuple[int, ...]
    """The different numbers of facts trained."""


def pairs(outcomes: pl.DataFrame, seed: int = 0) -> list[Comparison]:
    """Table of Outcome -> every pair of cells with facts in common, in order of first appearance, Holm over all.

    Cells of two bases have none in common: each base's own noise, which raw losses hold, would pass for a difference.
    Over several seeds a fact's difference is the mean over the seeds in which neither cell trained it.
    """
    labels = outcomes["label"].unique(maintain_order=True).to_list()
    parts = {label: outcomes.filter(pl.col("label") == label) for label in labels}
    tests = []
    for first, second in combinations(labels, 2):
        keys = ["fact_id", "cluster", "seed", "base"]
        both = parts[first].join(parts[second].select(*keys, other="lost"), on=keys)
        if both.is_empty():
            continue
        deltas = both.group_by("fact_id", "cluster", maintain_order=True).agg(
            d=(pl.col("other") - pl.col("lost")).mean()
        )
        d, clusters = deltas["d"].to_numpy(), deltas["cluster"].to_numpy()
        estimate = stats.difference(d, clusters)
        tests.append((first, second, estimate, flip_test(d, clusters, seed), equivalence(d, clusters)))
    adjusted = p_values.holm([one[3] for one in tests])
    return [
        Comparison(first, second, estimate, p, p_holm, p_equivalent)
        for (first, second, estimate, p, p_equivalent), p_holm in zip(tests, adjusted, strict=True)
    ]


def flip_test(deltas: Floats, clusters: Sequence[object] | NDArray[np.generic], seed: int = 0) -> float:
    """Two-sided p that paired differences are centred on 0: the signs of whole clusters are flipped at random.

    If the two cells do the same, exchanging them within a relation changes nothing: each sum s_c is as likely -s_c.
        p = share of sign vectors e with |sum e_c s_c| >= |sum s_c|
    All sign vectors up to MOST_EXACT clusters that are not 0, else N_FLIPS of them, the observed one counted in. With
    one fact a cluster and 0/1 outcomes this is McNemar's exact test (both tails).
    """
    sums = cluster_sums(deltas, clusters)
    sums = sums[np.abs(sums) > 1e-12]
    if not len(sums):
        return 1.0
    most = abs(sums.sum()) - 1e-9
    if len(sums) <= MOST_EXACT:
        signs = np.array(list(product((-1.0, 1.0), repeat=len(sums))))  # (2^clusters, clusters)
        return float((np.abs(signs @ sums) >= most).mean())
    rng, hits = stream(seed, "flips"), 0
    for start in range(0, N_FLIPS, 1000):
        signs = rng.integers(0, 2, size=(min(1000, N_FLIPS - start), len(sums))) * 2.0 - 1.0
        hits += int((np.abs(signs @ sums) >= most).sum())
    return (hits + 1) / (N_FLIPS + 1)


def equivalence(deltas: Floats, clusters: Sequence[object] | NDArray[np.generic], margin: float = MARGIN) -> float:
    """Schuirmann's two one-sided tests (TOST): p that the mean difference lies outside -margin..margin.

        p = max over both sides of P(t_df > (margin -+ d) / se),  se^2 = G/(G-1) sum_c (s_c - n_c d)^2 / n^2
    Where no fact differs se says nothing; then Tango's bound, which is z^2 / (n + z^2) there, is set equal to the
    margin and gives z. One cluster alone: facts are taken as independent, as `stats.difference` does.
    """
    from scipy.stats import norm, t

    n, d = len(deltas), float(np.mean(deltas))
    if np.ptp(deltas) == 0 and d == 0:
        return float(norm.sf(np.sqrt(n * margin / (1 - margin))))
    labels = np.asarray([str(one) for one in clusters])
    if len(np.unique(labels)) == 1:
        labels = np.arange(n).astype(str)
    residuals = cluster_sums(deltas - d, labels)
    g = len(residuals)
    se = float(np.sqrt(g / (g - 1) * (residuals**2).sum())) / n if g > 1 else 0.0
    if se == 0:
        return 0.0 if abs(d) < margin and n > 1 else 1.0
    return float(max(t.sf((margin - d) / se, g - 1), t.sf((margin + d) / se, g - 1)))


def dose_response(outcomes: pl.DataFrame) -> Dose | None:
    """The slope of lost on log10 n over all runs of the table; None with fewer than three different n.

    Least squares y = a + b log10 n over facts and runs, with the variance of Cameron, Gelbach and Miller (2011), for a
    fact is in many runs and all facts of a run share its adapter, seed and order:
        V = V_relations + V_runs - V_both,  V_g = A^-1 (sum over clusters u_c u_c') A^-1 G/(G-1),  u_c = sum of x e
    with A = X'X; t with (the fewer of relations and runs) - 2 degrees of freedom. Seeds and facts are so to speak
    random effects: the interval holds for other seeds and for other facts of such relations.
    """
    from scipy.stats import t

    sizes = tuple(sorted(outcomes["n_unknown"].unique().to_list()))
    if len(sizes) < 3:
        return None
    if sizes[0] < 1:
        raise FactsError(f"a dose of {sizes[0]} facts has no logarithm; leave such cells out")
    x = np.column_stack([np.ones(len(outcomes)), np.log10(outcomes["n_unknown"].to_numpy())])  # (rows, 2)
    y = outcomes["lost"].to_numpy()
    inverse = np.linalg.inv(x.T @ x)
    beta = inverse @ (x.T @ y)
    scores = x * (y - x @ beta)[:, None]  # (rows, 2)
    runs = outcomes.select(pl.format("{}\x1f{}", "label", "seed")).to_series().to_numpy()
    relations = outcomes["cluster"].to_numpy()
    both = np.asarray([f"{a}\x1f{b}" for a, b in zip(runs, relations, strict=True)])
    meats = [_meat(scores, labels) for labels in (relations, runs, both)]
    variance = (inverse @ (meats[0] + meats[1] - meats[2]) @ inverse)[1, 1]
    largest = max((inverse @ meat @ inverse)[1, 1] for meat in meats[:2])
    se = float(np.sqrt(max(variance, largest)))  # the two-way estimate can be negative: never below the one-way ones
    n_runs, n_relations = len(np.unique(runs)), len(np.unique(relations))
    df = max(1, min(n_runs, n_relations if n_relations > 1 else n_runs) - 2)
    half, slope = float(t.ppf(0.975, df)) * se, float(beta[1])
    estimate = Estimate(slope, slope - half, slope + half, len(y), higher_is_better=False, method="two-way clustered t")
    return Dose(estimate, float(2 * t.sf(abs(slope) / se, df)) if se else 1.0, n_runs, sizes)


def cluster_sums(values: Floats, clusters: Sequence[object] | NDArray[np.generic]) -> Floats:
    """(clusters,) sum of the values of each."""
    _, index = np.unique(np.asarray([str(one) for one in clusters]), return_inverse=True)
    return np.bincount(index, weights=np.asarray(values, dtype=np.float64)).astype(np.float64)


def _meat(scores: Floats, labels: NDArray[np.generic]) -> Floats:
    """sum over clusters of u u' times G/(G-1); 0 for a single cluster, whose scores sum to 0."""
    _, index = np.unique(labels.astype(str), return_inverse=True)
    g = int(index.max()) + 1
    if g < 2:
        return np.zeros((scores.shape[1], scores.shape[1]))
    sums = np.stack([np.bincount(index, weights=column) for column in scores.T], axis=1)  # (clusters, 2)
    return np.asarray(sums.T @ sums * g / (g - 1))
