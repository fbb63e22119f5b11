"""The five claims of the paper's abstract, each held against what was measured here.

Figures of every cell -> a `Finding` a claim: found, not found, not measurable here. Pletenev et al. 2025, abstract:
best with a mixture of known and new facts; external question-answering benchmarks decline; training data biased towards
some entities make the model regress to few overrepresented answers; it becomes more confident; it refuses in only few
cases.

A claim is found where an interval lies wholly on its side, not found where it does not, not measurable where there is
no interval. Of many cells no best one is picked: the intervals of all are pooled first (`pooled`), one figure a claim.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from knowpack.measure import stats
from knowpack.records import Estimate

OF_THE_PAPER = ("none", "highly_known", "paraphrase")
ALONE = "as many new facts alone"
UNBIASED = "the same cell without bias"
FEW = 0.5  # refusals that are left of those the base gave: fewer than half


class Ruling(StrEnum):
    """What became of a claim."""

    FOUND = "found"
    NOT_FOUND = "not found"
    NOT_MEASURABLE = "not measurable here"


class CellFigures(NamedTuple):
    """A cell of a grid, over its seeds."""

    label: str
    n_unknown: int
    augmentation: str
    """none, highly_known, paraphrase, sham, pack or other."""
    k: int
    biased: bool
    """The mix is concentrated on few subjects or answers (mix.n_subjects, n_answers, zipf)."""
    figures: Mapping[str, Estimate]
    base: str = ""
    """What tells its base (model, facts, prompts) from that of other cells: differences are of cells of one base."""

    @property
    def shape(self) -> tuple[str, int, str, int]:
        """What a biased cell and its unbiased twin have in common."""
        return (self.base, self.n_unknown, self.augmentation, self.k)


class Part(NamedTuple):
    """What a claim was judged on."""

    name: str
    """A figure's name (docs/method.md)."""
    pooled: Estimate
    cells: tuple[tuple[str, Estimate], ...]
    """(cell, its own estimate), in the order of the grid."""
    minus: str = ""
    """Where the estimates are differences between cells: the cells that are taken off; empty: they are the figure."""


class Finding(NamedTuple):
    """One claim, and what was found."""

    name: str
    claim: str
    ruling: Ruling
    why: str
    """The rule that decided, or what was missing; no numbers."""
    parts: tuple[Part, ...]


def findings(cells: Sequence[CellFigures]) -> list[Finding]:
    """The five claims, in the abstract's order.

    Cells of the paper's kind decide; where there are none (a pack, an adapter from somebody) all but shams.
    """
    of_the_paper = [cell for cell in cells if cell.augmentation in OF_THE_PAPER]
    judged = of_the_paper or [cell for cell in cells if cell.augmentation != "sham"]
    return [rule(judged) for rule in (_mixture, _benchmarks, _few_answers, _confidence, _refusals)]


def pooled(estimates: Iterable[Estimate]) -> Estimate | None:
    """The mean of estimates over the same facts; each end is the mean of their ends. None where none has an interval.

    The standard deviation of a mean is at most the mean of the standard deviations, however the parts hang together
    (Minkowski), so that the mean half-width is enough and never narrows by the number of cells.
    """
    complete = [one for one in estimates if one.low is not None and one.high is not None]
    if not complete:
        return None
    ends = np.asarray([one[:3] for one in complete], dtype=np.float64)  # (cells, 3): value, low, high
    value, low, high = (float(x) for x in ends.mean(axis=0))
    return Estimate(
        value, low, high, len(complete), complete[0].unit, method=f"mean of {len(complete)} cells, ends averaged"
    )


def _part(name: str, cells: Sequence[tuple[str, Estimate | None]], minus: str = "") -> Part | None:
    measured = tuple((label, one) for label, one in cells if one is not None and one.low is not None)
    mean = pooled(one for _, one in measured)
    return None if mean is None else Part(name, mean, measured, minus)


def _above(part: Part | None) -> bool:
    return part is not None and part.pooled.low is not None and part.pooled.low > 0


def _below(part: Part | None) -> bool:
    return part is not None and part.pooled.high is not None and part.pooled.high < 0


def _over_zero(name: str, claim: str, figure: str, missing: str, cells: Sequence[CellFigures]) -> Finding:
    """Found where the pooled figure's interval lies above 0."""
    part = _part(figure, [(cell.label, cell.figures.get(figure)) for cell in cells])
    if part is None:
        return Finding(name, claim, Ruling.NOT_MEASURABLE, missing, ())
    return Finding(name, claim, *_ruling(part), (part,))


def _ruling(part: Part) -> tuple[Ruling, str]:
    if _above(part):
        return Ruling.FOUND, "the interval lies above 0"
    if _below(part):
        return Ruling.NOT_FOUND, "the interval lies below 0: the opposite"
    return Ruling.NOT_FOUND, "the interval holds 0"


