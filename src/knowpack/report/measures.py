"""The figures that the report prints: a run's own figures.json first, what is missing counted from its shifts.

Run -> grader -> name -> Estimate; Source -> one row a cell, with intervals over seeds. Trained facts never count as
harm; `positive` and `negative` alone are shares of all facts, as in the paper's Table 3.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import polars as pl

from knowpack.measure import causes as cause_rules
from knowpack.measure import stats
from knowpack.measure.evidence import Direction
from knowpack.records import GRADERS, Category, Estimate, Grader, Kind, Kinship
from knowpack.report.source import Cell, Run, Source

ORDER = {str(category): rank for rank, category in enumerate(Category)}
NAMES: dict[str, str] = {
    "reliability": "Reliability",
    "reliability_held_out": "Reliability in wordings not trained",
    "highly_lost": "Known facts lost",
    "highly_lost_net": "Known facts lost, net of the noise floor",
    "noise_lost": "Noise floor of known facts lost",
    "harm": "Facts that fell",
    "harm_net": "Facts that fell, net of the noise floor",
    "sham_harm": "Facts that fell under a sham adapter",
    "harm_net_sham": "Facts that fell, net of a sham adapter",
    "gain": "Facts that rose",
    "positive": "Positive shift, trained facts too",
    "negative": "Negative shift, trained facts too",
    "refusals_kept": "Refusals kept",
    "refused_known": "False refusals of known facts",
    "benchmark_drop": "Largest fall of a benchmark",
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
    """All measures of a run under one grader; what could not be measured is absent."""
    found = dict(run.figures.get(grader, {}))
    drop = benchmark_drop(run)
    if drop is not None:
        found["benchmark_drop"] = drop
    shifts = under(run.shifts, grader).join(_relations(run), on="fact_id", how="left", maintain_order="left")
    if shifts.is_empty():
        return found
    rise = shifts["after"].replace_strict(ORDER) - shifts["before"].replace_strict(ORDER)
    shifts = shifts.with_columns(
        up=rise > 0, down=rise < 0, lost=(pl.col("before") == "HighlyKnown") & (pl.col("after") != "HighlyKnown")
    )
    _put(found, "positive", shifts, "up")
    _put(found, "negative", shifts, "down")
    known = shifts.filter((pl.col("before") == "HighlyKnown") & ~pl.col("trained"))
    _put(found, "highly_lost", known, "lost")
    noise = run.noise()
    if noise is not None:
        other = under(noise, grader).select("fact_id", noise=pl.col("after") != "HighlyKnown")
        both = known.join(other, on="fact_id", how="inner", maintain_order="left")
        _put(found, "noise_lost", both, "noise")
        net = pl.col("lost").cast(pl.Float64) - pl.col("noise").cast(pl.Float64)
        _put(found, "highly_lost_net", both.with_columns(net=net), "net")
    return found


def benchmark_drop(run: Run) -> Estimate | None:
    """The largest fall of a task's figure, as a share (BLEU and ROUGE by the hundred); below 0 where all rose.

    Paired over the same items where they were kept, else without an interval.
    """
    if run.paired is not None:
        asked = run.paired.filter(pl.col("level") == "task").select("base", "other", "difference", "low", "high", "n")
        falls = [_fall(*row) for row in asked.iter_rows()]
    else:
        base, after = run.base_scores(), run.scores
        if base is None or after is None:
            return None
        both = base.join(after, on=["task", "metric"], suffix="_after").select("value", "value_after", "n")
        falls = [_fall(before, value, value - before, None, None, n) for before, value, n in both.iter_rows()]
    return max(falls, key=lambda fall: fall.value) if falls else None


def _fall(before: float, after: float, difference: float, low: float | None, high: float | None, n: int) -> Estimate:
    unit = 100.0 if max(abs(before), abs(after)) > 1.5 else 1.0
    if low is None or high is None:
        return Estimate(-difference / unit, None, None, n)
    return Estimate(-difference / unit, -high / unit, -low / unit, n)


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


def kinship(run: Run, grader: Grader) -> list[Kin]:
    """Known facts lost, by nearness to the trained facts; empty where the training facts are not known."""
    shifts = under(run.shifts, grader).filter(~pl.col("trained")).join(_relations(run), on="fact_id", how="left")
    found = []
    for kin in Kinship:
        group = shifts.filter(pl.col("kinship") == str(kin))
        known = group.filter(pl.col("before") == "HighlyKnown").with_columns(lost=pl.col("after") != "HighlyKnown")
        measure = share(known, "lost")
        if measure is not None:
            found.append(Kin(str(kin), measure, len(group)))
    return found


def causes(run: Run, grader: Grader, *, up: bool) -> list[CauseShare]:
    """Causes of Unknown -> HighlyKnown (up) or HighlyKnown -> Unknown, overlapping, then the unexplained rest."""
    moved = movers(under(run.shifts, grader), up=up)
    if moved.is_empty():
        return []
    figures = run.figures.get(grader, {})
    way: Direction = "up" if up else "down"
    listed = [(str(r.name), r.label, r.needs_examples) for r in cause_rules.RULES if way in r.directions]
    examples = run.examples()
    taught = examples is not None and str(Kind.UNKNOWN) in examples["kind"]
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
        if taught or not needs
    ]


def overlaps(run: Run, grader: Grader, *, up: bool) -> list[tuple[str, int]]:
    """How often each combination of causes holds, the most frequent first; "" is the unexplained rest."""
    moved = movers(under(run.shifts, grader), up=up)
    joined = moved.select(pl.col("causes").list.sort().list.join(" + ").alias("together"))
    counted = joined.group_by("together").len().sort(["len", "together"], descending=[True, False])
    return [(str(together), int(n)) for together, n in counted.iter_rows()]


def movers(shifts: pl.DataFrame, *, up: bool) -> pl.DataFrame:
    """The facts that went all the way: Unknown -> HighlyKnown (up), or back; greedy answers know no WeaklyKnown.

    Trained facts count where the grader's rules count them: with the paper's, not with ours.
    """
    low, high = ("before", "after") if up else ("after", "before")
    weak = [str(Category.UNKNOWN), str(Category.WEAKLY_KNOWN)]
    moved = shifts.filter(pl.col(low).is_in(weak) & (pl.col(high) == str(Category.HIGHLY_KNOWN)))
    counts = pl.col("grader").replace_strict(cause_rules.COUNT_TRAINED, return_dtype=pl.Boolean)
    return moved.filter(~pl.col("trained") | counts)


def share(frame: pl.DataFrame, column: str) -> Estimate | None:
    """The mean of a column with an interval from redrawing whole relations; None for no rows."""
    if frame.is_empty():
        return None
    values = frame[column].cast(pl.Float64).to_numpy()
    figure = stats.difference if column == "net" else stats.share
    return figure(values, frame["relation"].to_numpy())


def over_cells(source: Source, found: Sequence[dict[Grader, dict[str, Estimate]]]) -> list[CellMeasure]:
    """Measures per run (in the order of source.runs) -> measures per cell, in the order of first appearance."""
    lines = []
    for label in unique(run.label for run in source.runs):
        mine = [(run, measured) for run, measured in zip(source.runs, found, strict=True) if run.label == label]
        for grader in GRADERS:
            for name in unique(name for _, measured in mine for name in measured[grader]):
                values = [measured[grader][name] for _, measured in mine if name in measured[grader]]
                lines.append(CellMeasure(label, mine[0][0].cell, grader, name, stats.over_seeds(values), len(values)))
    return lines


def unique(names: Iterable[str]) -> list[str]:
    """Without repeats, in the order of first appearance."""
    return list(dict.fromkeys(names))


def _put(found: dict[str, Estimate], name: str, frame: pl.DataFrame, column: str) -> None:
    if name not in found:
        measure = share(frame, column)
        if measure is not None:
            found[name] = measure


def _relations(run: Run) -> pl.DataFrame:
    return run.facts().select("fact_id", relation=pl.coalesce("relation", "fact_id"))
