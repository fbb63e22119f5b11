"""The paper's Tables 1 to 8: its figures beside ours, cell by cell.

ReportData -> Table records under one grader, each with a note that says whose model the paper's figures are of.
"""

import re
from collections.abc import Sequence

import polars as pl

from knowpack.measure import causes, stats
from knowpack.paper import reference
from knowpack.records import Category, Estimate, Grader
from knowpack.report import measures
from knowpack.report.finished_run import Cell
from knowpack.report.report_data import (
    OfBase,
    ReportData,
    Table,
    Value,
    base_figure,
    bases,
    counted_scores,
    score_map,
)
from knowpack.report.source import Source

PAPER, CAUSES = "paper: ", "table5_causes"  # the heads of columns, a table
REFUSAL_HEADS = ("refused", "answers", "mean count", "spread")
SHIFTS = {"positive": "positive_shift", "negative": "negative_shift"}


def categories(source: Source, grader: Grader) -> Table:
    """Table 1: the facts by what the base knows."""
    rows: list[tuple[Value, ...]] = []
    paper = {str(name): int(n) for name, n in reference.table(1).iter_rows()}
    relations = source.facts.select("fact_id", cluster=pl.coalesce("relation", "fact_id"))
    of_bases = bases(source)
    several = len(of_bases) > 1
    for name, run in of_bases:
        shifts = measures.under(run.shifts, grader).join(relations, on="fact_id", how="left")
        for category in Category:
            in_category = (shifts["before"] == str(category)).to_numpy()
            if in_category.any() or str(category) in paper:
                theirs = paper.get(str(category))
                share = stats.share(in_category, shifts["cluster"].to_numpy())
                beside = (theirs, theirs and theirs / sum(paper.values()))
                which = (str(name),) if several else ()
                rows.append((*which, str(category), int(in_category.sum()), share, *beside))
    of = ("model",) if several else ()
    heads = (*of, "category", "facts", "share", "paper: facts", "paper: share")
    return Table("table1_categories", "Facts by what the base knows (paper: Table 1)", heads, rows, _whose(1))


def refusals(data: ReportData, grader: Grader) -> Table:
    """Table 4: refusals and how varied the answers are; the base's own line first."""
    names = {
        "n_refused_first": "n_refused",
        "n_unique_answers": "n_unique_answers",
        "mean_count": "mean_count",
        "spread_count": "spread_count_as_printed",
    }
    table = grid(
        data,
        grader,
        4,
        "Facts refused under the first prompt; different answers, and how often each is given",
        names,
    )
    theirs = reference.base(4)
    of_bases: list[tuple[Value, ...]] = []
    for called, run in bases(data.source) if table.rows else ():
        ours = [base_figure(data, run, grader, f"{name}_base") for name in names]
        if any(ours):
            of_bases.append((called, *_pairs(ours, [theirs[column] for column in names.values()])))
    heads = ["cell"]
    for head in REFUSAL_HEADS:
        heads += [head, f"paper: {head}"]
    counts = {1, 3}  # of facts, of answers: whole numbers, none of them a share
    rows: list[tuple[Value, ...]] = [
        tuple(_count(value) if i in counts else value for i, value in enumerate(row))
        for row in (*of_bases, *table.rows)
    ]
    return table._replace(heads=tuple(heads), rows=rows)


def _count(value: Value) -> Value:
    if isinstance(value, Estimate) and value.low is None:
        return int(value.value)
    return value


def causes_table(data: ReportData, grader: Grader) -> Table:
    """Table 5: why facts moved all the way."""
    paper = {_key(row): row for row in reference.cells(5).iter_rows(named=True)}
    listed = (("uk_to_hk", "pos", True), ("hk_to_uk", "neg", False))
    names = [str(rule.name) for rule in causes.RULES]
    rows: list[tuple[Value, ...]] = []
    for label, cell in data.labels():
        run = next(run for run in data.source.runs if run.label == label)
        theirs = paper.get(_in_paper(cell), {})
        for move, sign, up in listed:
            shares = {one.cause: one.share for one in measures.causes(run, grader, up=up)}
            n = len(measures.movers(measures.under(run.shifts, grader), up=up))
            rest = shares.get("unexplained")
            ours: list[Value] = [shares[name].value if name in shares else None for name in names]
            ours.append(1 - rest.value if rest else None)
            beside = [theirs.get(f"{sign}_{name}") for name in (*names, "explained")]
            pairs = [value for pair in zip(ours, beside, strict=True) for value in pair]
            rows.append((label, run.seed, "UK→HK" if up else "HK→UK", n, theirs.get(f"n_{move}"), *pairs))
    heads = ["cell", "seed", "move", "facts", "paper: facts"]
    for name in (*(rule.label for rule in causes.RULES), "explained"):
        heads += [name, f"paper: {name}"]
    note = (
        _whose(5)
        + " Causes overlap. First seed of each cell. The paper counts trained facts; so does its grader, ours does not."
    )
    return Table(CAUSES, "Why facts moved (paper: Table 5)", tuple(heads), rows, note)


