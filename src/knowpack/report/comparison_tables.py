"""Tables that hold cells against each other: all pairs of a grid, and harm by the number of facts trained.

ReportData -> Table records under one grader; the tests are measure/compare_cells.py's.
"""

import polars as pl

from knowpack import records
from knowpack.measure import compare_cells, harm
from knowpack.measure.compare_cells import MARGIN, Outcome
from knowpack.records import Grader
from knowpack.report.families import family_name, joined
from knowpack.report.finished_run import Run
from knowpack.report.report_data import AUGMENTATIONS, P, ReportData, Table, Value

MOST_CELLS = 40  # 780 pairs


def outcomes(run: Run, grader: Grader) -> pl.DataFrame:
    """Table of Outcome of one run: the facts that were HighlyKnown and not trained."""
    ours = {"label": run.label, "seed": run.seed, "n_unknown": run.cell.n_unknown, "base": run.base_name}
    facts = harm.known_lost_by_fact(run.shifts, run.facts(), grader)
    return records.cast(facts.with_columns(pl.lit(value).alias(name) for name, value in ours.items()), Outcome)


def pairs(data: ReportData, grader: Grader) -> Table:
    """Every pair of cells: known facts lost, on the same facts."""
    heads = ("cell", "against", "lost more", "p", "p (Holm)", "p (not equivalent)", "")
    note = (
        "Known facts lost in the first cell minus those in the second, on the same facts and seeds, interval over "
        "relations. Cells of another base (model, facts or prompts) are not compared: its noise is another. p: signs "
        "of whole relations flipped; Holm over all pairs of the table. Equivalent: two one-sided tests within "
        f"{MARGIN:.0%} of the known facts."
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
    """How known facts lost grow with the number of facts, for each kind of cell that has three numbers or more: cells
    of one base and one recipe, so that nothing else grows with the number."""
    rows: list[tuple[Value, ...]] = []
    for kind in joined(data):
        labels, cell = {label for label, _ in kind.cells}, kind.cells[0][1]
        if cell.augmentation not in ("none", "highly_known", "paraphrase"):
            continue
        slope = compare_cells.dose_response(
            pl.concat([outcomes(run, grader) for run in data.source.runs if run.label in labels])
        )
        if slope is not None:
            added = f"{cell.k} {AUGMENTATIONS[cell.augmentation]}" if cell.k else "nothing"
            sizes = ", ".join(map(str, slope.sizes))
            named = kind.name.removeprefix(family_name(kind.key))
            rows.append((f"{added}{named}", sizes, slope.n_runs, slope.slope, P(slope.p)))
    heads = ("added to each fact", "facts trained", "runs", "lost more a tenfold number of facts", "p")
    note = (
        "Slope of known facts lost on log10 of the facts trained, over cells that differ in nothing else; interval "
        "clustered by relation and by run (seed), so that it holds for other facts and other seeds."
    )
    return Table("dose", "Known facts lost by the number of facts trained", heads, rows, note)
