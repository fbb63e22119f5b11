"""How a command ends: its report, the tables that fit a terminal, the verdict; or one JSON object and nothing else.

A finished folder -> lines on stdout, and an exit code where limits were asked for.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from knowpack.cli.terminal import echo, say_table
from knowpack.cli.terminal import say_json as say_json

if TYPE_CHECKING:
    from knowpack.pack.budget import Budget, State
    from knowpack.report import Built

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else.")]

IN_WORDS = "claims"  # the table that is printed as sentences
WIDEST_TABLE, LONGEST_TABLE = (
    10,
    24,
)  # columns, rows (or lines, a value each); larger ones are in the report and in tables/
NOT_MET = 3  # exit code: a limit is not met, or not measured


def finish(folder: Path, quiet: bool, *, as_json: bool = False, budget: "Budget | None" = None) -> "State":
    """Write the report and print what it says first, its tables that fit, and where it lies; the verdict's word."""
    from knowpack.cli.console import progress
    from knowpack.report import built
    from knowpack.report.first import first
    from knowpack.report.summary import opening

    shown = progress(quiet)
    with shown.stage("report", None):
        made = built(folder, budget=budget, progress=shown)
    told = first(made.measured, opening(made.measured).run)
    if as_json:
        say_json(_plain(made))
        return told.judgement.word
    of = f"{told.label}, seed {told.seed}: " if len(made.measured.source.runs) > 1 else ""
    echo(f"result: {of}{told.headline}")
    if made.measured.source.kind != "pack":
        _tables(made)
    echo(f"verdict: {told.judgement.word} – {told.judgement.sentence()}")
    echo(f"report: {made.page}")
    return told.judgement.word


def _tables(made: "Built") -> None:
    from rich.table import Table as Shown

    from knowpack.report.claim_tables import lines
    from knowpack.report.printed import text
    from knowpack.report.tables import tables

    folder = made.page.parent
    for given in tables(made.measured, "default"):
        if len(given.heads) > WIDEST_TABLE or len(given.rows) > LONGEST_TABLE or given.name == IN_WORDS:
            continue
        table = Shown(*given.heads)
        for row in given.rows:
            table.add_row(*(text(value) for value in row))
        in_full = len(given.heads) * len(given.rows) <= LONGEST_TABLE
        elsewhere = [f"  {len(given.rows)} rows, wider than this terminal: {folder / 'tables' / given.name}.md"]
        say_table(table, f"\n{given.title}", narrow=None if in_full else elsewhere)
    echo("\nThe paper's abstract, here:")
    for line in lines(made.measured):
        echo(f"  {line}")
    echo(f"tables: {folder / 'tables'}   figures: {folder / 'figures'}")


def _plain(made: "Built") -> dict[str, object]:
    from knowpack.report.first import as_json
    from knowpack.report.summary import opening

    source = made.measured.source
    whole = {"report": str(made.page), "tables": str(source.folder / "tables")}
    if source.kind != "study":
        return as_json(made.measured, 0) | whole
    return {
        "kind": "study",
        "best": opening(made.measured).run,
        "runs": [as_json(made.measured, index) for index in range(len(source.runs))],
        "unfinished": [one._asdict() for one in source.unfinished],
        **whole,
    }
