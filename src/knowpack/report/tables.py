"""All tables of a report: the paper's (paper_tables.py), and our own: cells, matrix, kinship, causes, Pareto.

ReportData -> Table records under one grader; formats.py writes them.
"""

from typing import NamedTuple

import polars as pl

from knowpack.measure.regress import OverusedAnswer
from knowpack.records import Category, Estimate, Grader
from knowpack.report import (
    claim_tables,
    comparison_tables,
    confidence_tables,
    current_tables,
    further_tables,
    group_tables,
    measures,
)
from knowpack.report.finished_run import Run
from knowpack.report.paper_tables import (
    SHIFTS,
    benchmarks,
    categories,
    causes_table,
    grid,
    in_the_paper,
    only_ours,
    refusals,
)
from knowpack.report.report_data import AUGMENTATIONS, ReportData, Table, Value, every, score_map, score_rows
from knowpack.report.words import words

LONGEST_LIST = 10  # over-given answers a run
OF_KNOWLEDGE = frozenset({"claims", "table1_categories", "table5_causes", "group_harm", "risk_coverage"})
"""Tables of what a model knows, or how sure it is of what is right: not there where it wrote its questions itself."""


def tables(data: ReportData, grader: Grader) -> list[Table]:
    """All tables that have something of ours in them."""
    listed = [
        claim_tables.claims(data, grader),
        categories(data.source, grader),
        grid(data, grader, 2, "Reliability", {"reliability": "reliability"}),
        grid(data, grader, 3, "Shifts over all facts", SHIFTS),
        refusals(data, grader),
        causes_table(data, grader),
        grid(data, grader, 6, "Shifts, the paper's Mistral", SHIFTS),
        benchmarks(data, 7, "MMLU and TruthfulQA"),
        benchmarks(data, 8, "ARC and LogiQA"),
        cells(data, grader),
        matrix(data, grader),
        kinship(data, grader),
        group_tables.group_harm(data, grader),
        causes_base_rates(data, grader),
        over_given(data, grader),
        confidence_tables.confidence(data, grader),
        confidence_tables.risk_coverage(data, grader),
        further_tables.further(data, grader),
        current_tables.current(data),
        scores(data),
        pareto(data, grader),
        comparison_tables.pairs(data, grader),
        comparison_tables.dose(data, grader),
    ]
    beside = in_the_paper(data)
    never = OF_KNOWLEDGE if all(run.asks_its_own for run in data.source.runs) else frozenset()
    return [only_ours(table, beside=beside) for table in listed if table.rows and table.name not in never]


def cells(data: ReportData, grader: Grader) -> Table:
    """A line for every cell: all measures, with intervals over seeds."""
    names = [name for name in measures.NAMES if every(data, grader, name)]
    seeds = {label: sum(run.label == label for run in data.source.runs) for label, _ in data.labels()}
    rows: list[tuple[Value, ...]] = [
        (
            label,
            cell.n_unknown,
            AUGMENTATIONS[cell.augmentation],
            cell.k,
            seeds[label],
            *(data.cell(label, grader, name) for name in names),
        )
        for label, cell in data.labels()
    ]
    heads = ("cell", "n", "added", "k", "seeds", *(measures.NAMES[name] for name in names))
    note = "Intervals (95%): over facts, those of one relation together; with several seeds over facts and seeds."
    missing = "; ".join(f"{one.name}: {one.state}" for one in data.source.unfinished)
    note += data.capped() + (f" Not finished: {missing}." if missing else "")
    return Table("cells", "Every cell", heads, rows, note)


def matrix(data: ReportData, grader: Grader) -> Table:
    """Categories before and after, untrained facts; WeaklyKnown only where answers were sampled."""
    counted = [(run, measures.matrix(measures.under(run.shifts, grader), trained=False)) for run in data.source.runs]
    weak = list(Category).index(Category.WEAKLY_KNOWN)
    sampled = any(counts[weak][i] or counts[i][weak] for _, counts in counted for i in range(len(Category)))
    shown = [i for i in range(len(Category)) if sampled or i != weak]
    rows: list[tuple[Value, ...]] = []
    called = words(data.source.runs[0])
    for run, counts in counted:
        for before, line in zip(words(run).categories, counts, strict=True):
            if sum(line):
                rows.append((run.label, run.seed, before, *(line[i] for i in shown)))
    heads = ("cell", "seed", "before", *(f"after: {called.categories[i]}" for i in shown))
    return Table("matrix", f"Categories before and after, {called.items} {called.which}", heads, rows)


