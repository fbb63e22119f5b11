"""What an adapter cost: one function a figure, the only place where harm is defined (a test looks for a second).

What base and adapter know, fact by fact -> `Estimate`s. Everything that prints, decides or colours calls these.

raw    before and after under the prompts A that also said which facts were known (the paper's Table 3). A fact at 10
       of 10 under A that is at 9 of 10 under other prompts counts as lost, though nothing was trained.
floor  the base under A against the base under fresh prompts B: what raw shows of an adapter that does nothing.
net    facts are chosen by what the base knew under A; base and adapter are both asked under B. Fact by fact
           net = mean over draws B1, B2, ... of  lost_B(adapter) - lost_B(base)
       An adapter that changes nothing has lost_B(adapter) = lost_B(base) for every fact: net is 0. Chance in choosing
       under A is in both terms alike (no regression to the mean). Raw - floor, used before, is 0 - floor then.

None = not measured, or no such facts: never 0.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from knowpack.measure import stats
from knowpack.measure.stakes import HIGHLY, REFUSED, Draw, Stakes, from_shifts, untrained
from knowpack.records import GRADERS, Estimate, Figure, Grader


def known_lost_raw(stakes: Stakes) -> Estimate | None:
    """Of the facts HighlyKnown under A: the share that is not so after, under A."""
    known = stakes.only(stakes.before == HIGHLY)
    return _share((known.after < HIGHLY)[:, None], known.after[:, None], known.cluster)


def known_lost_by_fact(shifts: pl.DataFrame, facts: pl.DataFrame, grader: Grader) -> pl.DataFrame:
    """What known_lost_raw is the mean of, fact by fact: [fact_id, cluster, lost], lost 0.0 or 1.0."""
    stakes = from_shifts(shifts, facts, grader)
    ids = shifts.filter((pl.col("grader") == grader) & ~pl.col("trained"))["fact_id"]
    every = pl.DataFrame(
        {"fact_id": ids, "cluster": stakes.cluster, "lost": (stakes.after < HIGHLY).astype(np.float64)}
    )
    return every.filter(pl.Series(stakes.before == HIGHLY))


def known_lost_floor(stakes: Stakes) -> Estimate | None:
    """Of the facts HighlyKnown under A: the share that is not so under B, the base being as it was."""
    known = stakes.only(stakes.before == HIGHLY)
    return _share(known.base < HIGHLY, known.base, known.cluster)


def known_lost_net(stakes: Stakes) -> Estimate | None:
    """Of the facts HighlyKnown under A: how many more the adapter fails under B than the base does."""
    known = stakes.only(stakes.before == HIGHLY)
    return _net(known.tuned < HIGHLY, known.base < HIGHLY, known)


def harm_raw(stakes: Stakes) -> Estimate | None:
    """The share of facts whose category fell, under A."""
    return _share((stakes.after < stakes.before)[:, None], stakes.after[:, None], stakes.cluster)


def harm_floor(stakes: Stakes) -> Estimate | None:
    """The share of facts that fall below their category under A when the base is asked under B."""
    ranks = _nothing_to_lose(stakes.base, stakes.before)
    return _share(ranks < stakes.before[:, None], ranks, stakes.cluster)


def harm_net(stakes: Stakes) -> Estimate | None:
    """How many more facts stand below their category under A with the adapter than without it, both under B."""
    tuned, base = (_nothing_to_lose(side, stakes.before) for side in (stakes.tuned, stakes.base))
    before = stakes.before[:, None]
    return _net(tuned < before, base < before, stakes._replace(tuned=tuned, base=base))


def gain_raw(stakes: Stakes) -> Estimate | None:
    """The share of facts whose category rose, under A."""
    return _share((stakes.after > stakes.before)[:, None], stakes.after[:, None], stakes.cluster, better=True)


def gain_floor(stakes: Stakes) -> Estimate | None:
    """The share of facts that rise above their category under A when the base is asked under B1."""
    base = stakes.base[:, :1]  # later draws ask only what is at stake
    return _share(base > stakes.before[:, None], base, stakes.cluster, better=True)


def gain_net(stakes: Stakes) -> Estimate | None:
    """How many more facts stand above their category under A with the adapter than without it, both under B1."""
    first = stakes._replace(tuned=stakes.tuned[:, :1], base=stakes.base[:, :1])
    before = stakes.before[:, None]
    return _net(first.tuned > before, first.base > before, first, better=True)


def refusals_kept(stakes: Stakes) -> Estimate | None:
    """Of the Unknown facts that the base refused under A: the share of answers that still refuse, under A (raw)."""
    refused = stakes.only((stakes.before == 0) & (stakes.refused >= REFUSED))
    return _share(refused.refused_after[:, None], refused.refused_after[:, None], refused.cluster, better=True)


def refusals_kept_floor(stakes: Stakes) -> Estimate | None:
    """Of the same facts: the share of the base's own answers that refuse under B."""
    refused = stakes.only((stakes.before == 0) & (stakes.refused >= REFUSED))
    return _share(refused.base_refused, refused.base_refused, refused.cluster, better=True)


