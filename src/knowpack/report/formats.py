"""Tables as files: CSV with every number in full, Markdown and LaTeX (latex.py) rounded for reading.

Table -> text. A measure becomes value, low, high and n in CSV, and "0.980 [0.950, 1.000] n=50" in print.
"""

import csv
import io
from pathlib import Path

from knowpack import store
from knowpack.records import Estimate
from knowpack.report import latex
from knowpack.report.report_data import Table, Value
from knowpack.report.value_text import text

_MARKDOWN = str.maketrans(
    {"\\": r"\\", "|": r"\|", "\n": " ", "\r": " ", "<": "&lt;", "*": r"\*", "_": r"\_", "`": r"\`", "[": r"\["}
)
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A cell of text that starts so is run as a formula by spreadsheets (OWASP, CSV injection)."""


def write(folder: Path, table: Table) -> None:
    """Write NAME.csv, NAME.md and NAME.tex."""
    store.write_text(folder / f"{table.name}.csv", as_csv(table))
    store.write_text(folder / f"{table.name}.md", as_markdown(table))
    store.write_text(folder / f"{table.name}.tex", latex.as_latex(table))


def as_csv(table: Table) -> str:
    """RFC 4180; columns that hold measures are split into value, low, high, n."""
    wide = [any(isinstance(row[i], Estimate) for row in table.rows) for i in range(len(table.heads))]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    heads = [[h, f"{h} (low)", f"{h} (high)", f"{h} (n)"] if w else [h] for h, w in zip(table.heads, wide, strict=True)]
    writer.writerow([head for group in heads for head in group])
    for row in table.rows:
        cells: list[object] = []
        for value, is_wide in zip(row, wide, strict=True):
            plain = value if isinstance(value, Estimate) else (_safe(value), None, None, None)
            cells += list(plain[:4]) if is_wide else [_safe(value)]
        writer.writerow(["" if cell is None else cell for cell in cells])
    return out.getvalue()


def as_markdown(table: Table) -> str:
    """A pipe table under its title."""
    lines = [f"### {table.title}", "", _piped(table.heads), "|" + "|".join(["---"] * len(table.heads)) + "|"]
    lines += [_piped([text(value) for value in row]) for row in table.rows]
    return "\n".join([*lines, "", table.note, ""])


def _safe(value: Value) -> Value:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _piped(cells: tuple[str, ...] | list[str]) -> str:
    return "| " + " | ".join(cell.translate(_MARKDOWN) for cell in cells) + " |"