def grid(data: ReportData, grader: Grader, number: int, title: str, names: dict[str, str]) -> Table:
    """One line a cell that has any of `names` (ours -> the paper's column), ours and the paper's side by side."""
    paper = {_key(row): row for row in reference.cells(number).iter_rows(named=True)}
    rows: list[tuple[Value, ...]] = []
    for label, cell in data.labels():
        theirs = paper.get(_in_paper(cell), {})
        if number == 6 and not theirs:
            continue
        ours = [data.cell(label, grader, name) for name in names]
        if any(value is not None for value in ours):
            beside = [theirs.get(column) for column in names.values()]
            rows.append((label, *(value for pair in zip(ours, beside, strict=True) for value in pair)))
    heads = ["cell"]
    for name in names:
        heads += [measures.NAMES.get(name, name), f"paper: {names[name].replace('_', ' ')}"]
    stem = reference.TABLES[number].removesuffix(".csv")
    return Table(stem, f"{title} (paper: Table {number})", tuple(heads), rows, _whose(number) + data.capped())


def benchmarks(data: ReportData, number: int, title: str) -> Table:
    """A benchmark table of the paper: one line a run, for the tasks that were measured."""
    listed = {key: place.column for key, place in reference.BENCHMARKS.items() if place.table == number}
    columns = {key: column for key, column in listed.items() if _measured(data.source, key)}
    paper = {_key(row): row for row in reference.cells(number).iter_rows(named=True)}
    rows: list[tuple[Value, ...]] = []
    theirs = reference.base(number)
    for called, run in bases(data.source) if columns else ():
        if base := counted_scores(run.base_scores()):
            pairs = _pairs([base.get(key) for key in columns], [theirs.get(c) for c in columns.values()])
            rows.append((called, None, *pairs))
    for run in data.source.runs if columns else ():
        ours = counted_scores(run.scores)
        beside = paper.get(_in_paper(run.cell), {})
        if ours:
            pairs = _pairs([ours.get(key) for key in columns], [beside.get(c) for c in columns.values()])
            rows.append((run.label, run.seed, *pairs))
    heads = ["cell", "seed"]
    for (task, metric), column in columns.items():
        heads += [f"{task} {metric}", f"paper: {column}"]
    stem = reference.TABLES[number].removesuffix(".csv")
    return Table(stem, f"{title} (paper: Table {number})", tuple(heads), rows, _whose(number))


def in_the_paper(data: ReportData) -> bool:
    """Is any cell one of the paper's: its recipe, its numbers of facts, its additions?"""
    theirs = {_key(row) for row in reference.cells(7).iter_rows(named=True)}
    return any(_in_paper(cell) in theirs for _, cell in data.labels())


def only_ours(table: Table, *, beside: bool) -> Table:
    """Without the paper's columns where it has no such cell, and without causes that were not measured.

    beside: whether any cell is the paper's; its base alone is nothing to compare with.
    """
    ours = [row for row in table.rows if not isinstance(row[0], OfBase)]

    def is_kept(column: int) -> bool:
        measured = any(row[column] is not None for row in ours)
        if table.heads[column].startswith(PAPER):
            return beside and measured
        return measured or table.name != CAUSES

    keep = [column for column in range(len(table.heads)) if is_kept(column)]
    number = re.search(r" \(paper: Table (\d)\)", table.title)
    if number is None or any(table.heads[column].startswith(PAPER) for column in keep):
        title, note = table.title, table.note
    else:
        title, note = table.title.replace(number[0], ""), table.note.replace(_whose(int(number[1])), "").strip()
    heads, rows = tuple(table.heads[i] for i in keep), [tuple(row[i] for i in keep) for row in table.rows]
    return table._replace(heads=heads, rows=rows, title=title, note=note)


def _pairs(ours: Sequence[Value], theirs: Sequence[Value]) -> list[Value]:
    return [value for pair in zip(ours, theirs, strict=True) for value in pair]


def _measured(source: Source, key: tuple[str, str]) -> bool:
    return any(key in score_map(run.scores) for run in source.runs)


def _key(row: dict[str, object]) -> Cell:
    return Cell(int(str(row["n_unknown"])), str(row["augmentation"]), int(str(row["k_per_unknown"])))


def _in_paper(cell: Cell) -> Cell:
    """Where the paper would list this cell."""
    return cell if cell.k else Cell(cell.n_unknown, cell.augmentation, 0)


def _whose(number: int) -> str:
    note = reference.NOTES.get(number, "")
    model = reference.MODELS[number]
    return f"paper: {model}, arXiv 2502.14502v3, Table {number}; our model is another one. {note}".strip()
