"""How sure a model is of its own answers, and whether it may be: before and after, over untrained facts.

Responses before and after + facts -> figures and the risk-coverage table. The confidence of a greedy answer is its own
probability, the product over the tokens of its first line and the token that ended it: p = exp(answer_logprob). Per
token it is p^(1/tokens), which does not fall with an answer's length and is no probability of anything: it stands
beside. Calibration is over answers that do not refuse, since "I do not know" claims nothing.

With y = 1 for a right answer, over n answers:
    Brier 1950                       brier = mean (p - y)^2
    Guo et al. 2017, 15 equal bins   ece = sum over bins b of n_b/n |mean y in b - mean p in b|
    Hanley and McNeil 1982           auroc = P(p of a right answer > p of a wrong one), ties half
    Geifman and El-Yaniv 2017        risk(c) = share wrong among the share c of answers with the highest p;
                                     aurc = mean of risk over all c
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from knowpack.measure import stats
from knowpack.records import GRADERS, Estimate, Figure, Grader, table
from knowpack.seeds import stream

Floats = NDArray[np.float64]
N_BINS = 15  # Guo et al. 2017
N_REDRAWS = 200
FLOAT_DUST = 1e-6  # what batching changes in a probability: a spread of no more is none
COVERAGES = tuple(round(0.1 * i, 1) for i in range(1, 11))


@dataclass(frozen=True, slots=True)
class RiskCoverage:
    """How often a model is wrong where it is most sure."""

    grader: str
    model: str
    """base or tuned."""
    coverage: float
    """Share of the answers, the surest first, 0..1."""
    risk: float
    """Share of those that are wrong, 0..1."""
    n: int
    """Answers counted."""


class Sure(NamedTuple):
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

    def only(self, rows: NDArray[np.bool_]) -> "Sure":
        """These answers."""
        return self._replace(**{name: getattr(self, name)[rows] for name in self._fields})


def brier(p: Floats, right: NDArray[np.bool_], weights: Floats | None = None) -> float:
    """Mean squared distance of confidence and outcome, 0..1."""
    return float(np.average((p - right) ** 2, weights=weights))


def ece(p: Floats, right: NDArray[np.bool_], weights: Floats | None = None) -> float:
    """Expected calibration error over N_BINS bins of equal width, 0..1. Chance alone lifts it, most for few answers."""
    w = np.ones(len(p)) if weights is None else weights
    place = np.minimum((p * N_BINS).astype(np.int64), N_BINS - 1)
    gaps = np.bincount(place, weights=w * (right - p), minlength=N_BINS)
    return float(np.abs(gaps).sum() / w.sum())


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
    there = covered > 0
    return float((mass[there] * wrong[there] / covered[there]).sum() / mass.sum())


Statistic = Callable[[Floats, NDArray[np.bool_], Floats | None], float | None]
STATISTICS: dict[str, tuple[Statistic, bool]] = {
    "brier": (brier, False),
    "ece": (ece, False),
    "auroc": (auroc, True),
    "aurc": (aurc, False),
}
"""Name -> function, and whether higher is better."""


def sure(responses: pl.DataFrame, facts: pl.DataFrame, trained: set[str], grader: Grader) -> Sure | None:
    """The greedy answers to the questions of untrained facts, by fact and prompt; None where none has a probability."""
    asked = facts.filter(~pl.col("fact_id").is_in(list(trained))).select(
        "fact_id", cluster=pl.coalesce("relation", "fact_id").cast(pl.Categorical).to_physical().cast(pl.Int64)
    )
    kept = responses.filter(
        pl.col("form") == 0, pl.col("sample") == 0, pl.col("answer_logprob").is_not_null(), pl.col("answer_tokens") > 0
    )
    rows = asked.with_row_index("fact").join(kept, on="fact_id", maintain_order="left").sort("fact", "prompt")
    if rows.is_empty():
        return None
    logprob, tokens = rows["answer_logprob"].to_numpy(), rows["answer_tokens"].to_numpy()
    return Sure(
        np.exp(logprob),
        np.exp(logprob / tokens),
        rows[f"matched_{grader}"].is_not_null().to_numpy(),
        rows[f"refused_{grader}"].to_numpy(),
        rows["fact"].cast(pl.Int64).to_numpy(),
        rows["cluster"].to_numpy(),
    )


def figures(before: pl.DataFrame, after: pl.DataFrame, facts: pl.DataFrame, trained: set[str]) -> list[Figure]:
    """Confidence and calibration of the base (_base), of the tuned model, and the difference (_change), both graders.

    confidence, confidence_per_token: over all greedy answers, refusals too; _change is paired by fact.
    confidence_right, confidence_wrong: over right answers, and over wrong ones that are no refusals. brier, ece, auroc,
    aurc: over answers that are no refusals. Empty where either model's probabilities were not kept, or all facts are
    trained.
    """
    found: list[Figure] = []
    for grader in GRADERS:
        sides = [sure(responses, facts, trained, grader) for responses in (before, after)]
        was, now = sides
        if was is None or now is None:
            continue
        for name, column in (("confidence", 0), ("confidence_per_token", 1)):
            found += _means(name, grader, was, now, column)
        for end, side in (("_base", was), ("", now)):
            for name, chosen in (("right", side.right), ("wrong", ~side.right & ~side.refused)):
                part = side.only(chosen)
                if len(part.p):
                    found.append(Figure(f"confidence_{name}{end}", grader, *stats.share(part.p, part.cluster)))
        found += calibration(grader, was.only(~was.refused), now.only(~now.refused))
    return found


def risk_coverage(before: pl.DataFrame, after: pl.DataFrame, facts: pl.DataFrame, trained: set[str]) -> pl.DataFrame:
    """Table of RiskCoverage: both models, both graders, over answers that are no refusals, at every tenth."""
    rows = []
    for grader in GRADERS:
        for model, responses in (("base", before), ("tuned", after)):
            side = sure(responses, facts, trained, grader)
            kept = side.only(~side.refused) if side else None
            if kept is not None and len(kept.p):
                rows += [RiskCoverage(grader, model, *point) for point in curve(kept.p, kept.right)]
    return table(rows, RiskCoverage)


def curve(p: Floats, right: NDArray[np.bool_]) -> list[tuple[float, float, int]]:
    """(coverage, risk, answers) at every tenth; answers as sure as the last one counted are counted too."""
    order = np.sort(-p)
    points = []
    for coverage in COVERAGES:
        least = -order[max(0, int(np.ceil(coverage * len(p) - 1e-9)) - 1)]
        counted = p >= least
        points.append((coverage, float((~right[counted]).mean()), int(counted.sum())))
    return points


def _means(name: str, grader: Grader, was: Sure, now: Sure, column: int) -> list[Figure]:
    """Mean over facts of the mean over prompts, and the paired difference over the facts that both answered."""
    ends = []
    for side in (was, now):
        n = np.bincount(side.fact)
        total = np.bincount(side.fact, weights=side[column])
        label = np.zeros(len(n), dtype=np.int64)
        label[side.fact] = side.cluster
        ends.append((n, total, label))
    length = min(len(n) for n, _, _ in ends)
    both = (ends[0][0][:length] > 0) & (ends[1][0][:length] > 0)
    first, second = ((total[:length][both] / n[:length][both]) for n, total, _ in ends)
    clusters = ends[0][2][:length][both]
    return [
        Figure(f"{name}_base", grader, *stats.share(first, clusters)),
        Figure(name, grader, *stats.share(second, clusters)),
        Figure(f"{name}_change", grader, *stats.difference(second - first, clusters)),
    ]


def calibration(grader: Grader, was: Sure, now: Sure) -> list[Figure]:
    """Brier, ECE, AUROC, AURC of both and their differences, relations redrawn for both alike."""
    if not len(was.p) or not len(now.p):
        return []
    weights = redraws([was, now])
    found = []
    for name, (statistic, better) in STATISTICS.items():
        points = [statistic(side.p, side.right, None) for side in (was, now)]
        drawn = [
            np.array([statistic(side.p, side.right, w) for w in weights.of(i)], dtype=np.float64)  # None: nan
            for i, side in enumerate((was, now))
        ]
        for end, value, draws, lowest in (
            ("_base", points[0], drawn[0], 0.0),
            ("", points[1], drawn[1], 0.0),
            ("_change", _minus(points[1], points[0]), drawn[1] - drawn[0], -1.0),
        ):
            if value is not None:
                n = len(was.p) if end == "_base" else len(now.p)
                estimate = _interval(value, draws, weights.df, lowest, n)
                found.append(Figure(f"{name}{end}", grader, *estimate._replace(higher_is_better=better)))
    return found


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


def redraws(sides: Sequence[Sure], seed: int = 0) -> Redraws:
    """Clusters of both models together; where there is one alone, its facts are the clusters."""
    labels = [side.cluster for side in sides]
    if len(np.unique(np.concatenate(labels))) == 1:
        labels = [side.fact for side in sides]
    names, index = np.unique(np.concatenate(labels), return_inverse=True)
    g = len(names)
    places = tuple(np.split(index.astype(np.int64), np.cumsum([len(one) for one in labels])[:-1]))
    held = np.bincount(index, minlength=g) / len(index)
    times = stream(seed, "redraws", "confidence").multinomial(g, np.full(g, 1 / g), size=N_REDRAWS).astype(np.float64)
    return Redraws(times, places, max(1.0, 1 / float((held**2).sum()) - 1))


def _interval(value: float, drawn: Floats, df: float, lowest: float, n: int) -> Estimate:
    """value +- t_df x the standard deviation over redraws x sqrt(G/(G-1)), within lowest..1; none without spread."""
    from scipy.stats import t

    kept = drawn[np.isfinite(drawn)]
    spread = float(kept.std(ddof=1)) if len(kept) > 1 else 0.0
    if spread <= FLOAT_DUST:
        return Estimate(value, None, None, n, method="no spread, no interval")
    half = float(t.ppf(0.975, df)) * spread * float(np.sqrt((df + 1) / df))
    return Estimate(
        value, max(lowest, value - half), min(1.0, value + half), n, method=f"relations redrawn, t, {df:.0f} df"
    )


def _minus(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first - second
