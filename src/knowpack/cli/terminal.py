"""The one place that writes to the terminal. Questions, answers and errors are text of others: never markup, never
a control sequence.

text -> a line on stdout or stderr; a rich table or bar -> through `console`, under the same rule.
"""

import copy
import json
import os
import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDTH_OF_A_FILE = 132  # columns of a table where nobody watches and COLUMNS does not say
WIDEST = 100_000  # no table is wider: to measure one that has all the room it wants
NOTHING = ("", "–")  # what a cell holds where nothing was measured

# C0 and C1 controls but tab and line end, marks that turn the direction of writing, halves of characters.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def plain(text: str) -> str:
    """The text with what a terminal would obey written out: \\x1b[31m is shown, and colours nothing."""
    return _UNSAFE.sub(lambda match: ascii(match[0])[1:-1], text)


def one_line(text: str) -> str:
    """The same, on one line."""
    return " ".join(plain(text).split())


def echo(text: object = "", *, err: bool = False) -> None:
    """A line as it is."""
    typer.echo(plain(str(text)), err=err)


def failed(text: str) -> None:
    """A line on stderr, red where that is a terminal."""
    typer.secho(one_line(text), fg="red", err=True)


def warned(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A warning as one line, without the place in the source (for `warnings.showwarning`)."""
    print(f"knowpack: note: {one_line(str(message))}", file=file or sys.stderr)


def console(*, err: bool = False, width: int | None = None) -> Console:
    """A console for tables and bars that takes no text for markup."""
    return _Plain(stderr=err, width=width, markup=False, emoji=False, highlight=False)


def say_table(
    table: Table, title: str | None = None, *, narrow: Sequence[str] | None = None, err: bool = False
) -> None:
    """A table, `fitted`; its title above it on a line of its own."""
    screen = console(err=err)
    if not screen.is_terminal and "COLUMNS" not in os.environ:
        screen = console(err=err, width=WIDTH_OF_A_FILE)
    if title is not None:
        echo(title, err=err)
    fitting = fitted(table, screen, narrow)
    screen.print(fitting, soft_wrap=isinstance(fitting, str))


def fitted(table: Table, screen: Console, narrow: Sequence[str] | None = None) -> Table | str:
    """The table with its lines; where that is too wide without them, then closer together; where that is too wide as
    well its rows one below the other: no name and no number is folded or cut.

    narrow: lines of the caller's in place of those rows.
    """
    bare, closer = copy.copy(table), copy.copy(table)
    bare.box = closer.box = None
    bare.pad_edge = closer.pad_edge = False
    closer.padding = (0, 1, 0, 0)  # one space between columns, not two
    for one in (table, bare, closer):
        if screen.measure(one, options=screen.options.update_width(WIDEST)).maximum <= screen.width:
            return one
    return "\n".join(_stacked(table) if narrow is None else narrow)


def _stacked(table: Table) -> Iterator[str]:
    heads = [one_line(str(column.header)) for column in table.columns]
    for cells in zip(*(column.cells for column in table.columns), strict=True):
        first, *values = (one_line(str(cell)) for cell in cells)
        yield f"  {first}"
        for head, value in zip(heads[1:], values, strict=True):
            if value not in NOTHING:
                yield f"    {head}: {value}" if head else f"    {value}"


def duration(seconds: float) -> str:
    """Seconds for a person: 42 s, 12 min, 3.4 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"


def say_json(value: Mapping[str, object]) -> None:
    """One JSON object on stdout."""
    written = json.dumps(value, ensure_ascii=False, default=str)
    typer.echo(_UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", written))


def quieter() -> None:
    """Warnings as lines, each once; none of the libraries' own about their future."""
    warnings.filterwarnings("ignore", category=FutureWarning)
    shown: set[str] = set()

    def once(message: Warning | str, *args: Any, **named: Any) -> None:
        if str(message) not in shown:  # a command may do the same thing for its plan and for its work
            warned(message, *args, **named)
        shown.add(str(message))

    warnings.showwarning = once


class _Plain(Console):
    """Every text that rich prints, in cells and titles too, comes through here."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(plain(text), **options)
