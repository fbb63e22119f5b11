"""Tables as LaTeX (booktabs) that fit a column of text: heads and intervals in lines, wide tables in parts.

Table -> text. A part repeats the columns that say which row it is; a long part goes on at the next page by itself
only where the journal's class does so: a table of more than LONGEST rows is cut too.
"""

from knowpack.records import Estimate
from knowpack.report.report_data import Table, Value
from knowpack.report.value_text import text

WIDTH = 345.0  # pt: the text of LaTeX's article class, one column, 10 pt
CHARACTER, BETWEEN = 4.25, 8.0  # pt: a digit of \footnotesize (8 pt), the space between two columns
HEAD = 13  # characters of a line of a head
LONGEST = 45  # rows of one part, at \footnotesize
MOST_KEYS = 5

# A line break reads on, over blanks: "\\ [0.91, 0.99]" is a space of that height, "\\ *" a break without the star.
_LATEX = str.maketrans(
    {
        "[": "{[}",
        "*": "{*}",
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


def as_latex(table: Table) -> str:
    r"""One or more booktabs tables; needs \usepackage{booktabs}."""
    parts = [(columns, rows) for columns in _columns(table) for rows in _rows(table)]
    parts_text = [_part(table, columns, rows, i, len(parts)) for i, (columns, rows) in enumerate(parts, start=1)]
    return "\n".join([r"% needs \usepackage{booktabs}", *parts_text, ""])


def _columns(table: Table) -> list[list[int]]:
    """Which columns each part has, so that none is wider than the text."""
    first = next((i for i in range(len(table.heads)) if any(isinstance(row[i], Estimate) for row in table.rows)), 1)
    keys = list(range(first if 0 < first <= MOST_KEYS else 1))
    widths = [_width(table, i) for i in range(len(table.heads))]
    of_keys = sum(widths[i] for i in keys)
    parts: list[list[int]] = [[]]
    used = of_keys
    for i in range(len(keys), len(table.heads)):
        if parts[-1] and used + widths[i] > WIDTH:
            parts.append([])
            used = of_keys
        parts[-1].append(i)
        used += widths[i]
    return [[*keys, *part] for part in parts]


def _rows(table: Table) -> list[list[tuple[Value, ...]]]:
    return [table.rows[start : start + LONGEST] for start in range(0, len(table.rows), LONGEST)]


def _width(table: Table, column: int) -> float:
    """pt of a column, by the longest line in it."""
    lines = [line for row in table.rows for line in _lines(row[column])] + _folded(table.heads[column])
    return max(map(len, lines)) * CHARACTER + BETWEEN


def _lines(value: Value) -> list[str]:
    """An interval and an n stand below their value."""
    if not isinstance(value, Estimate):
        return _folded(text(value), 28) if isinstance(value, str) else [text(value)]
    head, _, n = text(value).partition(" n=")
    first, _, interval = head.partition(" [")
    return [first, *([f"[{interval}"] if interval else []), *([f"n = {n}"] if n else [])]


def _folded(words: str, width: int = HEAD) -> list[str]:
    lines = [""]
    for word in words.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _stacked(lines: list[str], side: str) -> str:
    escaped = [line.translate(_LATEX) for line in lines]
    stack = r"\\ ".join(escaped)
    return escaped[0] if len(escaped) == 1 else rf"\shortstack[{side}]{{{stack}}}"


def _part(table: Table, columns: list[int], rows: list[tuple[Value, ...]], number: int, of: int) -> str:
    sides = {i: "l" if any(isinstance(row[i], str) for row in table.rows) else "r" for i in columns}
    caption = table.title.translate(_LATEX) + (f" (part {number} of {of})" if of > 1 else "")
    label = table.name.replace("_", "-") + (f"-{number}" if of > 1 else "")
    note = f" {table.note.translate(_LATEX)}" if number == 1 else ""
    heads = " & ".join(_stacked(_folded(table.heads[i]), sides[i]) for i in columns)
    body = [" & ".join(_stacked(_lines(row[i]), sides[i]) for i in columns) + r" \\" for row in rows]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            r"\footnotesize",
            r"\setlength{\tabcolsep}{4pt}",
            rf"\caption{{{caption}.{note}}}",
            rf"\label{{tab:{label}}}",
            rf"\begin{{tabular}}{{{''.join(sides[i] for i in columns)}}}",
            r"\toprule",
            heads + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )
