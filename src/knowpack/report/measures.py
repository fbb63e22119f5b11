"""The figures that the report prints: a run's own figures.json first, what is missing counted from its shifts.

Run -> grader -> name -> Estimate; Source -> one row a cell, with intervals over seeds. Trained facts never count as
harm; `positive` and `negative` alone are shares of all facts, as in the paper's Table 3.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import polars as pl

from knowpack.measure import causes as cause_rules
from knowpack.measure import harm, own_answers, stakes, stats
from knowpack.measure import shifts as shift_figures
from knowpack.measure.evidence import Direction
from knowpack.records import GRADERS, Category, Estimate, Grader, Kind, Kinship
from knowpack.report.finished_run import Cell, Run
from knowpack.report.source import Source

ORDER = {str(category): rank for rank, category in enumerate(Category)}
NAMES: dict[str, str] = {
    "reliability": "Reliability",
    "reliability_held_out": "Reliability in wordings not trained",
    "known_lost_raw": "Known facts lost, raw",
    "known_lost_net": "Known facts lost, net of noise",
    "known_lost_floor": "Noise floor of known facts lost",
    "known_lost_net_no_replay_subject": "Known facts lost, net, of subjects without replay",
    "known_lost_net_no_replay_relation": "Known facts lost, net, of relations without replay",
    "own_lost_raw": "Own answers to its own questions lost, raw",
    "own_lost_net": "Own answers to its own questions lost, net of noise",
    "own_lost_floor": "Noise floor of own answers lost",
    "harm_raw": "Facts that fell, raw",
    "harm_net": "Facts that fell, net of noise",
    "sham_harm": "Facts that fell under a sham adapter",
    "harm_net_sham": "Facts that fell, net of a sham adapter",
    "trained_answers": "Trained answers to other questions",
    "trained_answers_placebo": "Placebo: as many answers not trained",
    "trained_answers_net": "Trained answers, net of base and placebo",
    "answer_kl": "KL of the answers to the base's, nats",
    "gain_raw": "Facts that rose, raw",
    "positive": "Positive shift, trained facts too",
    "negative": "Negative shift, trained facts too",
    "refusals_kept": "Refusals kept, raw",
    "refusals_lost_net": "Refusals lost, net of noise",
    "refused_known": "False refusals of known facts",
    "benchmark_drop": "Largest fall of a benchmark",
    "benchmark_mean_drop": "Mean fall of the benchmarks",
    "confidence_change": "Probability of its own answers, after - before",
    "n_refused_first_base": "Refusals of the base, first prompt",
    "n_refused_first": "Refusals after training, first prompt",
    "n_unique_answers": "Unique answers, all prompts",
    "top_ten_share": "Share of the ten most frequent answers",
    "entropy": "Entropy of the answers, nats",
}
"""Estimate -> what it is called in print; the order is that of the tables."""


class CellMeasure(NamedTuple):
    """A measure of one cell, over its seeds."""

    label: str
    cell: Cell
    grader: Grader
    name: str
    measure: Estimate
    n_seeds: int
    """1: the interval is that over facts; more: over facts and seeds."""


class Kin(NamedTuple):
    """Harm among the untrained facts of one kinship."""

    kinship: str
    lost: Estimate
    """Share of facts that were HighlyKnown and are not; n counts them."""
    n_facts: int
    """Untrained facts of this kinship, whatever they were."""


class CauseShare(NamedTuple):
    """A cause of one kind of move, over the facts that made it (trained ones too, by the paper's grader)."""

    cause: str
    """Name of a `CauseRule`, or unexplained."""
    label: str
    share: Estimate
    base_rate: Estimate | None
    """The same share in the control group; None = not measured."""
    placebo: Estimate | None
    """The same share, had as many untrained facts been trained; None = the cause does not ask what was trained."""


def of(run: Run, grader: Grader) -> dict[str, Estimate]:
    """All measures of a run under one grader; what could not be measured is absent.

    A folder without figures.json (laid out by hand) has those that its Shift table gives.
    """
    estimates = dict(run.figures.get(grader, {}))
    for drop in (harm.benchmark_drop, harm.benchmark_mean_drop):
        fall = None if run.paired is None else drop(run.paired)
        if fall is not None:
            estimates[drop.__name__] = fall
    if "positive" in estimates and estimates.keys() & {"known_lost_raw", "own_lost_raw"}:
        return estimates
    read_off = {
        one.name: one.estimate for one in shift_figures.summary(run.shifts, run.facts()) if one.grader == grader
    }
    untrained = stakes.from_shifts(run.shifts, run.facts(), grader)
    for figure in (harm.known_lost_raw, harm.harm_raw, harm.gain_raw):
        estimate = figure(untrained)
        if estimate is not None:
            read_off[figure.__name__] = estimate
    if run.asks_its_own:
        read_off = own_answers.named(read_off)
    return {name: one for name, one in read_off.items() if name in NAMES} | estimates


def under(shifts: pl.DataFrame, grader: Grader) -> pl.DataFrame:
    """The rows of one grader."""
    return shifts.filter(pl.col("grader") == grader)


def matrix(shifts: pl.DataFrame, *, trained: bool) -> list[list[int]]:
    """Counts [before][after] in the order of Category, over the trained or the untrained facts."""
    counts = [[0] * len(ORDER) for _ in ORDER]
    grouped = shifts.filter(pl.col("trained") == trained).group_by("before", "after").len()
    for before, after, n in grouped.iter_rows():
        counts[ORDER[before]][ORDER[after]] = n
    return counts


def occupied(counts: Sequence[Sequence[int]]) -> list[int]:
    """The categories of such a matrix that hold a fact before or after, as indices, the best known first."""
    return [i for i in reversed(range(len(counts))) if any(counts[i]) or any(row[i] for row in counts)]


def kinship(run: Run, grader: Grader) -> list[Kin]:
    """Known facts lost, by nearness to the trained facts; empty where the training facts are not known."""
    shifts = under(run.shifts, grader).filter(~pl.col("trained"))
    kins = []
    for kin in Kinship:
        group = shifts.filter(pl.col("kinship") == str(kin))
        lost = harm.known_lost_raw(stakes.from_shifts(group, run.facts(), grader))
        if lost is not None:
            kins.append(Kin(str(kin), lost, len(group)))
    return kins


def causes(run: Run, grader: Grader, *, up: bool) -> list[CauseShare]:
    """Causes of Unknown -> HighlyKnown (up) or HighlyKnown -> Unknown, overlapping, then the unexplained rest."""
    moved = movers(under(run.shifts, grader), up=up)
    if moved.is_empty():
        return []
    figures = run.figures.get(grader, {})
    way: Direction = "up" if up else "down"
    listed = [(str(r.name), r.label, r.needs_examples) for r in cause_rules.RULES if way in r.directions]
    examples = run.examples()
    has_new_facts = examples is not None and str(Kind.UNKNOWN) in examples["kind"]
    counts = {name: int(moved["causes"].list.contains(name).sum()) for name, _, _ in listed}
    counts["unexplained"] = int((moved["causes"].list.len() == 0).sum())
    return [
        CauseShare(
            name,
            label,
            stats.wilson(counts[name], len(moved)),
            figures.get(f"{way}_{name}_base_rate"),
            figures.get(f"{way}_{name}_placebo"),
        )
        for name, label, needs in [*listed, ("unexplained", "unexplained", False)]
        if has_new_facts or not needs
    ]


def movers(shifts: pl.DataFrame, *, up: bool) -> pl.DataFrame:
    """The facts that went all the way: Unknown -> HighlyKnown (up), or back; greedy answers know no WeaklyKnown.

    Trained facts count where the grader's rules count them: with the paper's, not with ours.
    """
    low, high = ("before", "after") if up else ("after", "before")
    weak = [str(Category.UNKNOWN), str(Category.WEAKLY_KNOWN)]
    moved = shifts.filter(pl.col(low).is_in(weak) & (pl.col(high) == str(Category.HIGHLY_KNOWN)))
    counts = pl.col("grader").replace_strict(cause_rules.COUNT_TRAINED, return_dtype=pl.Boolean)
    return moved.filter(~pl.col("trained") | counts)


def over_cells(source: Source, estimates: Sequence[dict[Grader, dict[str, Estimate]]]) -> list[CellMeasure]:
    """Measures per run (in the order of source.runs) -> measures per cell, in the order of first appearance."""
    lines = []
    for label in unique(run.label for run in source.runs):
        mine = [(run, measured) for run, measured in zip(source.runs, estimates, strict=True) if run.label == label]
        for grader in GRADERS:
            for name in unique(name for _, measured in mine for name in measured[grader]):
                values = [measured[grader][name] for _, measured in mine if name in measured[grader]]
                lines.append(CellMeasure(label, mine[0][0].cell, grader, name, stats.over_seeds(values), len(values)))
    return lines


def unique(names: Iterable[str]) -> list[str]:
    """Without repeats, in the order of first appearance."""
    return list(dict.fromkeys(names))
