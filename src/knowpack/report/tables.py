"""The paper's Tables 1-8 with the paper's figures beside ours, and our own: cells, matrix, kinship, causes, Pareto.

Source and measures -> Table records under one grader; `formats` writes them, `terminal` is for the command line.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from knowpack.paper import reference
from knowpack.records import GRADERS, Category, Grader
from knowpack.report import measures, source
from knowpack.report.source import Cell, Measure, Run, Source

Value = str | int | float | Measure | None
SHIFTS = {"positive": "positive_shift", "negative": "negative_shift"}
AUGMENTATIONS = {
    "none": "",
    "highly_known": "HighlyKnown",
    "paraphrase": "paraphrases",
    "sham": "sham",
    "pack": "pack",
    "other": "other",
}


class Table(NamedTuple):
    """A table ready to print: what stands in it, under which heads, and what must be said of it."""

    name: str
    """The file's stem."""
    title: str
    heads: tuple[str, ...]
    rows: list[tuple[Value, ...]]
    note: str = ""


class Measured(NamedTuple):
    """A source with all its measures under both graders, so that they are computed once."""

    source: Source
    runs: list[dict[Grader, dict[str, Measure]]]
    """One a run, in the order of source.runs."""
    cells: list[measures.CellMeasure]

    def cell(self, label: str, grader: Grader, name: str) -> Measure | None:
        """One cell's measure; None = not measured."""
        found = (one.measure for one in self.cells if (one.label, one.grader, one.name) == (label, grader, name))
        return next(found, None)

    def labels(self) -> list[tuple[str, Cell]]:
        """The cells, in order of first appearance."""
        return list(dict.fromkeys((run.label, run.cell) for run in self.source.runs))


def measure(folder_source: Source) -> Measured:
    """Compute every measure of every run."""
    found: list[dict[Grader, dict[str, Measure]]] = [
        {grader: measures.of(run, grader) for grader in GRADERS} for run in folder_source.runs
    ]
    return Measured(folder_source, found, measures.over_cells(folder_source, found))


def tables(measured: Measured, grader: Grader) -> list[Table]:
    """All tables that have something of ours in them."""
    made = [
        categories(measured.source, grader),
        _grid(measured, grader, 2, "Reliability", {"reliability": "reliability"}),
        _grid(measured, grader, 3, "Shifts over all facts", SHIFTS),
        refusals(measured, grader),
        causes_table(measured, grader),
        _grid(measured, grader, 6, "Shifts, the paper's Mistral", SHIFTS),
        _benchmarks(measured, 7, "MMLU and TruthfulQA"),
        _benchmarks(measured, 8, "ARC and LogiQA"),
        cells(measured, grader),
        matrix(measured, grader),
        kinship(measured, grader),
        causes_base_rates(measured, grader),
        scores(measured),
        pareto(measured, grader),
    ]
    return [table for table in made if table.rows]


def terminal(folder: Path, grader: Grader = "default") -> list[Table]:
    """The tables of a folder for the command line: titles, heads and rows; print values by `formats.text`."""
    return tables(measure(source.load(folder)), grader)


def categories(given: Source, grader: Grader) -> Table:
    """Table 1: the facts by what the base knows."""
    rows: list[tuple[Value, ...]] = []
    paper = {str(name): int(n) for name, n in reference.table(1).iter_rows()}
    before = measures.under(given.runs[0].shifts, grader)["before"]
    for category in Category:
        n = int((before == str(category)).sum())
        if n or str(category) in paper:
            theirs = paper.get(str(category))
            shares = (n / len(before), theirs / sum(paper.values()) if theirs is not None else None)
            rows.append((str(category), n, shares[0], theirs, shares[1]))
    heads = ("category", "facts", "share", "paper: facts", "paper: share")
    return Table("table1_categories", "Facts by what the base knows (paper: Table 1)", heads, rows, _whose(1))


def refusals(measured: Measured, grader: Grader) -> Table:
    """Table 4: refusals and how varied the answers are."""
    names = {
        "n_refused_first": "n_refused",
        "n_unique_answers": "n_unique_answers",
        "mean_count": "mean_count",
        "spread_count": "spread_count_as_printed",
    }
    table = _grid(measured, grader, 4, "Refusals and variety of answers", names)
    base = [_every(measured, grader, f"{name}_base")[:1] for name in names]
    theirs = reference.base(4)
    if table.rows and any(base):
        ours = [found[0] if found else None for found in base]
        first: tuple[Value, ...] = ("base", *_pairs(ours, [theirs[column] for column in names.values()]))
        table.rows.insert(0, first)
    return table


