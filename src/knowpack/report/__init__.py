"""Tables, static figures and one page of HTML from a work directory; never a model.

A folder (study, run, pack or diff) -> tables/, figures/ and report.html beside what it already holds.

source.py           what lies in the folder; finished_run.py: one run; run_details.py: how it was made
report_data.py      all measures, computed once (measures.py); verdict.py: may it ship; summary.py: what it opens with
first_screen.py     what is said first; shares.py, value_text.py, words.py: in which words and digits
tables.py           all tables; paper_tables.py, claim_tables.py, comparison_tables.py, confidence_tables.py,
                    current_tables.py, further_tables.py, group_tables.py; families.py: kinds of cells
formats.py          tables as CSV and Markdown; latex.py
figures.py          static figures; grid_figures.py: of a grid; drawing.py, palette.py: how they look
page.py             the page; views.py: of one run; study_view.py, training_view.py: of all
cards.py, lost_facts.py, provenance.py, explorer.py   its parts
charts.py, bands.py, marks.py, markup.py   drawn and written as text
"""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from knowpack.progress import SILENT, Progress

if TYPE_CHECKING:
    from knowpack.pack.budget import Budget
    from knowpack.report.report_data import ReportData

__all__ = ["Built", "build", "built"]

LONGEST_WAIT_SECONDS = 600.0
"""For another process that writes this report, or still works in the folder."""


class Built(NamedTuple):
    """A report, and what it was made of."""

    page: Path
    """report.html"""
    data: "ReportData"


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
    from knowpack.report import figures, formats, page, report_data, source, tables, verdict

    folder_source = source.load(folder)
    with store.lock(folder_source.folder, LONGEST_WAIT_SECONDS):
        if budget is not None:
            verdict.keep(folder_source.folder, budget)
        data = report_data.measure(folder_source)
        for grader in GRADERS:
            place = folder_source.folder / "tables" / ("" if grader == "default" else f"{grader}-grader")
            for table in tables.tables(data, grader):
                formats.write(place, table)
        figures.write(data, folder_source.folder / "figures", progress=progress)
        return Built(page.write(data, folder_source.folder / "report.html", progress=progress), data)
