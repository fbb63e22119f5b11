"""Tables as files: CSV with every number in full, Markdown and LaTeX (booktabs) rounded for reading.

Table -> text. A measure becomes value, low, high and n in CSV, and "0.980 [0.950, 1.000] n=50" in print.
"""

import csv
import io
from pathlib import Path

from knowpack import store
from knowpack.records import Estimate
from knowpack.report.measured import Table, Value

_LATEX = str.maketrans(
    {
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "\\": r"\textbackslash{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "→": r"$\to$",
        "\n": " ",
    }
)
_MARKDOWN = str.maketrans({"|": r"\|", "\n": " ", "<": "&lt;", "*": r"\*", "_": r"\_", "`": r"\`", "[": r"\["})
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A cell of text that starts so is run as a formula by spreadsheets (OWASP, CSV injection)."""


def write(folder: Path, table: Table) -> None:
    """Write NAME.csv, NAME.md and NAME.tex."""
    store.write_text(folder / f"{table.name}.csv", as_csv(table))
    store.write_text(folder / f"{table.name}.md", as_markdown(table))
    store.write_text(folder / f"{table.name}.tex", as_latex(table))


def text(value: Value) -> str:
    """A value for reading: rounded, with its interval; an en dash where nothing was measured."""
    if value is None:
        return "–"
    if isinstance(value, Estimate):
        n = "" if value.n is None else f" n={value.n:,}"
        if value.low is None or value.high is None:
            return _number(value.value) + (n if value.unit == "share" else "")
        return f"{_number(value.value)} [{_number(value.low)}, {_number(value.high)}]{n}"
    return value if isinstance(value, str) else _number(value)


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


def as_latex(table: Table) -> str:
    r"""A booktabs table; needs \usepackage{booktabs}."""
    align = "".join("l" if _is_text(table, i) else "r" for i in range(len(table.heads)))
    body = [" & ".join(text(value).translate(_LATEX) for value in row) + r" \\" for row in table.rows]
    return "\n".join(
        [
            r"% needs \usepackage{booktabs}",
            r"\begin{table}",
            r"\centering",
            r"\small",
            rf"\caption{{{table.title.translate(_LATEX)}. {table.note.translate(_LATEX)}}}",
            rf"\label{{tab:{table.name.replace('_', '-')}}}",
            rf"\begin{{tabular}}{{{align}}}",
            r"\toprule",
            " & ".join(head.translate(_LATEX) for head in table.heads) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _number(value: float) -> str:
    if abs(value) < 0.0005 and not isinstance(value, int):
        value = 0.0  # dust of floats (2.8e-17) and -0.0002 are printed as 0.000
    if isinstance(value, int) or (float(value).is_integer() and abs(value) >= 2):
        return f"{int(value):,}"
    if abs(value) >= 10:
        return f"{value:,.1f}"
    return f"{value:.3f}"


def _safe(value: Value) -> Value:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _piped(cells: tuple[str, ...] | list[str]) -> str:
    return "| " + " | ".join(cell.translate(_MARKDOWN) for cell in cells) + " |"


def _is_text(table: Table, column: int) -> bool:
    return any(isinstance(row[column], str) for row in table.rows)
