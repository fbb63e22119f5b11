"""N-Triples lines -> triples of IRIs; literals, blank nodes and malformed lines counted, never a crash.

block of bytes -> `Split(frame[s, p, o], counts)`. The common line `<s> <p> <o> .` is cut by polars' CSV reader;
every other line goes, one by one, through the grammar of the W3C recommendation (RDF 1.1 N-Triples, section 7).
IRIs keep their brackets. The CSV path does not look inside an IRI: `valid` and `unescape` do, once a distinct IRI.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from knowpack.errors import FactsError
from knowpack.facts.graphs import lines

COLUMNS = ("s", "p", "o", "dot")
HEADER = " ".join(COLUMNS).encode() + b"\n"
ESCAPE = r"\\u[0-9A-Fa-f]{4}|\\U[0-9A-Fa-f]{8}"
IRI = rf'<[A-Za-z][A-Za-z0-9+.\-]*:(?:[^\x00-\x20<>"{{}}|^`\\]|{ESCAPE})*>'
BLANK = r"_:[\w:](?:[\w:.\-·]*[\w:\-·])?"
LITERAL = rf'"(?:[^"\\\n\r]|\\[tbnrf"\'\\]|{ESCAPE})*"(?:\^\^{IRI}|@[A-Za-z]+(?:-[A-Za-z0-9]+)*)?'
LINE = re.compile(rf"[ \t]*({IRI}|{BLANK})[ \t]*({IRI})[ \t]*({IRI}|{BLANK}|{LITERAL})[ \t]*\.[ \t]*(?:#.*)?")
NOTHING = re.compile(r"[ \t]*(?:#.*)?")
VALID = IRI  # the same pattern in polars' regex


class Split(NamedTuple):
    """The triples of one block."""

    triples: pl.DataFrame
    """Columns s, p, o: IRIs in brackets."""
    counts: Counter[str]
    """lines, literal, blank node, malformed; comments and empty lines are no lines."""
    first_bad: str | None
    """The first malformed line, cut to 80 characters."""


def split(block: bytes) -> Split:
    """Cut a block of whole lines into triples. Never raises for what the lines hold."""
    if b"\t" in block or b"\r" in block:  # both stand for a space or a line end between terms, never inside an IRI
        block = block.replace(b"\t", b" ").replace(b"\r", b"\n")
    try:
        frame = pl.read_csv(
            HEADER + block,
            separator=" ",
            quote_char=None,
            truncate_ragged_lines=True,
            schema=dict.fromkeys(COLUMNS, pl.String),
        )
    except pl.exceptions.PolarsError:  # a byte that is no UTF-8: line by line
        return _slow(block.split(b"\n"))
    ends = np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == ord("\n"))
    if len(frame) != len(ends):  # rows must be lines, or those of the slow path would be others
        return _slow(block.split(b"\n"))
    # The reader drops what stands behind the last column: whether there is anything, the lengths tell
    whole = pl.lit(pl.Series(np.diff(ends, prepend=-1) - 1)) == 4 + pl.sum_horizontal(
        pl.col("s", "p", "o").str.len_bytes()
    )
    closed = (pl.col("dot") == ".") & whole
    is_p, is_s, is_o = (_bracketed(name) for name in ("p", "s", "o"))
    kinds = frame.select(
        triple=(is_s & is_p & is_o & closed).fill_null(False),
        literal=(is_s & is_p & pl.col("o").str.starts_with('"')).fill_null(False),
    )
    if kinds["triple"].all():
        return Split(frame.select("s", "p", "o"), Counter(lines=len(frame)), None)
    literal = int(kinds["literal"].sum())
    other = ~(kinds["triple"] | kinds["literal"])
    good = frame.filter(kinds["triple"]).select("s", "p", "o")
    counts = Counter({"lines": len(good) + literal, "literal": literal})
    if not other.any():
        return Split(good, counts, None)
    slow = _slow_of(block, ends, other.arg_true().to_list())
    return Split(pl.concat([good, slow.triples]), counts + slow.counts, slow.first_bad)


def _bracketed(name: str) -> pl.Expr:
    column = pl.col(name).str
    return column.starts_with("<") & column.ends_with(">")


def _slow_of(block: bytes, ends: np.ndarray, rows: list[int]) -> Split:
    """The lines at these rows, by the grammar. ends: where each line ends, (n_lines,): the reader drops none."""
    return _slow([block[ends[row - 1] + 1 if row else 0 : ends[row]] for row in rows])


def _slow(texts: list[bytes]) -> Split:
    """Line by line, by the grammar."""
    counts: Counter[str] = Counter()
    triples: list[tuple[str, str, str]] = []
    first_bad: str | None = None
    for raw in texts:
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError:
            line = "\x00" + raw.decode("utf-8", "replace")  # matches nothing
        if NOTHING.fullmatch(line):
            continue
        counts["lines"] += 1
        match = LINE.fullmatch(line)
        if match is None:
            counts["malformed"] += 1
            first_bad = first_bad or line.lstrip("\x00")[:80]
        elif match[3].startswith('"'):
            counts["literal"] += 1
        elif match[1].startswith("_") or match[3].startswith("_"):
            counts["blank node"] += 1
        else:
            triples.append((match[1], match[2], match[3]))
    return Split(pl.DataFrame(triples, schema=dict.fromkeys("spo", pl.String), orient="row"), counts, first_bad)


def stream(path: Path, threads: int = 0) -> Iterator[Split]:
    """All blocks of a dump. Raises FactsError where the file is torn or holds something else."""
    for number, block in enumerate(lines.blocks(path, threads)):
        part = split(block)
        if number == 0:
            check_is_triples(part, path)
        yield part


def check_is_triples(part: Split, path: Path) -> None:
    """Raise FactsError where most lines of the first block are malformed: another kind of file."""
    if part.counts["malformed"] * 2 > part.counts["lines"]:
        raise FactsError(
            f"{path} holds no N-Triples: got {part.first_bad!r}, expected lines of <subject> <relation> <object> . ; "
            "turn other RDF into N-Triples first, for example by `rapper -i turtle -o ntriples`"
        )


def valid(iris: pl.Series) -> pl.Series:
    """Whether each is an IRI of the grammar."""
    return iris.str.contains(f"^(?:{VALID})$")


def unescape(iri: str) -> str | None:
    """Resolve \\u and \\U escapes; None where one is no character or one that an IRI may not hold."""
    try:
        plain = re.sub(ESCAPE, lambda match: chr(int(match[0][2:], 16)), iri)
        plain.encode("utf-8")
    except (ValueError, OverflowError):
        return None
    return plain if re.fullmatch(IRI, plain) else None
