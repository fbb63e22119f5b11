"""Whether a model may be as sure as it is: calibration of confidences p against right answers y, with intervals.

Answers -> brier, ece, auroc, aurc and the risk at each coverage. With y = 1 for a right answer, over n answers:
    Brier 1950                       brier = mean (p - y)^2
    Guo et al. 2017, 15 equal bins   ece = sum over bins b of n_b/n |mean y in b - mean p in b|
    Hanley and McNeil 1982           auroc = P(p of a right answer > p of a wrong one), ties half
    Geifman and El-Yaniv 2017        risk(c) = share wrong among the share c of answers with the highest p;
                                     aurc = mean of risk over all c
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from knowpack.records import Estimate, Figure, Grader
from knowpack.seeds import stream

Floats = NDArray[np.float64]
N_BINS = 15  # Guo et al. 2017
N_REDRAWS = 200
FLOAT_DUST = 1e-6  # what batching changes in a probability: a spread of no more is none
COVERAGES = tuple(round(0.1 * i, 1) for i in range(1, 11))


class Confidences(NamedTuple):
    """Greedy answers of one model to untrained facts; arrays (answers,)."""

    p: Floats
    """The answer's own probability."""
    per_token: Floats
    """p^(1/tokens)."""
    right: NDArray[np.bool_]
    refused: NDArray[np.bool_]
    fact: NDArray[np.int64]
    """Index of its fact."""
    cluster: NDArray[np.int64]
    """Index of the fact's relation, of itself where it has none."""

    def only(self, rows: NDArray[np.bool_]) -> "Confidences":
        """These answers."""
        return self._replace(**{name: getattr(self, name)[rows] for name in self._fields})


def brier(p: Floats, right: NDArray[np.bool_], weights: Floats | None = None) -> float:
    """Mean squared distance of confidence and outcome, 0..1."""
    return float(np.average((p - right) ** 2, weights=weights))


def gaps(p: Floats, right: NDArray[np.bool_], weights: Floats | None = None) -> Floats:
    """(N_BINS,) of each bin: share of answers times (share right - mean confidence)."""
    w = np.ones(len(p)) if weights is None else weights
    place = np.minimum((p * N_BINS).astype(np.int64), N_BINS - 1)
    result: Floats = np.bincount(place, weights=w * (right - p), minlength=N_BINS) / w.sum()
    return result


def ece(p: Floats, right: NDArray[np.bool_], weights: Floats | None = None) -> float:
    """Expected calibration error over N_BINS bins of equal width, 0..1. Chance alone lifts it, most for few answers."""
    return float(np.abs(gaps(p, right, weights)).sum())


def auroc(p: Floats, right: NDArray[np.bool_], weights: Floats | None = None) -> float | None:
    """The chance that a right answer is given with more confidence than a wrong one; None where either is missing."""
    w = np.ones(len(p)) if weights is None else weights
    _, level = np.unique(p, return_inverse=True)
    won = np.bincount(level, weights=w * right)  # by confidence, from the lowest
    lost = np.bincount(level, weights=w * ~right)
    pairs = won.sum() * lost.sum()
    below = np.cumsum(lost) - lost
    return float((won * (below + lost / 2)).sum() / pairs) if pairs > 0 else None


def aurc(p: Floats, right: NDArray[np.bool_], weights: Floats | None = None) -> float:
    """Area under the risk-coverage curve, 0..1: the mean, over all coverages, of the share that is wrong."""
    w = np.ones(len(p)) if weights is None else weights
    _, level = np.unique(-p, return_inverse=True)
    mass = np.bincount(level, weights=w)  # from the highest confidence
    wrong = np.cumsum(np.bincount(level, weights=w * ~right))
    covered = np.cumsum(mass)
    has_mass = covered > 0
    return float((mass[has_mass] * wrong[has_mass] / covered[has_mass]).sum() / mass.sum())


Statistic = Callable[[Floats, NDArray[np.bool_], Floats | None], float | None]
STATISTICS: dict[str, tuple[Statistic, bool]] = {
    "brier": (brier, False),
    "ece": (ece, False),
    "auroc": (auroc, True),
    "aurc": (aurc, False),
}
"""Name -> function, and whether higher is better."""


def curve(p: Floats, right: NDArray[np.bool_]) -> list[tuple[float, float, int]]:
    """(coverage, risk, answers) at every tenth; answers as sure as the last one counted are counted too."""
    order = np.sort(-p)
    points = []
    for coverage in COVERAGES:
        least = -order[max(0, int(np.ceil(coverage * len(p) - 1e-9)) - 1)]
        counted = p >= least
        points.append((coverage, float((~right[counted]).mean()), int(counted.sum())))
    return points