def causes_table(measured: Measured, grader: Grader) -> Table:
    """Table 5: why facts moved all the way."""
    paper = {_key(row): row for row in reference.cells(5).iter_rows(named=True)}
    listed = (("uk_to_hk", "pos", True), ("hk_to_uk", "neg", False))
    rows: list[tuple[Value, ...]] = []
    for label, cell in measured.labels():
        run = next(run for run in measured.source.runs if run.label == label)
        theirs = paper.get(_in_paper(cell), {})
        for move, sign, up in listed:
            shares = {one.cause: one.share for one in measures.causes(run, grader, up=up)}
            n = len(measures.movers(measures.under(run.shifts, grader), up=up))
            rest = shares.get("unexplained")
            names = ("non_refusal", "explosion", "target", "domain")
            ours: list[Value] = [shares[name].value if name in shares else None for name in names]
            ours.append(1 - rest.value if rest else None)
            beside = [theirs.get(f"{sign}_{name}") for name in (*names, "explained")]
            pairs = [value for pair in zip(ours, beside, strict=True) for value in pair]
            rows.append((label, run.seed, "UK→HK" if up else "HK→UK", n, theirs.get(f"n_{move}"), *pairs))
    heads = ["cell", "seed", "move", "facts", "paper: facts"]
    for name in ("non-refusal", "explosion", "target", "domain", "explained"):
        heads += [name, f"paper: {name}"]
    note = (
        _whose(5)
        + " Causes overlap. First seed of each cell. The paper counts trained facts; so does its grader, ours does not."
    )
    return Table("table5_causes", "Why facts moved (paper: Table 5)", tuple(heads), rows, note)


def cells(measured: Measured, grader: Grader) -> Table:
    """A line for every cell: all measures, with intervals over seeds."""
    names = [name for name in measures.NAMES if _every(measured, grader, name)]
    seeds = {label: sum(run.label == label for run in measured.source.runs) for label, _ in measured.labels()}
    rows: list[tuple[Value, ...]] = [
        (label, cell.n_unknown, AUGMENTATIONS[cell.augmentation], cell.k, seeds[label],
         *(measured.cell(label, grader, name) for name in names))
        for label, cell in measured.labels()
    ]  # fmt: skip
    heads = ("cell", "n", "added", "k", "seeds", *(measures.NAMES[name] for name in names))
    note = "Intervals: over facts, redrawn by relation, for one seed; t intervals over seeds for more."
    missing = "; ".join(f"{one.name}: {one.state}" for one in measured.source.unfinished)
    return Table("cells", "Every cell", heads, rows, note + (f" Not finished: {missing}." if missing else ""))


def matrix(measured: Measured, grader: Grader) -> Table:
    """Categories before and after, untrained facts."""
    rows: list[tuple[Value, ...]] = []
    for run in measured.source.runs:
        counts = measures.matrix(measures.under(run.shifts, grader), trained=False)
        for before, line in zip(Category, counts, strict=True):
            if sum(line):
                rows.append((run.label, run.seed, str(before), *line))
    heads = ("cell", "seed", "before", *(f"after: {category}" for category in Category))
    return Table("matrix", "Categories before and after, facts not trained", heads, rows)


def kinship(measured: Measured, grader: Grader) -> Table:
    """Known facts lost, by nearness to the trained facts."""
    rows: list[tuple[Value, ...]] = [
        (run.label, run.seed, one.kinship.replace("_", " "), one.lost, one.n_facts)
        for run in measured.source.runs
        for one in measures.kinship(run, grader)
    ]
    heads = ("cell", "seed", "kinship", "known facts lost", "facts of this kinship")
    return Table("kinship", "Harm by nearness to the trained facts", heads, rows)


def causes_base_rates(measured: Measured, grader: Grader) -> Table:
    """Causes with their base rates and the unexplained rest, untrained facts."""
    rows: list[tuple[Value, ...]] = [
        (run.label, run.seed, "UK→HK" if up else "HK→UK", one.cause.replace("_", "-"), one.share, one.base_rate)
        for run in measured.source.runs
        for up in (True, False)
        for one in measures.causes(run, grader, up=up)
    ]
    heads = ("cell", "seed", "move", "cause", "share of moved facts", "base rate")
    note = "Base rate: share of the facts that did not move for which the cause holds too. Causes overlap."
    return Table("causes", "Causes and their base rates, facts not trained", heads, rows, note)


def scores(measured: Measured) -> Table:
    """Every benchmark figure, the base's beside it, compared on the same items where they were kept."""
    rows: list[tuple[Value, ...]] = []
    for run in measured.source.runs:
        base = _score_map(run.base_scores())
        paired = _paired(run)
        for task, metric, value, stderr, n in _score_rows(run.scores):
            before = base.get((task, metric))
            delta: Value = value - before if before is not None else None
            delta, flips, p = paired.get((task, metric), (delta, (None, None), None))
            rows.append((run.label, run.seed, task, metric, value, stderr, n, before, delta, *flips, p))
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


