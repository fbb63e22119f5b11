"""Which column of a table holds what: named, or guessed by the usual names; what cannot be so is one line.

Names of columns + what a user named -> `Columns`.
"""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from knowpack.errors import FactsError
from knowpack.facts.readers import Row
from knowpack.facts.repeats import IMPORT
from knowpack.facts.wordings import Wording

USUAL = {
    "question": ("question", "Question", "query", "prompt"),
    "answer": ("answer", "Answer"),
    "answers": ("answers", "possible_answers"),
    "aliases": ("aliases",),
    "paraphrases": ("paraphrases",),
    "subject": ("subject",),
    "relation": ("relation",),
    "object": ("object",),
    "domain": ("domain",),
    "range": ("range",),
    "popularity": ("popularity",),
}
"""Column of Columns -> the names it usually has."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column holds what. A dot reaches into a mapping: answer.aliases. None = no such column."""

    question: str | None = None
    """None: questions are made from subject, relation and wordings."""
    answer: str | None = None
    """One canonical answer; None: the first of `answers`, else the object."""
    answers: str | None = None
    aliases: str | None = None
    paraphrases: str | None = None
    subject: str | None = None
    relation: str | None = None
    object: str | None = None
    domain: str | None = None
    range: str | None = None
    popularity: str | None = None
    separator: str | None = None
    """Splits answers, aliases and paraphrases given as one text."""
    relation_from_file: bool = False
    """The relation is the file's name up to its first dot."""


TOGETHER = (("question", "paraphrases"), ("answer", "answers", "aliases"))
"""Columns of one purpose: where one of them is named, the others are not guessed."""


def guess(columns: Columns, names: Iterable[str]) -> Columns:
    """Fill what was not given from the usual column names that the table has; not beside a named column of its kind."""
    has = set(names)
    named = {field for group in TOGETHER if any(getattr(columns, one) for one in group) for field in group}
    guessed: dict[str, Any] = {
        field: getattr(columns, field)
        or next((name for name in candidates if name in has and field not in named), None)
        for field, candidates in USUAL.items()
    }
    return replace(columns, **guessed)


def check(columns: Columns, row: Row, wordings: Mapping[str, Wording] | None) -> None:
    """Raise FactsError where question or answer has no column, or a named one is not there; note likely typos."""
    here = ", ".join(row.values)
    if columns.question is None and (wordings is None or columns.subject is None):
        raise FactsError(
            f"{row.where}: no column for the question among: {here}; name it by {IMPORT} --question, "
            "or give it --subject, --relation and --wordings"
        )
    if columns.answer is None and columns.answers is None and columns.object is None:
        raise FactsError(
            f"{row.where}: no column for the answer among: {here}; name it by {IMPORT} --answer or --answers"
        )
    for name in (getattr(columns, field) for field in USUAL):
        if name is not None and name not in row.values and name.split(".")[0] not in row.values:
            raise FactsError(f"{row.where}: there is no column {name!r}; the table has: {here}")
    _note_typos(columns, row)


def _note_typos(columns: Columns, row: Row) -> None:
    """A note of columns that are not read and are nearly called as one that could be."""
    read = {getattr(columns, field) for field in USUAL} | {name for names in USUAL.values() for name in names}
    left = {name.casefold(): name for name in row.values if name not in read}
    for field in USUAL:
        near = [] if getattr(columns, field) else get_close_matches(field, left, n=1, cutoff=0.8)
        if near:
            warnings.warn(f"{row.where}: the column {left[near[0]]!r} is not read; is it {field!r}?", stacklevel=4)
