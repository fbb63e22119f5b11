"""What became of the abstract's five claims: a table, and lines for the terminal and the page.

ReportData -> `Finding`s under one grader; the rules are measure/abstract_claims.py's.
"""

from knowpack.measure import abstract_claims
from knowpack.measure.abstract_claims import CellFigures, Finding, Part
from knowpack.records import Grader
from knowpack.report import measures
from knowpack.report.finished_run import Run
from knowpack.report.first_screen import estimate_text
from knowpack.report.report_data import ReportData, Table, Value, run_of

BIAS = ("n_subjects", "n_answers", "zipf")


def findings(data: ReportData, grader: Grader) -> list[Finding]:
    """The five claims over all cells."""
    cells = []
    for label, cell in data.labels():
        mine = {one.name: one.measure for one in data.cells if (one.label, one.grader) == (label, grader)}
        run = run_of(data, label)
        cells.append(CellFigures(label, cell.n_unknown, cell.augmentation, cell.k, is_biased(run), mine, run.base_name))
    return abstract_claims.findings(cells)


def is_biased(run: Run) -> bool:
    """Is the mix concentrated on few subjects or answers?"""
    return any(run.config("mix", name) is not None for name in BIAS)


def claims(data: ReportData, grader: Grader) -> Table:
    """A line for every figure that a claim was judged on."""
    rows: list[tuple[Value, ...]] = []
    for one in findings(data, grader):
        rows += [
            (
                one.claim,
                str(one.ruling),
                name(part),
                part.pooled,
                len(part.cells),
                one.why,
            )
            for part in one.parts
        ] or [(one.claim, str(one.ruling), "", None, None, one.why)]
    heads = ("the paper's abstract", "here", "figure", "mean over cells", "cells", "why")
    note = (
        "Found: the interval lies wholly on the claim's side (docs/method.md has the rules). The mean over cells "
        "averages the ends of their intervals too: no cell is picked, and more cells do not narrow it. A figure that "
        "is a difference between cells says so in its name. The claims are about the paper's model."
    )
    return Table("claims", "The five claims of the paper's abstract", heads, rows, note)


def lines(data: ReportData, grader: Grader = "default") -> list[str]:
    """A sentence a claim."""
    return [_sentence(one) for one in findings(data, grader)]


def _sentence(one: Finding) -> str:
    judged_on = [f"{_lower(name(part))} {_figure(part)}" for part in one.parts]
    return f"{one.ruling}: {one.claim} ({'; '.join([one.why, *judged_on])})"


def name(part: Part) -> str:
    """What a claim was judged on: a figure, or its difference to that of other cells."""
    figure = measures.NAMES.get(part.name, part.name)
    return f"{figure}: difference to {part.minus}" if part.minus else figure


def _lower(text: str) -> str:
    return text if text[:2].isupper() else text[:1].lower() + text[1:]


def _figure(part: Part) -> str:
    n = len(part.cells)
    value = estimate_text(part.pooled._replace(n=None), part.name, change=bool(part.minus))
    return f"{value}, {n} cell{'s' if n > 1 else ''}"
