"""Static figures of a study's grid: benchmarks and harm over the number of facts, facts learned against harm.

ReportData -> NamedFigure; lines where there are several numbers of facts, dots with intervals where there is one. The
default grader.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from knowpack.paper import reference
from knowpack.records import Estimate, Grader
from knowpack.report import charts, drawing, measures, palette, tables
from knowpack.report.drawing import NamedFigure, plain
from knowpack.report.families import Joined, families, family, family_name, joined
from knowpack.report.finished_run import Cell
from knowpack.report.report_data import ReportData, base_scores, score_map, score_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GRADER: Grader = "default"
OVER_N = ("reliability", "known_lost_net", "known_lost_raw", "negative")
MOST_TASKS = 12
Points = list[tuple[int, str, Estimate]]
"""(new facts, cell, value)."""


def drawn(data: ReportData) -> Iterator[NamedFigure]:
    """Those that have something to show."""
    if any(run.scores is not None for run in data.source.runs):
        yield NamedFigure("benchmarks", _benchmarks(data))
    if tables.pareto(data, GRADER).rows:
        yield NamedFigure("pareto", _pareto(data))
    for name in OVER_N:
        if any(data.cell(label, GRADER, name) for label, _ in data.labels()):
            yield NamedFigure(f"over_n_{name}", _over_n(data, name))


def _benchmarks(data: ReportData) -> "Figure":
    rows = [row[:2] for run in data.source.runs for row in score_rows(run.scores)]
    keys = [key for key in dict.fromkeys(rows) if not key[0].startswith("mmlu_")][:MOST_TASKS]
    n_columns = min(drawing.MOST_COLUMNS, len(keys))
    n_rows = -(-len(keys) // n_columns)
    figure, axes = drawing.new(drawing.width(n_columns), 2.1 * n_rows + 0.4, n_columns, n_rows)
    for ax in axes[len(keys) :]:
        ax.set_visible(False)
    base = score_map(base_scores(data))
    for ax, key in zip(axes, keys, strict=False):
        points_of = [
            (kind, [(cell.n_unknown, label, one) for label, cell in kind.cells if (one := _score(data, label, key))])
            for kind in joined(data)
        ]
        _plot(ax, points_of, paper=reference.BENCHMARKS.get(key), base=base.get(key))
        ax.set_title(plain(f"{key[0]} {key[1]}"))
    axes[0].legend(fontsize=6)
    dotted = "dotted: the base, " if base else ""
    figure.supxlabel(f"new facts trained; bars: range over seeds; {dotted}dashed: the paper", fontsize=8)
    return figure


def _score(data: ReportData, label: str, key: tuple[str, str]) -> Estimate | None:
    """A cell's mean over seeds, with their range as its ends."""
    runs = [run for run in data.source.runs if run.label == label]
    values = [row[2] for run in runs for row in score_rows(run.scores) if row[:2] == key]
    return Estimate(sum(values) / len(values), min(values), max(values)) if values else None


def _over_n(data: ReportData, name: str) -> "Figure":
    points_of = [
        (kind, [(cell.n_unknown, label, m) for label, cell in kind.cells if (m := data.cell(label, GRADER, name))])
        for kind in joined(data)
    ]
    figure, (ax,) = drawing.new(drawing.COLUMN, 2.5)
    paper = {"reliability": (2, "reliability"), "negative": (3, "negative_shift")}.get(name)
    lines = _plot(ax, points_of, paper=paper, base=None, percent=True)
    what = measures.NAMES[name].lower()
    ax.set(**({"xlabel": "new facts trained", "ylabel": what} if lines else {"xlabel": what}))
    ax.legend(fontsize=7)
    ax.set_title("dashed: the paper (Llama-3.1-8B-Instruct)" if paper else "", fontsize=7, fontweight="normal")
    return figure


