"""The part of the page about all cells together: the grid, the claims, training, benchmarks, learned against lost.

ReportData + grader -> markup; of one run alone its training and its benchmarks.
"""

from knowpack.paper import reference
from knowpack.records import Estimate, Grader
from knowpack.report import charts, claim_tables, measures, palette, training_view
from knowpack.report.charts import Dot, DotRow
from knowpack.report.families import family, family_name
from knowpack.report.finished_run import Cell
from knowpack.report.first_screen import estimate_text
from knowpack.report.markup import Child, Markup, alien, details, el, join, table, unbroken
from knowpack.report.report_data import ReportData
from knowpack.report.shares import share
from knowpack.report.views import figure

STEPS = 5  # shades of a grid
IN_PAPER = {
    "reliability": (2, "reliability"),
    "positive": (3, "positive_shift"),
    "negative": (3, "negative_shift"),
    "n_refused_first": (4, "n_refused"),
    "n_unique_answers": (4, "n_unique_answers"),
}
"""Measure -> table and column of the paper."""


def section(data: ReportData, grader: Grader) -> Markup:
    """Figures in the order of the page; empty where there is nothing to show."""
    many = len(data.labels()) > 1
    parts = [_claims(data, grader), _grid(data, grader), _cells(data, grader)] if many else []
    parts += training_view.figures(data)
    parts += [_pareto(data, grader)] if many else []
    return join([part for part in parts if part is not None])


def _claims(data: ReportData, grader: Grader) -> Markup | None:
    lines = claim_tables.lines(data, grader)
    note = "The claims are about the paper's model and data; here they are judged on this study's cells of its kinds."
    return figure(
        "claims",
        "The five claims of the paper's abstract",
        note,
        el("ul", None, [el("li", None, one) for one in lines]),
    )


def _grid(data: ReportData, grader: Grader) -> Markup | None:
    """One table a measure; the page shows one, the first without JavaScript."""
    names = [
        name
        for name in measures.NAMES
        if name not in ("known_lost_floor", "n_refused_first_base") and _values(data, grader, name)
    ]
    first = [name for name in ("known_lost_net", "known_lost_raw", "reliability") if name in names]
    names = [*first[:1], *(name for name in names if name not in first[:1])]
    shown = [
        el(
            "div",
            {"class": "variant", "data-of": "grid", "data-name": name, "hidden": i > 0},
            el("p", {"class": "paper-only"}, el("strong", None, measures.NAMES[name])),
            _grid_of(data, grader, name),
        )
        for i, name in enumerate(names)
    ]
    options = [el("option", {"value": name}, measures.NAMES[name]) for name in names]
    pick = el("label", {"class": "pick needs-js"}, "Measure ", el("select", {"data-for": "grid"}, options))
    note = "Mean over seeds with its interval. Blue: the more the better; orange: the more the worse."
    return (
        figure("grid", "Every cell at a glance", note, el("div", {"class": "controls"}, pick), shown) if names else None
    )


def _values(data: ReportData, grader: Grader, name: str) -> list[tuple[str, Cell, Estimate]]:
    values = [(label, cell, data.cell(label, grader, name)) for label, cell in data.labels()]
    return [(label, cell, one) for label, cell, one in values if one is not None and cell.augmentation != "sham"]


def _grid_of(data: ReportData, grader: Grader, name: str) -> Markup:
    values = _values(data, grader, name)
    columns = measures.unique(family(cell) for _, cell, _ in values)
    sizes = sorted({cell.n_unknown for _, cell, _ in values})
    high = max((one.value for _, _, one in values), default=1.0) or 1.0
    better = values[0][2].higher_is_better if values else None
    tone = "up" if better else "down" if better is False else "stay"
    rows: list[list[Child]] = []
    for n in sizes:
        line: list[Child] = [f"{n:,} facts"]
        for key in columns:
            here = [one for one in values if (one[1].n_unknown, family(one[1])) == (n, key)]
            shaded = [_shaded(one, name, tone, high, _paper(name, cell)) for _, cell, one in here]
            if len(here) > 1:  # of other settings: each under its own name
                named = [el("span", {"class": "small"}, alien(label), " ") for label, _, _ in here]
                shaded = [el("div", None, *pair) for pair in zip(named, shaded, strict=True)]
            line.append(join(el("span", {"class": "fold-name"}, family_name(key)), *shaded) if here else None)
        rows.append(line)
    heads = ["Unknown facts trained", *map(family_name, columns)]
    return table(heads, rows, f"{measures.NAMES[name]} of every cell", classes="matrix folds")