def _paired(run: Run) -> dict[tuple[str, str], tuple[Value, tuple[int | None, int | None], float | None]]:
    """(task, metric) -> difference with interval, flips, corrected p."""
    if run.paired is None:
        return {}
    names = ("task", "metric", "difference", "low", "high", "n", "n_lost", "n_won", "p_holm")
    return {
        (task, metric): (Measure(difference, low, high, n), (lost, won), p)
        for task, metric, difference, low, high, n, lost, won, p in run.paired.select(names).iter_rows()
    }


def pareto(measured: Measured, grader: Grader) -> Table:
    """Facts learned against known facts lost; the front is what no other cell beats on both."""
    points = []
    for label, cell in measured.labels():
        reliability, lost = (measured.cell(label, grader, name) for name in ("reliability", "highly_lost"))
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


def _grid(measured: Measured, grader: Grader, number: int, title: str, names: dict[str, str]) -> Table:
    """One line a cell that has any of `names` (ours -> the paper's column), ours and the paper's side by side."""
    paper = {_key(row): row for row in reference.cells(number).iter_rows(named=True)}
    rows: list[tuple[Value, ...]] = []
    for label, cell in measured.labels():
        theirs = paper.get(_in_paper(cell), {})
        if number == 6 and not theirs:
            continue
        ours = [measured.cell(label, grader, name) for name in names]
        if any(value is not None for value in ours):
            beside = [theirs.get(column) for column in names.values()]
            rows.append((label, *(value for pair in zip(ours, beside, strict=True) for value in pair)))
    heads = ["cell"]
    for name in names:
        heads += [measures.NAMES.get(name, name), f"paper: {names[name].replace('_', ' ')}"]
    stem = reference.TABLES[number].removesuffix(".csv")
    return Table(stem, f"{title} (paper: Table {number})", tuple(heads), rows, _whose(number))


def _benchmarks(measured: Measured, number: int, title: str) -> Table:
    """A benchmark table of the paper: one line a run, for the tasks that were measured."""
    listed = [key for key, (table, _, _) in reference.BENCHMARKS.items() if table == number]
    columns = {key: reference.BENCHMARKS[key][1] for key in listed if _measured(measured.source, key)}
    paper = {_key(row): row for row in reference.cells(number).iter_rows(named=True)}
    rows: list[tuple[Value, ...]] = []
    if columns and (base := _score_map(measured.source.runs[0].base_scores())):
        theirs = reference.base(number)
        rows.append(
            ("base", None, *_pairs([base.get(key) for key in columns], [theirs.get(c) for c in columns.values()]))
        )
    for run in measured.source.runs if columns else ():
        ours = _score_map(run.scores)
        beside = paper.get(_in_paper(run.cell), {})
        if ours:
            pairs = _pairs([ours.get(key) for key in columns], [beside.get(c) for c in columns.values()])
            rows.append((run.label, run.seed, *pairs))
    heads = ["cell", "seed"]
    for (task, metric), _ in columns.items():
        heads += [f"{task} {metric}", f"paper: {reference.BENCHMARKS[(task, metric)][1]}"]
    stem = reference.TABLES[number].removesuffix(".csv")
    return Table(stem, f"{title} (paper: Table {number})", tuple(heads), rows, _whose(number))


def _pairs(ours: Sequence[Value], theirs: Sequence[Value]) -> list[Value]:
    return [value for pair in zip(ours, theirs, strict=True) for value in pair]


def _measured(given: Source, key: tuple[str, str]) -> bool:
    return any(key in _score_map(run.scores) for run in given.runs)


def _score_map(frame: pl.DataFrame | None) -> dict[tuple[str, str], float]:
    return {(task, metric): value for task, metric, value, _, _ in _score_rows(frame)}


def _score_rows(frame: pl.DataFrame | None) -> list[tuple[str, str, float, float | None, int]]:
    return [] if frame is None else frame.select("task", "metric", "value", "stderr", "n").rows()


def _every(measured: Measured, grader: Grader, name: str) -> list[Measure]:
    return [one.measure for one in measured.cells if one.grader == grader and one.name == name]


def _key(row: dict[str, object]) -> Cell:
    return Cell(int(str(row["n_unknown"])), str(row["augmentation"]), int(str(row["k_per_unknown"])))


def _in_paper(cell: Cell) -> Cell:
    """Where the paper would list this cell."""
    return cell if cell.k else Cell(cell.n_unknown, cell.augmentation, 0)


def _whose(number: int) -> str:
    note = reference.NOTES.get(number, "")
    model = reference.MODELS[number]
    return f"paper: {model}, arXiv 2502.14502v3, Table {number}; our model is another one. {note}".strip()


def run_of(measured: Measured, label: str) -> Run:
    """The first run (seed) of a cell."""
    return next(run for run in measured.source.runs if run.label == label)