def refusals_lost_net(stakes: Stakes) -> Estimate | None:
    """Of the same facts: how much smaller the share of refusing answers is with the adapter, both under B."""
    refused = stakes.only((stakes.before == 0) & (stakes.refused >= REFUSED))
    shares = refused._replace(tuned=refused.tuned_refused, base=refused.base_refused)
    return _net(1 - refused.tuned_refused, 1 - refused.base_refused, shares)


def reliability(p_correct: Sequence[float] | NDArray[np.float64], clusters: Sequence[object] | None = None) -> Estimate:
    """The mean share of right answers to the trained facts. Raises ValueError where there are none."""
    return stats.share(p_correct, clusters)._replace(higher_is_better=True)


def benchmark_drop(compared: pl.DataFrame) -> Estimate | None:
    """bench.compare's table -> the fall whose interval reaches furthest, of the asked tasks' judged metrics.

    A share of the metric's range, positive = worse, whichever way the metric runs (1 BLEU point is .01). Subjects and
    groups are not judged: the worst of 57 noisy subjects falls whatever happens. None where no metric has a range.
    """
    falls = [fall for falls in _falls(compared).values() for fall in falls]
    return max(falls, key=lambda fall: fall.high or 0.0) if falls else None


def benchmark_mean_drop(compared: pl.DataFrame) -> Estimate | None:
    """bench.compare's table -> the mean fall over the asked tasks, a share of the range; none is picked.

    A task's metrics are read off the same items: its fall and its ends are the means of theirs. Tasks have items of
    their own: with d_i the distance of task i's fall to an end, that of the mean of k is sqrt(sum d_i^2) / k. n: tasks.
    """
    tasks = [
        np.asarray([one[:3] for one in falls], dtype=np.float64).mean(axis=0) for falls in _falls(compared).values()
    ]
    if not tasks:
        return None
    value, low, high = np.stack(tasks).T  # (tasks,) each
    mean, k = float(value.mean()), len(tasks)
    below, above = (float(np.sqrt(((end - value) ** 2).sum())) / k for end in (low, high))
    return Estimate(mean, mean - below, mean + above, k, higher_is_better=False, method=f"mean of {k} tasks")


def _falls(compared: pl.DataFrame) -> dict[str, list[Estimate]]:
    """The fall of every judged metric by asked task, as a share of the metric's range, positive = worse."""
    judged = compared.filter((pl.col("level") == "task") & pl.col("scale").is_not_null() & pl.col("low").is_not_null())
    falls: dict[str, list[Estimate]] = {}
    for row in judged.select("task", "difference", "low", "high", "n", "scale", "higher_is_better").iter_rows():
        task, difference, low, high, n, scale, better = row
        sign = -1 / scale if better else 1 / scale
        ends = sorted((sign * low, sign * high))
        fall = Estimate(sign * difference, ends[0], ends[1], n, higher_is_better=False, method="Tango, by item")
        falls.setdefault(task, []).append(fall)
    return falls


FIGURES = (
    known_lost_raw,
    known_lost_floor,
    known_lost_net,
    harm_raw,
    harm_floor,
    harm_net,
    gain_raw,
    gain_floor,
    gain_net,
    refusals_kept,
    refusals_kept_floor,
    refusals_lost_net,
)
"""Every figure over untrained facts; its name is the function's."""


def figures(
    before: pl.DataFrame, after: pl.DataFrame | None, draws: Sequence[Draw], facts: pl.DataFrame, trained: set[str]
) -> list[Figure]:
    """All of FIGURES under both graders; what could not be measured is left out."""
    result = []
    for grader in GRADERS:
        stakes = untrained(before, after, draws, facts, trained, grader)
        for figure in FIGURES:
            estimate = figure(stakes)
            if estimate is not None:
                result.append(Figure(figure.__name__, grader, *estimate))
    return result


def _nothing_to_lose(ranks: NDArray[np.float64], before: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks under B with 0 where the base did not know the fact under A and it was not asked: it cannot fall."""
    return np.where(np.isnan(ranks) & (before[:, None] == 0), 0.0, ranks)


def _share(
    values: NDArray[np.generic], ranks: NDArray[np.float64], cluster: NDArray[np.str_], *, better: bool = False
) -> Estimate | None:
    """values: (n, draws), counted where `ranks` is no nan in any draw."""
    rows = ~np.isnan(ranks).any(axis=1)
    if not rows.any() or ranks.shape[1] == 0:
        return None
    return stats.share(values[rows], cluster[rows])._replace(higher_is_better=better)


def _net(
    tuned: NDArray[np.generic], base: NDArray[np.generic], stakes: Stakes, *, better: bool = False
) -> Estimate | None:
    """Mean of tuned - base over draws and facts, where both were asked under every draw."""
    rows = ~(np.isnan(stakes.tuned) | np.isnan(stakes.base)).any(axis=1)
    if not rows.any() or stakes.tuned.shape[1] == 0:
        return None
    delta = (tuned.astype(np.float64) - base.astype(np.float64))[rows]
    drawn = f"{delta.shape[1]} draw{'s' if delta.shape[1] > 1 else ''} of prompts"
    estimate = stats.difference(delta, stakes.cluster[rows])
    return estimate._replace(higher_is_better=better, method=f"{estimate.method}, {drawn}")
