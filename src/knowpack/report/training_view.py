"""Training and benchmarks on the page: reliability over epochs, benchmarks over the number of facts.

ReportData -> figures as markup; small plots side by side, one a kind of cells or one a task.
"""

from collections.abc import Sequence

from knowpack.measure import stats
from knowpack.records import Estimate
from knowpack.report import charts, palette
from knowpack.report.charts import Dot, DotRow, Line, Reach
from knowpack.report.families import families, family_name, joined
from knowpack.report.marks import legend
from knowpack.report.markup import Child, Markup, details, el, join, table, unbroken
from knowpack.report.report_data import ReportData, ScoreRow, base_scores, score_rows
from knowpack.report.shares import share
from knowpack.report.summary import epochs, over_epochs
from knowpack.report.tables import scores as score_table
from knowpack.report.value_text import text as printed
from knowpack.report.views import figure

MOST_TASKS = 12
NO_LINE = "The base is not drawn: it was not kept, or the cells have several; the table of benchmarks has each."


def figures(data: ReportData) -> list[Markup]:
    """Those that have something to show."""
    many = len(data.labels()) > 1
    parts = [_epochs(data), _benchmarks(data) if many else _scores(data)]
    return [one for one in parts if one is not None]


def _epochs(data: ReportData) -> Markup | None:
    """A small plot a family, means over seeds."""
    plots: list[Child] = []
    numbers: list[list[Child]] = []
    last = max((row.epoch for run in data.source.runs for row in epochs(run)), default=1)
    reach = Reach((1, max(2, last)), (0.0, 1.0))
    for key, cells in families(data).items():
        drawn = []
        for i, (label, cell) in enumerate(cells):
            points = over_epochs(data, label)
            if points:
                alike = sum(other.n_unknown == cell.n_unknown for _, other in cells) > 1
                name = label if alike else f"{cell.n_unknown:,} fact{'' if cell.n_unknown == 1 else 's'}"
                drawn.append(Line(name, f"s{min(5, i)}", palette.SHAPES[i % len(palette.SHAPES)], points))
                numbers.append([label, ", ".join(share(one.value) for _, one in points)])
        if drawn:
            ends = [f"{line.name}: {share(line.points[-1][1].value)} at the end" for line in drawn]
            keys = legend([(line.name, line.tone, line.shape) for line in drawn])
            plot = charts.lines(
                drawn, "epoch", "new facts answered", "; ".join(ends), log=False, height=180, reach=reach
            )
            plots.append(el("div", None, el("h3", None, family_name(key)), keys, plot))
    if not plots:
        return None
    shown = details("The numbers", table(["cell", "after each epoch"], numbers, "Reliability over epochs: the numbers"))
    small = el("div", {"class": "small-multiples"}, plots)
    several = len({run.seed for run in data.source.runs}) > 1
    note = "Mean over seeds; bars: their range." if several else "One seed."
    return figure("epochs", "Reliability over epochs", note, small, shown)


def _scores(data: ReportData) -> Markup | None:
    """One run: its table."""
    scores = score_table(data)
    if not scores.rows:
        return None
    keep = [i for i, head in enumerate(scores.heads) if head not in ("cell", "seed")]
    rows: list[list[Child]] = [[printed(row[i]) for i in keep] for row in scores.rows]
    return figure("bench", "Benchmarks", scores.note, table([scores.heads[i] for i in keep], rows, "Benchmarks"))


