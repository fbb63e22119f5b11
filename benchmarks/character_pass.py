"""Reading triples character by character in plain Python: what `kg_dump.py` holds the command against.

path + number of lines -> `Pass(lines a second, triples)`. The paper's authors read DBpedia so: one pass walks the
packed file character by character, appends them to the fields of a record, keeps all records and counts.
"""

import bz2
import time
from itertools import islice
from pathlib import Path
from typing import NamedTuple

BETWEEN, IRI, LITERAL, ESCAPE, OTHER, CLOSED = range(6)


class Pass(NamedTuple):
    """One pass."""

    lines_per_second: float
    triples: int
    """Lines that were triples of IRIs."""


def complete(path: Path, n_lines: int) -> Pass:
    """One complete pass over the first lines.

    It holds what such a pass over a dump cannot do without: unpacking, by the standard library (there is no text
    before it); a state for each character; the three terms as text; all triples in a list (the authors keep every
    record); the triples of each entity (what popularity is made of). It leaves out what the command does besides:
    single objects, popularity, sample, questions, files.
    """
    triples: list[tuple[str, str, str]] = []
    counts: dict[str, int] = {}
    start = time.perf_counter()
    with bz2.open(path, "rt", encoding="utf-8", newline="\n") as handle:
        for line in islice(handle, n_lines):
            triple = triple_of(line)
            if triple is not None:
                triples.append(triple)
                for entity in (triple[0], triple[2]):
                    counts[entity] = counts.get(entity, 0) + 1
    return Pass(n_lines / (time.perf_counter() - start), len(triples))


def triple_of(line: str) -> tuple[str, str, str] | None:
    """Subject, relation, object, built character by character; None where one is no IRI or the line is broken."""
    terms: list[str] = []
    term, state = "", BETWEEN
    for character in line:
        if state == IRI:
            term += character
            if character == ">":
                terms.append(term)
                state = BETWEEN
        elif state == BETWEEN:
            term = character
            if character == "<":
                state = IRI
            elif character == '"':
                state = LITERAL
            elif character == ".":
                state = CLOSED
            elif character not in " \t\r\n":  # a blank node, a language, what is none of all
                state = OTHER
        elif state == LITERAL:
            term += character
            if character == "\\":
                state = ESCAPE
            elif character == '"':
                terms.append(term)
                state = BETWEEN
        elif state == ESCAPE:
            term += character
            state = LITERAL
        elif state == OTHER:
            if character in " \t\r\n":
                terms.append(term)
                state = BETWEEN
            else:
                term += character
        elif character not in " \t\r\n":  # something after the dot
            return None
    if state != CLOSED or len(terms) != 3 or any(term[0] != "<" for term in terms):
        return None
    return terms[0], terms[1], terms[2]


def agrees(path: Path, n_lines: int) -> bool:
    """Whether the complete pass finds the triples that the command's own reader finds."""
    from knowpack.facts.graphs import ntriples

    with bz2.open(path) as handle:
        lines = list(islice(handle, n_lines))
    ours = {triple for line in lines if (triple := triple_of(line.decode())) is not None}
    return ours == set(ntriples.split(b"".join(lines)).triples.rows())


def bare(path: Path, n_lines: int) -> Pass:
    """The least that visits every character: lines unpacked beforehand, brackets only, nothing kept but counts."""
    with bz2.open(path, "rt", encoding="utf-8", newline="\n") as handle:
        lines = list(islice(handle, n_lines))
    counts: dict[str, int] = {}
    start = time.perf_counter()
    for line in lines:
        depth = begin = 0
        for position, character in enumerate(line):
            if character == "<":
                depth += 1
                if depth == 1:
                    begin = position
            elif character == ">":
                depth -= 1
                if depth == 0:
                    term = line[begin : position + 1]
                    counts[term] = counts.get(term, 0) + 1
    return Pass(n_lines / (time.perf_counter() - start), sum(line.count("<") == 3 for line in lines))