def _shaded(one: Estimate, name: str, tone: str, high: float, paper: float | None) -> Markup:
    level = min(STEPS - 1, max(0, round((STEPS - 1) * one.value / high)))
    value, _, interval = estimate_text(one, name).partition(" (")
    beside = "" if paper is None else f"; paper {estimate_text(Estimate(paper), name).partition(' (')[0]}"
    around = unbroken(interval.removesuffix(")") + beside)
    return el("span", {"class": f"shade {tone}-{level}"}, value, " ", el("span", {"class": "small"}, around))


def _paper(name: str, cell: Cell) -> float | None:
    """The paper's value for the same cell; None = it has none."""
    if name not in IN_PAPER:
        return None
    number, column = IN_PAPER[name]
    keys = ("n_unknown", "augmentation", "k_per_unknown")
    rows = reference.cells(number).drop_nulls(column).iter_rows(named=True)
    return next((float(row[column]) for row in rows if tuple(row[key] for key in keys) == tuple(cell)), None)


def _cells(data: ReportData, grader: Grader) -> Markup:
    names = ("reliability", "known_lost_net", "known_lost_raw", "refusals_lost_net", "benchmark_drop")
    shown = [name for name in names if any(data.cell(label, grader, name) for label, _ in data.labels())]
    rows: list[list[Child]] = []
    for label, _ in data.labels():
        index = next(i for i, run in enumerate(data.source.runs) if run.label == label)
        seeds = sum(run.label == label for run in data.source.runs)
        button = el("button", {"type": "button", "class": "link", "data-run": index}, label)
        rows.append([button, str(seeds), *(estimate_text(data.cell(label, grader, name), name) for name in shown)])
    rows += [[one.name, f"{one.state}{': ' if one.error else ''}{one.error}"] for one in data.source.unfinished]
    heads = ["cell", "seeds", *(measures.NAMES[name] for name in shown)]
    return el(
        "div", {"id": "cells"}, details("Every cell, with intervals", table(heads, rows, "Every cell"), is_open=True)
    )


def _pareto(data: ReportData, grader: Grader) -> Markup | None:
    """Share of known facts lost, cell by cell, the least first, with what each learned: what more facts would cost."""
    name = "known_lost_net" if _values(data, grader, "known_lost_net") else "known_lost_raw"
    points = [
        (label, cell, one, learned)
        for label, cell, one in _values(data, grader, name)
        if (learned := data.cell(label, grader, "reliability")) is not None
    ]
    if not points:
        return None
    points.sort(key=lambda row: (row[2].value, -row[3].value * row[1].n_unknown))
    rows = []
    for label, cell, one, learned in points:
        n = learned.value * cell.n_unknown
        beaten = any(o[3].value * o[1].n_unknown >= n and o[2].value < one.value for o in points)
        key = family(cell)
        dot = Dot(one, palette.css_name(key), palette.MARKERS.get(key, "o"))
        rows.append(DotRow(f"{label}{'' if beaten else ' ◂'}", [dot], f"{share(one.value)} lost, {n:,.0f} learned"))
    text = "; ".join(f"{row.label}: {row.value}" for row in rows)
    note = "Cells from the least harm to the most; 95% intervals. ◂: no other cell learned as much at less harm."
    return figure("pareto", "Facts learned against harm", note, charts.dots(rows, measures.NAMES[name].lower(), text))


def citation() -> str:
    """Whose figures stand beside ours in the tables."""
    return f"The tables beside this page hold the paper's figures too: {reference.CITATION}"
