"""Tables, static figures and one page of HTML from a work directory; never a model.

A folder (study, run, pack or diff) -> tables/, figures/ and report.html beside what it already holds.
"""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from knowpack.progress import SILENT, Progress

if TYPE_CHECKING:
    from knowpack.pack.budget import Budget
    from knowpack.report.measured import Measured

__all__ = ["Built", "build", "built"]


class Built(NamedTuple):
    """A report, and what it was made of."""

    page: Path
    """report.html"""
    measured: "Measured"


def build(folder: Path, *, budget: "Budget | None" = None, progress: Progress = SILENT) -> Path:
    """Write the report of a study, run, pack or diff into its folder; the path of report.html.

    budget: the limits by which it is judged; kept, so that it is judged so again. None: those kept, else the defaults.
    Raises StoreError where there is nothing to report, or a table cannot be read.
    """
    return built(folder, budget=budget, progress=progress).page


def built(folder: Path, *, budget: "Budget | None" = None, progress: Progress = SILENT) -> Built:
    """`build`, with all that was measured."""
    from knowpack.records import GRADERS
    from knowpack.report import figures, formats, measured, page, source, tables, verdict

    given = source.load(folder)
    if budget is not None:
        verdict.keep(given.folder, budget)
    found = measured.measure(given)
    for grader in GRADERS:
        place = given.folder / "tables" / ("" if grader == "default" else f"{grader}-grader")
        for table in tables.tables(found, grader):
            formats.write(place, table)
    figures.write(found, given.folder / "figures", progress=progress)
    return Built(page.write(found, given.folder / "report.html", progress=progress), found)