def kinship(data: ReportData, grader: Grader) -> Table:
    """Known facts lost, by nearness to the trained facts."""
    rows: list[tuple[Value, ...]] = [
        (run.label, run.seed, one.kinship.replace("_", " "), one.lost, one.n_facts)
        for run in data.source.runs
        for one in measures.kinship(run, grader)
    ]
    called = words(data.source.runs[0])
    heads = ("cell", "seed", "kinship", f"{called.at_risk} lost", f"{called.items} of this kinship")
    return Table("kinship", "Harm by nearness to the trained facts", heads, rows)


def causes_base_rates(data: ReportData, grader: Grader) -> Table:
    """Causes beside their base rates and placebos, and the unexplained rest."""
    rows: list[tuple[Value, ...]] = [
        (run.label, run.seed, _move(run, up=up), one.label, one.share, one.base_rate, one.placebo)
        for run in data.source.runs
        for up in (True, False)
        for one in measures.causes(run, grader, up=up)
    ]
    heads = ("cell", "seed", "move", "cause", "share of moved facts", "base rate", "placebo")
    note = (
        "Base rate: share among facts that were Unknown, are Unknown, and got a new wrong answer. Placebo: the share, "
        "had as many untrained facts been the trained ones; mean and middle 95% of the draws. Causes overlap."
    )
    return Table("causes", "Causes, their base rates and placebos", heads, rows, note)


def _move(run: Run, *, up: bool) -> str:
    if run.asks_its_own:
        low, *_, high = words(run).categories
        return f"{low}→{high}" if up else f"{high}→{low}"
    return "UK→HK" if up else "HK→UK"


def over_given(data: ReportData, grader: Grader) -> Table:
    """The answers that each run gives more often than the base, over untrained facts."""
    rows: list[tuple[Value, ...]] = []
    for run in data.source.runs:
        table = run.table("over_given.parquet", OverusedAnswer)
        mine = table.filter(pl.col("grader") == grader).head(LONGEST_LIST) if table is not None else None
        for _, answer, before, after, trained in mine.iter_rows() if mine is not None else ():
            growth = after / before if before else None
            rows.append((run.label, run.seed, answer, before, after, growth, "trained" if trained else ""))
    heads = ("cell", "seed", "answer", "base: times", "after: times", "times as often", "")
    note = "All greedy answers to facts not trained, refusals left out; at most ten a run, by how many more there are."
    return Table("over_given", "Over-given answers", heads, rows, note)


def scores(data: ReportData) -> Table:
    """Every benchmark figure, the base's beside it, compared on the same items where they were kept."""
    rows: list[tuple[Value, ...]] = []
    for run in data.source.runs:
        base = score_map(run.base_scores())
        paired = _paired(run)
        for task, metric, value, stderr, n in score_rows(run.scores):
            before = base.get((task, metric))
            unpaired = value - before if before is not None else None
            change = paired.get((task, metric), _Change(unpaired))
            rows.append((run.label, run.seed, task, metric, value, stderr, n, before, *change))
    heads = (
        "cell",
        "seed",
        "task",
        "metric",
        "value",
        "stderr",
        "n",
        "base",
        "after - base",
        "lost",
        "won",
        "p (Holm)",
    )
    note = (
        "Differences on the same items, with the paired interval; lost and won: items right before, right after only."
    )
    return Table("benchmarks", "Benchmarks", heads, rows, note)


class _Change(NamedTuple):
    """What became of a benchmark's figure, in the order of the table's columns."""

    difference: Estimate | float | None
    n_lost: int | None = None
    n_won: int | None = None
    p_holm: float | None = None


def _paired(run: Run) -> dict[tuple[str, str], _Change]:
    """(task, metric) -> the change on the same items, where they were kept."""
    if run.paired is None:
        return {}
    names = ("task", "metric", "difference", "low", "high", "n", "n_lost", "n_won", "p_holm")
    return {
        (task, metric): _Change(Estimate(difference, low, high, n), lost, won, p)
        for task, metric, difference, low, high, n, lost, won, p in run.paired.select(names).iter_rows()
    }


def pareto(data: ReportData, grader: Grader) -> Table:
    """Facts learned against known facts lost; the front is what no other cell beats on both."""
    points = []
    for label, cell in data.labels():
        reliability, lost = (data.cell(label, grader, name) for name in ("reliability", "known_lost_raw"))
        if reliability is not None and lost is not None and cell.augmentation != "sham":
            points.append((label, reliability.value * (reliability.n or cell.n_unknown), reliability, lost))
    rows: list[tuple[Value, ...]] = []
    for label, learned, reliability, lost in points:
        beaten = any(
            other >= learned and harm.value <= lost.value and (other > learned or harm.value < lost.value)
            for _, other, _, harm in points
        )
        rows.append((label, learned, reliability, lost, "" if beaten else "front"))
    heads = ("cell", "facts learned", "reliability", "known facts lost", "front")
    return Table("pareto", "Facts learned against harm", heads, rows)