def _plot(
    ax: "Axes",
    points_of: list[tuple[Joined, Points]],
    *,
    paper: tuple[int, str] | None,
    base: float | None,
    percent: bool = False,
) -> bool:
    """Lines over the number of facts, or dots where there is one number; True where there are lines."""
    sizes = [n for _, points in points_of for n, _, _ in points]
    if len(set(sizes)) < 2:
        _dots(ax, points_of, base, percent=percent)
        return False
    for kind, points in points_of:
        colour = palette.family(kind.key)
        if points:
            ax.plot([n for n, _, _ in points], [one.value for _, _, one in points], color=colour, linewidth=1.2)
        for i, (n, _, one) in enumerate(points):
            name = plain(kind.name, 44) if i == 0 else None
            ax.errorbar(n, one.value, yerr=drawing.ends(one), fmt=kind.shape, color=colour, elinewidth=0.8, label=name)
        theirs = [(n, value) for n, value in _paper(*paper, kind.key) if n in sizes] if paper and points else []
        ax.plot([n for n, _ in theirs], [value for _, value in theirs], "--", color=colour, linewidth=0.9)
    if base is not None:
        ax.axhline(base, color=palette.OTHER, linestyle=":", linewidth=1)
    drawing.over_facts(ax, sizes)
    if percent:
        ax.yaxis.set_major_formatter(drawing.percent())
    return True


def _dots(ax: "Axes", points_of: list[tuple[Joined, Points]], base: float | None, *, percent: bool) -> None:
    rows = [(kind, label, one) for kind, points in points_of for _, label, one in points]
    for y, (kind, _, one) in enumerate(reversed(rows)):
        shape, colour = palette.MARKERS.get(kind.key, "o"), palette.family(kind.key)
        ax.errorbar(one.value, y, xerr=drawing.ends(one), fmt=shape, color=colour, label=family_name(kind.key))
    if base is not None:
        ax.axvline(base, color=palette.OTHER, linestyle=":", linewidth=1)
    ax.set(yticks=range(len(rows)), ylim=(-0.6, len(rows) - 0.4))
    ax.set_yticklabels([plain(label) for _, label, _ in reversed(rows)])
    if percent:
        ax.xaxis.set_major_formatter(drawing.percent())


def _pareto(data: ReportData) -> "Figure":
    """A point a cell, with intervals both ways. Few cells have a name and a shape each, many one a family."""
    points = [
        (kind, label, lost, drawing.scaled(learned, cell.n_unknown))
        for kind, cells in families(data).items()
        for label, cell in cells
        if (learned := data.cell(label, GRADER, "reliability")) and (lost := data.cell(label, GRADER, "known_lost_raw"))
    ]
    figure, (ax,) = drawing.new(drawing.COLUMN, 3.2)
    named: list[str] = []
    for i, (kind, label, lost, learned) in enumerate(points):
        few = len(points) <= len(palette.SHAPES)
        name = plain(label, 44) if few else family_name(kind)
        shape = palette.SHAPES[i % len(palette.SHAPES)] if few else palette.MARKERS.get(kind, "o")
        ax.errorbar(
            lost.value,
            learned.value,
            xerr=drawing.ends(lost),
            yerr=drawing.ends(learned),
            fmt=shape,
            color=palette.family(kind),
            elinewidth=0.6,
            label=None if name in named else name,
        )
        named += [] if name in named else [name]
    heights = [learned.value for *_, learned in points]
    if min(heights) > 0 and max(heights) / min(heights) >= charts.DECADES:
        ax.set_yscale("log")
    else:
        highest = max(one.value if one.high is None else one.high for *_, one in points)
        ax.set_ylim(0, 1.08 * highest or 1)
    ax.set(xlabel="known facts lost, raw", ylabel="new facts learned")
    ax.set_title("bars: 95% intervals", fontsize=7, fontweight="normal")
    ax.xaxis.set_major_formatter(drawing.percent())
    drawing.legend_below(ax, named)
    return figure


def _paper(number: int, column: str, kind: str) -> Iterator[tuple[int, float]]:
    for row in reference.cells(number).drop_nulls(column).iter_rows(named=True):
        if family(Cell(row["n_unknown"], row["augmentation"], row["k_per_unknown"])) == kind:
            yield row["n_unknown"], float(row[column])