def _benchmarks(data: ReportData) -> Markup | None:
    """A small plot a task; MMLU's subjects are in the tables."""
    rows = [row[:2] for run in data.source.runs for row in score_rows(run.scores)]
    keys = [key for key in dict.fromkeys(rows) if not key[0].startswith("mmlu_")]
    plots: list[Child] = []
    kinds = joined(data)
    keys_of_plots: dict[str, tuple[str, str, str]] = {}
    numbers: list[list[Child]] = []
    of_base = {row[:2]: _estimate([row]) for row in score_rows(base_scores(data))}
    for task, metric in keys[:MOST_TASKS]:
        base = of_base.get((task, metric))
        drawn = []
        for kind in kinds:
            points = [(cell.n_unknown, one) for label, cell in kind.cells if (one := _mean(data, label, task, metric))]
            numbers += [[f"{task} {metric}", f"{kind.name}, {n:,} facts", _with_range(one)] for n, one in points]
            if points:
                tone = palette.css_name(kind.key)
                keys_of_plots[kind.name] = (kind.name, tone, kind.shape)
                drawn.append(Line(kind.name, tone, kind.shape, points))
        if drawn:
            items = {one.n for line in drawn for _, one in line.points}
            n = f", n = {items.pop():,}" if len(items) == 1 else ""
            head = join(task.replace("_", " "), " ", el("span", {"class": "small"}, unbroken(f"{metric}{n}")))
            plots.append(el("div", None, el("h3", None, head), over(drawn, metric, base=base)))
    if not plots:
        return None
    one_seed = len({run.seed for run in data.source.runs}) == 1
    ends = "95% interval of one seed (1.96 standard errors)" if one_seed else "range over seeds"
    more = f" The first {MOST_TASKS} of {len(keys)}." if len(keys) > MOST_TASKS else ""
    shown = details("The numbers", table(["task", "cells", f"mean, {ends}"], numbers, "Benchmarks: the numbers"))
    small = el("div", {"class": "small-multiples"}, plots)
    by_cell = len({cell.n_unknown for kind in kinds for _, cell in kind.cells}) == 1
    title = "Benchmarks by cell" if by_cell else "Benchmarks over the number of facts"
    base_line = f"{'Dashed' if by_cell else 'Dotted'}: the base." if of_base else NO_LINE
    note = f"Mean, with the {ends}. {base_line}{more}"
    return figure("bench", title, note, legend(list(keys_of_plots.values())), small, shown)


def _mean(data: ReportData, label: str, task: str, metric: str) -> Estimate | None:
    """A cell over its seeds."""
    rows = [row for run in data.source.runs if run.label == label for row in score_rows(run.scores)]
    matching = [row for row in rows if row[:2] == (task, metric)]
    return _estimate(matching) if matching else None


def _estimate(rows: Sequence[ScoreRow]) -> Estimate:
    """One seed: value +- 1.96 standard errors, of an accuracy cut at 0 and 1; several: their mean and range."""
    values = [row[2] for row in rows]
    n = rows[0][4]
    if len(rows) > 1:
        return Estimate(sum(values) / len(values), min(values), max(values), n)
    (_, metric, value, stderr, _), *_ = rows
    if stderr is None:
        return Estimate(value, n=n)
    low, high = value - stats.Z * stderr, value + stats.Z * stderr
    return (
        Estimate(value, max(0.0, low), min(1.0, high), n) if metric.startswith("acc") else Estimate(value, low, high, n)
    )


def _with_range(one: Estimate) -> str:
    n = "" if one.n is None else f", n = {one.n:,}"
    if one.low is None or one.high is None:
        return f"{one.value:.3f} (no interval{n})"
    return f"{one.value:.3f} ({one.low:.3f} to {one.high:.3f}{n})"


def over(drawn: Sequence[Line], what: str, *, base: Estimate | None = None) -> Markup:
    """Lines over the number of facts; dots by cell, the base's first, where there is only one number."""
    lines = [f"{line.name}: " + ", ".join(f"{one.value:.3f} at {n:,.0f}" for n, one in line.points) for line in drawn]
    level = None if base is None else base.value
    if len({n for line in drawn for n, _ in line.points}) > 1:
        return charts.lines(drawn, "new facts", what, "; ".join(lines), percent=False, base=level, height=170)
    rows = [] if base is None else [DotRow("the base", [Dot(base, "f-other", "o")], f"{base.value:.3f}")]
    for line in drawn:
        rows += [DotRow(line.name, [Dot(one, line.tone, line.shape)], f"{one.value:.3f}") for _, one in line.points]
    return charts.dots(rows, what, "; ".join(f"{row.label}: {row.value}" for row in rows), floor=level, percent=False)
