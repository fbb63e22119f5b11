"""Training and benchmarks on the page: reliability over epochs, benchmarks over the number of facts.

Measured -> figures as markup; small plots side by side, one a kind of cells or one a task.
"""

from collections.abc import Sequence

from knowpack.records import Estimate
from knowpack.report import charts, palette
from knowpack.report.charts import Dot, DotRow, Line
from knowpack.report.families import families, family_name
from knowpack.report.markup import Child, Markup, details, el, join, table
from knowpack.report.measured import Measured, score_map, score_rows
from knowpack.report.printed import text as printed
from knowpack.report.shares import share
from knowpack.report.summary import epochs
from knowpack.report.tables import scores as score_table
from knowpack.report.views import figure

MOST_TASKS = 12
SHAPES = "osD^v*"


def figures(measured: Measured) -> list[Markup]:
    """Those that have something to show."""
    many = len(measured.labels()) > 1
    found = [_epochs(measured), _benchmarks(measured) if many else _scores(measured)]
    return [one for one in found if one is not None]


def _epochs(measured: Measured) -> Markup | None:
    """A small plot a family, means over seeds."""
    plots: list[Child] = []
    numbers: list[list[Child]] = []
    for key, cells in families(measured).items():
        drawn = []
        for i, (label, cell) in enumerate(cells):
            points = _over_epochs(measured, label)
            if points:
                name = f"{cell.n_unknown:,} facts"
                drawn.append(Line(name, f"s{min(5, i)}", SHAPES[i % len(SHAPES)], points))
                numbers.append([label, ", ".join(share(one.value) for _, one in points)])
        if drawn:
            ends = [f"{line.name}: {share(line.points[-1][1].value)} at the end" for line in drawn]
            keys = charts.legend([(line.name, line.tone, line.shape) for line in drawn])
            plot = charts.lines(drawn, "epoch", "new facts answered", "; ".join(ends), log=False, height=180)
            plots.append(el("div", None, el("h3", None, family_name(key)), keys, plot))
    if not plots:
        return None
    shown = details("The numbers", table(["cell", "after each epoch"], numbers, "Reliability over epochs: the numbers"))
    small = el("div", {"class": "small-multiples"}, plots)
    return figure("epochs", "Reliability over epochs", "Mean over seeds.", small, shown)


def _over_epochs(measured: Measured, label: str) -> list[tuple[float, Estimate]]:
    found: dict[int, list[float]] = {}
    for run in (one for one in measured.source.runs if one.label == label):
        for row in epochs(run):
            if row.reliability is not None:
                found.setdefault(row.epoch, []).append(row.reliability)
    return [(epoch, Estimate(sum(values) / len(values))) for epoch, values in sorted(found.items())]


def _scores(measured: Measured) -> Markup | None:
    """One run: its table."""
    found = score_table(measured)
    if not found.rows:
        return None
    keep = [i for i, head in enumerate(found.heads) if head not in ("cell", "seed")]
    rows: list[list[Child]] = [[printed(row[i]) for i in keep] for row in found.rows]
    return figure("bench", "Benchmarks", found.note, table([found.heads[i] for i in keep], rows, "Benchmarks"))


def _benchmarks(measured: Measured) -> Markup | None:
    """A small plot a task; MMLU's subjects are in the tables."""
    rows = [row[:2] for run in measured.source.runs for row in score_rows(run.scores)]
    keys = [key for key in dict.fromkeys(rows) if not key[0].startswith("mmlu_")]
    plots: list[Child] = []
    kinds: dict[str, tuple[str, str, str]] = {}
    numbers: list[list[Child]] = []
    of_base = score_map(measured.source.runs[0].base_scores())
    for task, metric in keys[:MOST_TASKS]:
        base = of_base.get((task, metric))
        drawn = []
        for kind, cells in families(measured).items():
            points = [(cell.n_unknown, one) for label, cell in cells if (one := _mean(measured, label, task, metric))]
            name = family_name(kind)
            numbers += [[f"{task} {metric}", f"{name}, {n:,} facts", _with_range(one)] for n, one in points]
            if points:
                shape, tone = palette.MARKERS.get(kind, "o"), palette.css_name(kind)
                kinds[kind] = (name, tone, shape)
                drawn.append(Line(name, tone, shape, points))
        if drawn:
            head = join(task.replace("_", " "), " ", el("span", {"class": "small"}, metric))
            plots.append(el("div", None, el("h3", None, head), over(drawn, metric, base=base)))
    if not plots:
        return None
    more = f" The first {MOST_TASKS} of {len(keys)}." if len(keys) > MOST_TASKS else ""
    shown = details(
        "The numbers", table(["task", "cells", "mean, range over seeds"], numbers, "Benchmarks: the numbers")
    )
    small = el("div", {"class": "small-multiples"}, plots)
    note = f"Mean over seeds, with their range. Dotted: the base.{more}"
    return figure(
        "bench", "Benchmarks over the number of facts", note, charts.legend(list(kinds.values())), small, shown
    )


def _mean(measured: Measured, label: str, task: str, metric: str) -> Estimate | None:
    """Over the seeds of a cell, with their range as its ends."""
    rows = [row for run in measured.source.runs if run.label == label for row in score_rows(run.scores)]
    values = [row[2] for row in rows if row[:2] == (task, metric)]
    return Estimate(sum(values) / len(values), min(values), max(values)) if values else None


def _with_range(one: Estimate) -> str:
    return f"{one.value:.3f} ({one.low:.3f} to {one.high:.3f})"


def over(drawn: Sequence[Line], what: str, *, base: float | None = None) -> Markup:
    """Lines over the number of facts; dots where there is only one number."""
    told = [f"{line.name}: " + ", ".join(f"{one.value:.3f} at {n:,.0f}" for n, one in line.points) for line in drawn]
    if len({n for line in drawn for n, _ in line.points}) > 1:
        return charts.lines(drawn, "new facts", what, "; ".join(told), percent=False, base=base, height=170)
    rows = []
    for line in drawn:
        ((_, one),) = line.points
        rows.append(DotRow(line.name, [Dot(one, line.tone, line.shape)], f"{one.value:.3f}"))
    return charts.dots(rows, what, "; ".join(told), floor=base, percent=False)
