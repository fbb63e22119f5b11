"""Tables, static figures and one page of HTML from a work directory; never a model.

A folder (study, run, pack or diff) -> tables/, figures/ and report.html beside what it already holds.
"""

from pathlib import Path

from knowpack.progress import SILENT, Progress

__all__ = ["build"]


def build(folder: Path, *, progress: Progress = SILENT) -> Path:
    """Write the report of a study, run, pack or diff into its folder; the path of report.html.

    Raises StoreError where there is nothing to report, or a table cannot be read.
    """
    from knowpack.records import GRADERS
    from knowpack.report import figures, formats, measured, page, source, tables

    given = source.load(folder)
    found = measured.measure(given)
    for grader in GRADERS:
        place = given.folder / "tables" / ("" if grader == "default" else f"{grader}-grader")
        for table in tables.tables(found, grader):
            formats.write(place, table)
    figures.write(found, given.folder / "figures", progress=progress)
    return page.write(found, given.folder / "report.html", progress=progress)