def calibration(grader: Grader, was: Confidences, now: Confidences) -> list[Figure]:
    """Brier, ECE, AUROC, AURC of both and their differences, relations redrawn for both alike."""
    if not len(was.p) or not len(now.p):
        return []
    weights = redraws([was, now])
    figures = []
    for name, (statistic, better) in STATISTICS.items():
        points = [statistic(side.p, side.right, None) for side in (was, now)]
        drawn = [
            np.array([statistic(side.p, side.right, w) for w in weights.of(i)], dtype=np.float64)  # None: nan
            for i, side in enumerate((was, now))
        ]
        ends: list[Estimate | None] = [
            None if value is None else _interval(value, drawn[i], weights.df, 0.0, len(side.p))
            for i, (value, side) in enumerate(zip(points, (was, now), strict=True))
        ]
        change = None
        if points[0] is not None and points[1] is not None:
            change = _interval(points[1] - points[0], drawn[1] - drawn[0], weights.df, -1.0, len(now.p))
        if name == "ece":
            was_lifted, now_lifted = (lifted(side, weights, i) for i, side in enumerate((was, now)))
            ends = [_for_bias(ends[0], was_lifted, 0.0), _for_bias(ends[1], now_lifted, 0.0)]
            change = _for_bias(change, now_lifted, was_lifted)
        for end, estimate in (("_base", ends[0]), ("", ends[1]), ("_change", change)):
            if estimate is not None:
                figures.append(Figure(f"{name}{end}", grader, *estimate._replace(higher_is_better=better)))
    return figures


def lifted(side: Confidences, weights: "Redraws", model: int) -> float:
    """By how much chance can lift an ECE, on average, at most.

    ece = |d|, the sum of the absolute gaps d_b of the bins, and d = true gaps + noise e, so that E|d| - |true| is
    between 0 (one sign in every bin, gaps far above the noise) and E|e| (a calibrated model, whose ECE is all chance).
    Redrawn samples d* tell E|e|: the mean of |d* - d|, times sqrt(G/(G-1)).
    """
    d = gaps(side.p, side.right)
    noise = [float(np.abs(gaps(side.p, side.right, w) - d).sum()) for w in weights.of(model)]
    return float(np.mean(noise)) * float(np.sqrt((weights.df + 1) / weights.df))


def _for_bias(estimate: Estimate | None, too_high: float, too_low: float) -> Estimate | None:
    """The ends moved out by how far the value may lie above and below the truth on average."""
    if estimate is None or estimate.low is None or estimate.high is None:
        return estimate
    lowest = 0.0 if too_low == 0 else -1.0
    low, high = max(lowest, estimate.low - too_high), min(1.0, estimate.high + too_low)
    return estimate._replace(low=low, high=high, method=f"{estimate.method}, chance's lift taken in")


class Redraws(NamedTuple):
    """Relations drawn again with replacement, the same draw for both models."""

    times: Floats
    """(redraws, clusters) how often each is drawn."""
    places: tuple[NDArray[np.int64], ...]
    """For each model: (answers,) index of the answer's cluster."""
    df: float
    """1 / sum of (share of answers)^2 - 1, at least 1."""

    def of(self, model: int) -> Iterator[Floats]:
        """(answers,) weights of each redraw."""
        return (times[self.places[model]] for times in self.times)


def redraws(sides: Sequence[Confidences], seed: int = 0) -> Redraws:
    """Clusters of both models together; where there is one alone, its facts are the clusters."""
    labels = [side.cluster for side in sides]
    if len(np.unique(np.concatenate(labels))) == 1:
        labels = [side.fact for side in sides]
    names, index = np.unique(np.concatenate(labels), return_inverse=True)
    g = len(names)
    places = tuple(np.split(index.astype(np.int64), np.cumsum([len(one) for one in labels])[:-1]))
    shares = np.bincount(index, minlength=g) / len(index)
    times = stream(seed, "redraws", "confidence").multinomial(g, np.full(g, 1 / g), size=N_REDRAWS).astype(np.float64)
    return Redraws(times, places, max(1.0, 1 / float((shares**2).sum()) - 1))


def _interval(value: float, drawn: Floats, df: float, lowest: float, n: int) -> Estimate:
    """value +- t_df x the standard deviation over redraws x sqrt(G/(G-1)), within lowest..1; none without spread."""
    from scipy.stats import t

    finite = drawn[np.isfinite(drawn)]
    spread = float(finite.std(ddof=1)) if len(finite) > 1 else 0.0
    if spread <= FLOAT_DUST:
        return Estimate(value, None, None, n, method="no spread, no interval")
    half = float(t.ppf(0.975, df)) * spread * float(np.sqrt((df + 1) / df))
    return Estimate(
        value, max(lowest, value - half), min(1.0, value + half), n, method=f"relations redrawn, t, {df:.0f} df"
    )
