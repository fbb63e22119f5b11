"""Tables that hold cells against each other: all pairs of a grid, and harm by the number of facts trained.

ReportData -> Table records under one grader; the tests are measure/compare_cells.py's.
"""

import polars as pl

from knowpack import records
from knowpack.measure import compare_cells, harm
from knowpack.measure.compare_cells import MARGIN, Outcome
from knowpack.records import Grader
from knowpack.report.finished_run import Run
from knowpack.report.report_data import AUGMENTATIONS, P, ReportData, Table, Value

MOST_CELLS = 40  # 780 pairs


def outcomes(run: Run, grader: Grader) -> pl.DataFrame:
    """Table of Outcome of one run: the facts that were HighlyKnown and not trained."""
    ours = {"label": run.label, "seed": run.seed, "n_unknown": run.cell.n_unknown}
    facts = harm.known_lost_by_fact(run.shifts, run.facts(), grader)
    return records.cast(facts.with_columns(pl.lit(value).alias(name) for name, value in ours.items()), Outcome)


def pairs(data: ReportData, grader: Grader) -> Table:
    """Every pair of cells: known facts lost, on the same facts."""
    heads = ("cell", "against", "lost more", "p", "p (Holm)", "p (not equivalent)", "")
    note = (
        "Known facts lost in the first cell minus those in the second, on the same facts and seeds, interval over "
        "relations. p: signs of whole relations flipped; Holm over all pairs of the table. Equivalent: two one-sided "
        f"tests within {MARGIN:.0%} of the known facts."
    )
    labels = [label for label, _ in data.labels()]
    rows: list[tuple[Value, ...]] = []
    if 1 < len(labels) <= MOST_CELLS:
        table = pl.concat([outcomes(run, grader) for run in data.source.runs])
        for one in compare_cells.pairs(table):
            verdict = "differ" if one.p_holm < 0.05 else "equivalent" if one.p_equivalent < 0.05 else "not decided"
            rows.append((one.second, one.first, one.difference, P(one.p), P(one.p_holm), P(one.p_equivalent), verdict))
    return Table("comparisons", "Cells against each other", heads, rows, note)


def dose(data: ReportData, grader: Grader) -> Table:
    """How known facts lost grow with the number of facts, for each kind of cell that has three numbers or more."""
    outcomes_of: dict[tuple[str, int], list[pl.DataFrame]] = {}
    for run in data.source.runs:
        if run.cell.augmentation in ("none", "highly_known", "paraphrase"):
            outcomes_of.setdefault((run.cell.augmentation, run.cell.k), []).append(outcomes(run, grader))
    rows: list[tuple[Value, ...]] = []
    for (augmentation, k), parts in outcomes_of.items():
        slope = compare_cells.dose_response(pl.concat(parts))
        if slope is not None:
            added = f"{k} {AUGMENTATIONS[augmentation]}" if k else "nothing"
            sizes = ", ".join(map(str, slope.sizes))
            rows.append((added, sizes, slope.n_runs, slope.slope, P(slope.p)))
    heads = ("added to each fact", "facts trained", "runs", "lost more a tenfold number of facts", "p")
    note = (
        "Slope of known facts lost on log10 of the facts trained; interval clustered by relation and by run (seed), so "
        "that it holds for other facts and other seeds."
    )
    return Table("dose", "Known facts lost by the number of facts trained", heads, rows, note)