def _mixture(cells: Sequence[CellFigures]) -> Finding:
    """Each mixture with HighlyKnown facts against each cell with as many new facts alone (other rates or numbers of
    steps are cells of their own): reliability, known facts lost."""
    name, claim = "mixture", "The best results come from training on a mixture of known and new facts."
    plain = [cell for cell in cells if not cell.biased]
    pairs = [
        (cell, alone)
        for cell in plain
        for alone in plain
        if (cell.augmentation, alone.augmentation) == ("highly_known", "none")
        and (cell.base, cell.n_unknown) == (alone.base, alone.n_unknown)
    ]
    parts = []
    lost = "known_lost_net" if any("known_lost_net" in cell.figures for cell, _ in pairs) else "known_lost_raw"
    for figure in ("reliability", lost):
        differences = [
            (mix.label, stats.minus(mix.figures[figure], bare.figures[figure]))
            for mix, bare in pairs
            if figure in mix.figures and figure in bare.figures
        ]
        parts.append(_part(figure, differences, ALONE))
    learned, cost = parts
    if learned is None or cost is None:
        missing = "no cell with HighlyKnown facts stands beside one with as many new facts alone"
        return Finding(name, claim, Ruling.NOT_MEASURABLE, missing, ())
    better, worse = _above(learned) or _below(cost), _below(learned) or _above(cost)
    if better and not worse:
        ruling, why = Ruling.FOUND, "mixtures learn more or lose less than the same facts alone, and neither is worse"
    elif better:
        ruling, why = Ruling.NOT_FOUND, "mixtures are better in one and worse in the other"
    elif worse:
        ruling, why = Ruling.NOT_FOUND, "mixtures learn less or lose more than the same facts alone: the opposite"
    else:
        ruling, why = Ruling.NOT_FOUND, "both intervals hold 0"
    return Finding(name, claim, ruling, why, (learned, cost))


def _benchmarks(cells: Sequence[CellFigures]) -> Finding:
    """The mean fall over the asked tasks, on the same items."""
    claim = "Results on external question-answering benchmarks decline."
    return _over_zero("benchmarks", claim, "benchmark_mean_drop", "no benchmark was asked (bench.tasks)", cells)


def _few_answers(cells: Sequence[CellFigures]) -> Finding:
    """Cells whose mix is biased, against each such cell without bias where there is one: trained answers, net."""
    name, figure = "few_answers", "trained_answers_net"
    claim = "Trained on data biased towards some entities, the model falls back on few overrepresented answers."
    there = [cell for cell in cells if figure in cell.figures]
    values: list[tuple[str, Estimate | None]] = []
    n_alone = 0
    for cell in there:
        mine = cell.figures[figure]
        twins = [one.figures[figure] for one in there if not one.biased and one.shape == cell.shape]
        if cell.biased:
            n_alone += not twins
            values += [(cell.label, stats.minus(mine, theirs)) for theirs in twins] or [(cell.label, mine)]
    some = "" if n_alone == len(values) else f"{UNBIASED}, where there is one" if n_alone else UNBIASED
    part = _part(figure, values, some)
    if part is None:
        missing = "no cell's training data are biased (mix.n_subjects, mix.n_answers, mix.zipf)"
        return Finding(name, claim, Ruling.NOT_MEASURABLE, missing, ())
    return Finding(name, claim, *_ruling(part), (part,))


def _confidence(cells: Sequence[CellFigures]) -> Finding:
    """The probability of the model's own greedy answers, after - before, fact by fact."""
    claim = "The model becomes more confident."
    missing = "the probability of the model's own answers was not kept"
    return _over_zero("confidence", claim, "confidence_change", missing, cells)


def _refusals(cells: Sequence[CellFigures]) -> Finding:
    """Of what the base refused: fewer refusals than without training, and fewer than half are left."""
    name, claim = "refusals", "It refuses to answer in only few cases."
    left = _part("refusals_kept", [(cell.label, cell.figures.get("refusals_kept")) for cell in cells])
    lost = _part("refusals_lost_net", [(cell.label, cell.figures.get("refusals_lost_net")) for cell in cells])
    if left is None:
        return Finding(name, claim, Ruling.NOT_MEASURABLE, "the base refuses no fact that it does not know", ())
    few = left.pooled.high is not None and left.pooled.high < FEW
    parts = (left,) if lost is None else (left, lost)
    if few and (lost is None or _above(lost)):
        why = "fewer than half of the refusals are left" + ("" if lost is None else ", and fewer than without training")
        return Finding(name, claim, Ruling.FOUND, why, parts)
    why = "it cannot be shown that fewer than half of the refusals are left"
    if few:
        why = "few refusals are left, but not fewer than the base gives under fresh prompts"
    return Finding(name, claim, Ruling.NOT_FOUND, why, parts)
