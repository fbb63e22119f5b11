"""CSV and TSV: which character stands between the cells, the header, and cells that are missing or whole numbers.

decoded lines -> (line number, {column: text or None}). Raises FactsError that names file and line.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

from knowpack.errors import FactsError
from knowpack.facts.values import Value

DELIMITERS = (",", ";", "\t", "|")
LOOKED_AT = 1_000
"""Rows read ahead, to tell the delimiter and the columns of whole numbers."""
MISSING = {"", "nan", "NaN", "None", "NaT", "<NA>", "null", "NULL", "#N/A"}
"""Cells that pandas, numpy, polars and spreadsheets write for no value; a CSV has no other way to say it."""
_WHOLE = re.compile(r"-?\d+\.0")


def cells(lines: Iterable[str], path: Path, delimiter: str | None = None) -> Iterator[tuple[int, dict[str, Value]]]:
    """Rows of cells, each with the line on which it ends; as many cells as the header."""
    ahead = iter(lines)
    head = list(islice(ahead, LOOKED_AT))
    mark = delimiter or (delimiter_of(head) if ".tsv" not in path.suffixes else "\t")
    numbered = _read(chain(head, ahead), path, mark)
    first = list(islice(numbered, LOOKED_AT))
    header = _header(first, path, mark)
    whole_numbers = {
        index
        for index in range(len(header))
        if (filled := [row[index] for _, row in first[1:] if len(row) == len(header) and row[index] not in MISSING])
        and all(map(_WHOLE.fullmatch, filled))
    }
    for number, row in chain(first[1:], numbered):
        if len(row) != len(header):
            raise FactsError(
                f"{path}, line {number}: {len(row)} cells, expected {len(header)} ({', '.join(header)}), "
                f"with {mark!r} between cells; another one is named by --delimiter"
            )
        yield number, {name: _cell(row[index], index in whole_numbers) for index, name in enumerate(header)}


def delimiter_of(lines: list[str]) -> str:
    """The delimiter under which all rows have as many cells as the header, and most of them; a comma if none has."""
    best, most = ",", 1
    for mark in DELIMITERS:
        try:
            widths = Counter(len(row) for row in csv.reader(lines[:100], delimiter=mark) if row)
        except csv.Error:
            continue
        if len(widths) == 1 and (width := next(iter(widths))) > most:
            best, most = mark, width
    return best


def _read(lines: Iterable[str], path: Path, mark: str) -> Iterator[tuple[int, list[str]]]:
    csv.field_size_limit(1 << 30)
    reader = csv.reader(lines, delimiter=mark, strict=True)
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        why = str(error)
        if "new-line character" in why:
            why = "lines end in a carriage return alone; save it with the line ends of today"
        raise FactsError(f"{path}, line {reader.line_num}: no valid CSV: {why}") from None


def _header(first: list[tuple[int, list[str]]], path: Path, mark: str) -> list[str]:
    header = [cell.strip() for cell in first[0][1]] if first else []
    twice = [name for name, n in Counter(header).items() if n > 1]
    if twice:
        raise FactsError(f"{path}: the column {twice[0]!r} stands twice in the header; name each column once")
    return header


def _cell(text: str, whole: bool) -> str | None:
    bare = text.strip()
    if bare in MISSING:
        return None
    return bare.removesuffix(".0") if whole else text
