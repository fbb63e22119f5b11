"""A source with all its measures, computed once, and the shape of a table.

Source -> ReportData; `Table` is what tables.py and paper_tables.py make of it and formats.py writes.
"""

from collections.abc import Mapping
from typing import NamedTuple

import polars as pl

from knowpack.records import GRADERS, Estimate, Grader
from knowpack.report import measures
from knowpack.report.finished_run import Cell, Run
from knowpack.report.source import Source


class P(float):
    """A p-value: what is smaller than can be printed is not printed as 0, which no test gives."""


class OfBase(str):
    """The name of a base's line in a table of cells."""

    __slots__ = ()


Value = str | int | float | P | Estimate | None
AUGMENTATIONS = {
    "none": "",
    "highly_known": "HighlyKnown",
    "paraphrase": "paraphrases",
    "sham": "sham",
    "pack": "pack",
    "other": "other",
}


ScoreRow = tuple[str, str, float, float | None, int]
"""(task, metric, value, its standard error, items)."""


class Table(NamedTuple):
    """A table ready to print: what stands in it, under which heads, and what must be said of it."""

    name: str
    """The file's stem."""
    title: str
    heads: tuple[str, ...]
    rows: list[tuple[Value, ...]]
    note: str = ""


class ReportData(NamedTuple):
    """A source with all its measures under both graders, so that they are computed once."""

    source: Source
    runs: list[dict[Grader, dict[str, Estimate]]]
    """One a run, in the order of source.runs."""
    cells: list[measures.CellMeasure]

    def cell(self, label: str, grader: Grader, name: str) -> Estimate | None:
        """One cell's measure; None = not measured."""
        estimates = (one.measure for one in self.cells if (one.label, one.grader, one.name) == (label, grader, name))
        return next(estimates, None)

    def capped(self) -> str:
        """In words: the cells that have fewer HighlyKnown facts than n x k, since there are no more."""
        extras = {run.label: run.extras for run in self.source.runs if run.extras}
        short = [f"{label} has {e.added:,} of {e.requested:,}" for label, e in extras.items() if e.added < e.requested]
        return f" Capped at the HighlyKnown facts that there are: {'; '.join(short)}." if short else ""

    def labels(self) -> list[tuple[str, Cell]]:
        """The cells, in order of first appearance."""
        return list(dict.fromkeys((run.label, run.cell) for run in self.source.runs))


def measure(folder_source: Source) -> ReportData:
    """Compute every measure of every run."""
    estimates: list[dict[Grader, dict[str, Estimate]]] = [
        {grader: measures.of(run, grader) for grader in GRADERS} for run in folder_source.runs
    ]
    return ReportData(folder_source, estimates, measures.over_cells(folder_source, estimates))


BEFORE_AND_AFTER = ("cell", "figure", "base", "after", "after - before")


def before_and_after(data: ReportData, grader: Grader, listed: Mapping[str, str]) -> list[tuple[Value, ...]]:
    """A line for every cell and listed figure (name -> what it is called) under the heads BEFORE_AND_AFTER."""
    rows: list[tuple[Value, ...]] = []
    for label, _ in data.labels():
        for name, title in listed.items():
            ends = [data.cell(label, grader, f"{name}{end}") for end in ("_base", "", "_change")]
            if ends[1] is not None:
                rows.append((label, title, *ends))
    return rows


def bases(source: Source) -> list[tuple[OfBase, Run]]:
    """Each base (model, facts, prompts) with its first run, named base; where there are several, of which cell."""
    first: dict[str, Run] = {}
    for run in source.runs:
        first.setdefault(run.base_name, run)
    return [(OfBase("base" if len(first) == 1 else f"base of {run.label}"), run) for run in first.values()]


def base_figure(data: ReportData, base: Run, grader: Grader, name: str) -> Estimate | None:
    """A figure of a base, as the first cell has it that was measured against it."""
    labels = measures.unique(run.label for run in data.source.runs if run.base_name == base.base_name)
    return next((one for label in labels if (one := data.cell(label, grader, name)) is not None), None)


def base_scores(data: ReportData) -> pl.DataFrame | None:
    """What all cells' benchmarks are held against; None where they have several bases, or none was kept."""
    measured = {(run.base_name, run.base_bench) for run in data.source.runs if run.scores is not None}
    return data.source.runs[0].base_scores() if len(measured) == 1 else None


def run_of(data: ReportData, label: str) -> Run:
    """The first run (seed) of a cell."""
    return next(run for run in data.source.runs if run.label == label)


def every(data: ReportData, grader: Grader, name: str) -> list[Estimate]:
    return [one.measure for one in data.cells if one.grader == grader and one.name == name]


def score_map(frame: pl.DataFrame | None) -> dict[tuple[str, str], float]:
    return {(task, metric): value for task, metric, value, _, _ in score_rows(frame)}


def counted_scores(frame: pl.DataFrame | None) -> dict[tuple[str, str], Estimate]:
    """(task, metric) -> value and its items, for tables that print no interval."""
    return {(task, metric): Estimate(value, n=n) for task, metric, value, _, n in score_rows(frame)}


def score_rows(frame: pl.DataFrame | None) -> list[ScoreRow]:
    return [] if frame is None else frame.select("task", "metric", "value", "stderr", "n").rows()
