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

LONGEST_WAIT_SECONDS = 600.0
"""For another process that writes this report, or still works in the folder."""


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
    """`build`, with all that was measured. Two processes that end at once write one after the other."""
    from knowpack import store
    from knowpack.records import GRADERS
    from knowpack.report import figures, formats, measured, page, source, tables, verdict

    given = source.load(folder)
    with store.lock(given.folder, LONGEST_WAIT_SECONDS):
        if budget is not None:
            verdict.keep(given.folder, budget)
        found = measured.measure(given)
        for grader in GRADERS:
            place = given.folder / "tables" / ("" if grader == "default" else f"{grader}-grader")
            for table in tables.tables(found, grader):
                formats.write(place, table)
        figures.write(found, given.folder / "figures", progress=progress)
        return Built(page.write(found, given.folder / "report.html", progress=progress), found)
