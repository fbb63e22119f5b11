"""What the facts commands share: the options of an output, and how tables and counts are printed."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from knowpack.cli import terminal


def parquet(out: Path) -> Path:
    """Refuses before any work what would be a table under a wrong name."""
    from knowpack.errors import FactsError

    if out.suffix != ".parquet" or out.is_dir():
        raise FactsError(f"--out {out}: expected the name of a parquet file, such as facts.parquet")
    if file := next((one for one in out.parents if one.is_file()), None):
        raise FactsError(f"cannot write {out}: {file} is a file")
    return out


Out = Annotated[
    Path, typer.Option("--out", callback=parquet, help="Parquet file to write; it appears only when complete.")
]


Quiet = Annotated[bool, typer.Option("--quiet", help="No progress.")]
Seed = Annotated[int, typer.Option(help="Of the sample.")]


def say(text: str) -> None:
    """Print a line as it is."""
    terminal.console().print(text, soft_wrap=True)


def write(path: Path, facts: object) -> None:
    """Write a table of facts and say so."""
    import polars as pl

    from knowpack.store import write_table

    assert isinstance(facts, pl.DataFrame)
    write_table(path, facts)
    say(f"{len(facts):,} {'fact' if len(facts) == 1 else 'facts'} -> {path}")


def say_counts(title: str, counts: dict[str, int]) -> None:
    """Print counts as a small table; nothing where there is none."""
    if not counts:
        return
    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, n in counts.items():
        table.add_row(name, f"{n:,}")
    terminal.say_table(table, title)
