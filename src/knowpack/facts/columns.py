"""Rows of any table + which column is what -> Fact table; every row checked.

rows -> `Imported(facts, left_out)`. A bad row is a FactsError that names file, line, what was got and expected;
with `drop_bad` it is left out and named with its reason. An alias of fewer than two characters is refused:
as a substring it is found in almost any answer. A question with two different answers: see repeats.py.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import polars as pl

from knowpack.errors import FactsError
from knowpack.facts.column_names import Columns, check, guess
from knowpack.facts.readers import Row
from knowpack.facts.repeats import IMPORT, Contradictions, DroppedRow, Gathered
from knowpack.facts.values import RowError, Value, text_of, texts_of
from knowpack.facts.wordings import Wording
from knowpack.records import Fact, fact_id_of, table

MAX_CHARS = 4_000
"""Longest question or answer, characters; more is a document, not a fact."""
MIN_CHARS = 2
"""Shortest answer or alias, characters."""
POPULARITY = ("head", "torso", "tail")


class Imported(NamedTuple):
    """What came of an import."""

    facts: pl.DataFrame
    """Table of Fact."""
    left_out: list[DroppedRow]
    """Rows and aliases that are no fact of their own, in order."""
    columns: Columns
    """Which columns were read, named or guessed, by the first row."""

    @property
    def dropped(self) -> Mapping[str, int]:
        """Reason -> rows or aliases left out."""
        return Counter(one.reason for one in self.left_out)


def facts_of(
    rows: Iterable[Row],
    columns: Columns,
    *,
    source: str,
    wordings: Mapping[str, Wording] | None = None,
    drop_bad: bool = False,
    multi_answer: Collection[str] = (),
    contradictions: Contradictions | None = None,
    file: str | None = None,
) -> Imported:
    """Rows -> facts, equal ones once. Raises FactsError at the first bad row unless `drop_bad`.

    multi_answer: relations (or all) whose questions have several right answers; one that no row has is an error.
    contradictions: stop, or drop with drop_bad, where it is not given. file: which table an error is of where no row
    says it.
    """
    gathered = Gathered(contradictions or ("drop" if drop_bad else "stop"), multi_answer)
    where = file or source
    columns_of: dict[frozenset[str], Columns] = {}
    for row in rows:
        where = row.where
        names = frozenset(row.values)
        if all(value == name for name, value in row.values.items()):  # files put together
            gathered.leave_out(where, "the header again")
            continue
        if names not in columns_of:
            columns_of[names] = guess(columns, row.values)
            if len(columns_of) == 1:
                check(columns_of[names], row, wordings)
        try:
            fact = _fact(row, columns_of[names], source, wordings, gathered.leave_out if drop_bad else None)
        except RowError as bad:
            reason, detail = bad.args
            if not drop_bad:
                raise FactsError(
                    f"{where}: {reason}{detail}; mend it, or leave such rows out by {IMPORT} --drop-bad"
                ) from None
            gathered.leave_out(where, reason, detail)
            continue
        gathered.add(fact, where)
    gathered.end()
    facts = table(gathered.facts(), Fact)
    if facts.is_empty():
        counts = gathered.counts()
        raise FactsError(f"{where}: no facts found" + (f" ({counts})" if counts else ""))
    return Imported(facts, gathered.left_out, next(iter(columns_of.values())))


def _fact(
    row: Row,
    columns: Columns,
    source: str,
    wordings: Mapping[str, Wording] | None,
    leave_out: Callable[[str, str, str], None] | None,
) -> Fact:
    def text(name: str | None) -> str | None:
        return text_of(_value(row, name), name) if name else None

    subject, obj = text(columns.subject), text(columns.object)
    relation = row.stem if columns.relation_from_file else text(columns.relation)
    domain, range_, popularity = text(columns.domain), text(columns.range), text(columns.popularity)
    paraphrases = _texts(row, columns.paraphrases, columns.separator)
    question = text(columns.question)
    if columns.question is None and wordings is not None:
        wording = wordings.get(relation or "")
        if wording is None:
            raise RowError("a relation with no wording", f": {relation!r}; add it to the wordings file")
        if subject is None:
            raise RowError("no subject", "")
        question, *others = wording.fill(subject)
        paraphrases = [*others, *paraphrases]
        domain, range_ = domain or wording.domain, range_ or wording.range
    if question is None:
        raise RowError("no question", "")
    if not any(character.isalnum() for character in question):
        raise RowError("a question of nothing but marks", f": {question[:40]!r}")
    if popularity is not None and popularity not in POPULARITY:
        raise RowError("popularity of another kind", f": got {popularity!r}, expected head, torso or tail")
    answers = _answers(row, columns, obj, leave_out)
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


def _answers(
    row: Row, columns: Columns, obj: str | None, leave_out: Callable[[str, str, str], None] | None
) -> list[str]:
    """Canonical first, then the rest, each once (case apart), none too short."""
    first = _texts(row, columns.answer, None) if columns.answer else []
    listed = _texts(row, columns.answers, columns.separator)
    canonical = [*first, *listed, *([obj] if obj is not None and not first and not listed else [])]
    if not canonical or not canonical[0]:
        raise RowError("no answer", "")
    if len(canonical[0]) < MIN_CHARS:
        raise RowError("an answer of one character", f": {canonical[0]!r}")
    names: dict[str, str] = {}
    for name in [*canonical, *_texts(row, columns.aliases, columns.separator)]:
        if len(name) >= MIN_CHARS:
            names.setdefault(name.casefold(), name)
            continue
        reason = "an alias of one character" if name else "an empty alias"
        if leave_out is None:
            raise RowError(reason, f": {name!r} (it would be found in almost any answer)")
        leave_out(row.where, reason, repr(name))
    return list(names.values())


def _check_length(question: str, answers: Sequence[str]) -> None:
    for what, value in [("question", question), *(("answer", answer) for answer in answers)]:
        if len(value) > MAX_CHARS:
            raise RowError(
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


def _texts(row: Row, name: str | None, separator: str | None) -> list[str]:
    return texts_of(_value(row, name), name, separator) if name else []
