"""How a command ends: its report, the tables that fit a terminal, the verdict; or one JSON object and nothing else.

A finished folder -> lines on stdout, and an exit code where limits were asked for.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from knowpack.cli.terminal import echo, say_json, say_table

if TYPE_CHECKING:
    from knowpack.pack.budget import Budget, State
    from knowpack.report import Built

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else.")]

IN_WORDS = "claims"  # the table that is printed as sentences
WIDEST_TABLE, LONGEST_TABLE = 10, 24
"""Columns, and rows (or lines, a value each): larger tables are in the report and in tables/ alone."""
NOT_MET = 3  # exit code: a limit is not met, or not measured


def finish(folder: Path, quiet: bool, *, as_json: bool = False, budget: "Budget | None" = None) -> "State":
    """Write the report and print what it says first, its tables that fit, and where it lies; the verdict's word."""
    from knowpack.cli.console import progress
    from knowpack.report import built
    from knowpack.report.first_screen import first_screen
    from knowpack.report.summary import opening

    bars = progress(quiet)
    with bars.stage("report", None):
        report = built(folder, budget=budget, progress=bars)
    screen = first_screen(report.data, opening(report.data).run)
    if as_json:
        say_json(_plain(report))
        return screen.judgement.word
    of = f"{screen.label}, seed {screen.seed}: " if len(report.data.source.runs) > 1 else ""
    echo(f"result: {of}{screen.headline}")
    if report.data.source.kind != "pack":
        _tables(report)
    echo(f"verdict: {screen.judgement.word} – {screen.judgement.sentence()}")
    echo(f"report: {report.page}")
    return screen.judgement.word


def _tables(report: "Built") -> None:
    from rich.table import Table as Shown

    from knowpack.report.claim_tables import lines
    from knowpack.report.tables import tables
    from knowpack.report.value_text import text

    folder = report.page.parent
    for one in tables(report.data, "default"):
        if len(one.heads) > WIDEST_TABLE or len(one.rows) > LONGEST_TABLE or one.name == IN_WORDS:
            continue
        table = Shown(*one.heads)
        for row in one.rows:
            table.add_row(*(text(value) for value in row))
        in_full = len(one.heads) * len(one.rows) <= LONGEST_TABLE
        elsewhere = [f"  {len(one.rows)} rows, wider than this terminal: {folder / 'tables' / one.name}.md"]
        say_table(table, f"\n{one.title}", narrow=None if in_full else elsewhere)
    echo("\nThe paper's abstract, here:")
    for line in lines(report.data):
        echo(f"  {line}")
    echo(f"tables: {folder / 'tables'}   figures: {folder / 'figures'}")


def _plain(report: "Built") -> dict[str, object]:
    from knowpack.report.first_screen import as_json
    from knowpack.report.summary import opening

    source = report.data.source
    paths = {"report": str(report.page), "tables": str(source.folder / "tables")}
    if source.kind != "study":
        return as_json(report.data, 0) | paths
    return {
        "kind": "study",
        "best": opening(report.data).run,
        "runs": [as_json(report.data, index) for index in range(len(source.runs))],
        "unfinished": [one._asdict() for one in source.unfinished],
        **paths,
    }
