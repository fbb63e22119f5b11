"""Rows of any table + which column is what -> Fact table; every row checked.

rows -> `Imported(facts, dropped)`. A bad row is a FactsError that names file, line, what was got and expected;
with `drop_bad` it is left out and counted under its reason. An alias of fewer than two characters is refused:
as a substring it is found in almost any answer.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import polars as pl

from knowpack.errors import FactsError
from knowpack.facts.readers import Row, Value
from knowpack.facts.wordings import Wording
from knowpack.records import Fact, fact_id_of, table

MAX_CHARS = 4_000
"""Longest question or answer, characters; more is a document, not a fact."""
MIN_CHARS = 2
"""Shortest answer or alias, characters."""
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
POPULARITY = ("head", "torso", "tail")


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


class Imported(NamedTuple):
    """What came of an import."""

    facts: pl.DataFrame
    """Table of Fact."""
    dropped: Mapping[str, int]
    """Reason -> rows or aliases left out."""


class _RowError(Exception):
    """A row that makes no fact: (reason to count, detail to show)."""


def guess(columns: Columns, names: Iterable[str]) -> Columns:
    """Fill what was not given from the usual column names that the table has."""
    has = set(names)
    found = {}
    for field, candidates in USUAL.items():
        given = getattr(columns, field)
        found[field] = given or next((name for name in candidates if name in has), None)
    return Columns(**found, separator=columns.separator, relation_from_file=columns.relation_from_file)


def facts_of(
    rows: Iterable[Row],
    columns: Columns,
    *,
    source: str,
    wordings: Mapping[str, Wording] | None = None,
    drop_bad: bool = False,
) -> Imported:
    """Rows -> facts, equal ones once. Raises FactsError at the first bad row unless `drop_bad`."""
    facts: dict[str, Fact] = {}
    dropped: Counter[str] = Counter()
    where = source
    known: Columns | None = None
    for row in rows:
        where = row.where
        if known is None:
            known = guess(columns, row.values)
            _check_columns(known, row, wordings)
        try:
            fact = _fact(row, known, source, wordings, dropped if drop_bad else None)
        except _RowError as bad:
            reason, detail = bad.args
            if not drop_bad:
                raise FactsError(f"{where}: {reason}{detail}; mend it, or leave such rows out by --drop-bad") from None
            dropped[reason] += 1
            continue
        if fact.fact_id in facts:
            dropped["the same fact again"] += 1
        facts.setdefault(fact.fact_id, fact)
    if not facts:
        raise FactsError(f"{where}: no facts found" + (f" ({dict(dropped)})" if dropped else ""))
    return Imported(table(facts.values(), Fact), dict(dropped))


def _check_columns(columns: Columns, row: Row, wordings: Mapping[str, Wording] | None) -> None:
    here = ", ".join(row.values)
    if columns.question is None and (wordings is None or columns.subject is None):
        raise FactsError(
            f"{row.where}: no column for the question among: {here}; name it by --question, "
            "or give --subject, --relation and --wordings"
        )
    if columns.answer is None and columns.answers is None and columns.object is None:
        raise FactsError(f"{row.where}: no column for the answer among: {here}; name it by --answer or --answers")
    for name in (getattr(columns, field) for field in USUAL):
        if name is not None and name not in row.values and name.split(".")[0] not in row.values:
            raise FactsError(f"{row.where}: there is no column {name!r}; the table has: {here}")


def _fact(
    row: Row,
    columns: Columns,
    source: str,
    wordings: Mapping[str, Wording] | None,
    dropped: Counter[str] | None,
) -> Fact:
    def text(name: str | None) -> str | None:
        return _text(_value(row, name), name) if name else None

    subject, obj = text(columns.subject), text(columns.object)
    relation = row.stem if columns.relation_from_file else text(columns.relation)
    domain, range_, popularity = text(columns.domain), text(columns.range), text(columns.popularity)
    paraphrases = _texts(row, columns.paraphrases, columns.separator)
    question = text(columns.question)
    if columns.question is None and wordings is not None:
        wording = wordings.get(relation or "")
        if wording is None:
            raise _RowError("a relation with no wording", f": {relation!r}; add it to the wordings file")
        if subject is None:
            raise _RowError("no subject", "")
        question, *others = wording.fill(subject)
        paraphrases = [*others, *paraphrases]
        domain, range_ = domain or wording.domain, range_ or wording.range
    if question is None:
        raise _RowError("no question", "")
    if popularity is not None and popularity not in POPULARITY:
        raise _RowError("popularity of another kind", f": got {popularity!r}, expected head, torso or tail")
    answers = _answers(row, columns, obj, dropped)
    _check_length(question, answers)
    return Fact(
        fact_id_of(source, subject, relation, obj, question),
        question,
        tuple(answers),
        tuple(dict.fromkeys(p for p in paraphrases if p != question)),
        subject,
        relation,
        obj,
        domain,
        range_,
        popularity,
        source,
    )


def _answers(row: Row, columns: Columns, obj: str | None, dropped: Counter[str] | None) -> list[str]:
    """Canonical first, then the rest, each once (case apart), none too short."""
    first = _texts(row, columns.answer, None) if columns.answer else []
    listed = _texts(row, columns.answers, columns.separator)
    canonical = [*first, *listed, *([obj] if obj is not None and not first and not listed else [])]
    if not canonical or not canonical[0]:
        raise _RowError("no answer", "")
    if len(canonical[0]) < MIN_CHARS:
        raise _RowError("an answer of one character", f": {canonical[0]!r}")
    kept: dict[str, str] = {}
    for name in [*canonical, *_texts(row, columns.aliases, columns.separator)]:
        if len(name) >= MIN_CHARS:
            kept.setdefault(name.casefold(), name)
            continue
        reason = "an alias of one character" if name else "an empty alias"
        if dropped is None:
            raise _RowError(reason, f": {name!r} (it would be found in almost any answer)")
        dropped[reason] += 1
    return list(kept.values())


def _check_length(question: str, answers: Sequence[str]) -> None:
    for what, value in [("question", question), *(("answer", answer) for answer in answers)]:
        if len(value) > MAX_CHARS:
            raise _RowError(
                f"{'an' if what == 'answer' else 'a'} {what} of over {MAX_CHARS} characters", f" ({len(value)})"
            )


def _value(row: Row, name: str) -> Value:
    if name in row.values:
        return row.values[name]
    value: Value = row.values
    for part in name.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value


def _text(value: Value, name: str) -> str | None:
    """Text, stripped; None where empty. A list or mapping is no text."""
    if value is None:
        return None
    if isinstance(value, list | dict | tuple):
        raise _RowError(f"column {name} holds a {type(value).__name__}, expected text", "")
    return str(value).strip() or None


def _texts(row: Row, name: str | None, separator: str | None) -> list[str]:
    """A list column, JSON list, or text (split by the separator) -> stripped texts; empty ones are kept."""
    value = _value(row, name) if name else None
    if name is None or value is None or value == "":
        return []
    if isinstance(value, str) and value.lstrip().startswith("["):
        with suppress(ValueError):
            value = json.loads(value)
    if isinstance(value, str) and separator:
        value = value.split(separator)
    items = value if isinstance(value, list | tuple) else [value]
    return [_text(item, name) or "" for item in items]
