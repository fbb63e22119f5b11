"""The same question a second time: the same fact again, one more right answer, or a contradiction.

facts in the order of their rows -> each fact once. Questions are compared without case, accents and closing marks,
answers as the default grader reads them. A contradiction (no answer in common) stops the import; with `drop_bad` all
rows of its question are left out, since none can be told to be right; `keep` keeps them all, for lint and for those
who look for them (pack).
"""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace
from difflib import get_close_matches
from typing import Literal, NamedTuple

from knowpack.errors import FactsError
from knowpack.measure.normalised import folded, normalise
from knowpack.records import Fact, fact_id_of

Contradictions = Literal["stop", "drop", "keep"]
EVERY_RELATION = "all"
IMPORT = "knowpack facts import"  # whose options name columns and leave rows out
AGAIN = "the same fact again"
SHOWN = 10  # relations in an error
ONE_MORE = "one more answer to the same question"
CONTRADICTION = "a contradiction: one question, different answers"


class DroppedRow(NamedTuple):
    """A row, or an alias of it, that is no fact of its own."""

    where: str
    """File and line."""
    reason: str
    detail: str


class Gathered:
    """Facts, each once; what was left out, row by row."""

    def __init__(self, contradictions: Contradictions, multi_answer: Collection[str] = ()) -> None:
        """multi_answer: relations with several right answers (all: every relation); their rows are joined."""
        self.left_out: list[DroppedRow] = []
        self._contradictions = contradictions
        self._multi_answer = set(multi_answer)
        self._facts: dict[str, Fact] = {}
        self._where: dict[str, str] = {}
        self._by_question: dict[int, list[str]] = {}  # hash of the question as `asked` -> ids
        self._dropped: set[int] = set()  # questions with a contradiction, left out
        self._relations: set[str] = set()
        self._contradiction: FactsError | None = None  # the first, while it may be that a relation is spelled wrong

    def add(self, fact: Fact, where: str) -> None:
        """The next row's fact. Raises FactsError at a contradiction that is to stop."""
        if fact.relation is not None:
            self._relations.add(fact.relation)
        key = hash(question_key(fact.question))
        ids = self._by_question.setdefault(key, [])
        others = [self._facts[one] for one in ids]
        same = next((other for other in others if _common(other, fact)), None)
        if key in self._dropped:
            self.leave_out(where, CONTRADICTION, f"{fact.question!r}: {fact.answers[0]!r}")
        elif not others or (same is not None and same.fact_id != fact.fact_id):
            self._keep(fact, where, ids)
        elif same is not None:
            self._join(same, fact, where, AGAIN)
        elif self._multi_answer & {EVERY_RELATION, fact.relation}:
            self._join(others[0], fact, where, ONE_MORE)
        else:
            self._contradicts(others[0], fact, where, key)

    def end(self) -> None:
        """After the last row. Raises FactsError where a relation with several right answers is no row's, and else the
        contradiction that it might have explained."""
        for name in sorted(self._not_met()):
            raise FactsError(f"got --multi-answer {name}, and {_those(self._relations, name)}")
        if self._contradiction is not None:
            raise self._contradiction

    def _not_met(self) -> set[str]:
        return self._multi_answer - self._relations - {EVERY_RELATION}

    def leave_out(self, where: str, reason: str, detail: str = "") -> None:
        """A row that is no fact."""
        self.left_out.append(DroppedRow(where, reason, detail.removeprefix(": ")))

    def facts(self) -> Iterator[Fact]:
        """What is kept, in the order of the rows."""
        return iter(self._facts.values())

    def counts(self) -> dict[str, int]:
        """Reason -> rows or aliases left out."""
        return dict(Counter(one.reason for one in self.left_out))

    def _keep(self, fact: Fact, where: str, ids: list[str]) -> None:
        if fact.fact_id in self._facts:  # told apart by their answers alone
            again = fact_id_of(fact.source, fact.subject, fact.relation, fact.answers[0], fact.question)
            fact = replace(fact, fact_id=again)
        self._facts[fact.fact_id] = fact
        self._where[fact.fact_id] = where
        ids.append(fact.fact_id)

    def _join(self, first: Fact, fact: Fact, where: str, reason: str) -> None:
        known = {answer.casefold() for answer in first.answers}
        more = tuple(answer for answer in fact.answers if answer.casefold() not in known)
        wordings = tuple(dict.fromkeys((*first.paraphrases, *fact.paraphrases)))
        self._facts[first.fact_id] = replace(first, answers=first.answers + more, paraphrases=wordings)
        self.leave_out(where, reason, f"{fact.question!r}: {fact.answers[0]!r}, as in {self._where[first.fact_id]}")

    def _contradicts(self, first: Fact, fact: Fact, where: str, key: int) -> None:
        ids, before = self._by_question[key], self._where[first.fact_id]
        if self._contradictions == "keep":
            self._keep(fact, where, ids)
        elif self._contradictions == "stop":
            error = FactsError(
                f"{where}: {fact.question[:200]!r} is answered {fact.answers[0][:80]!r} here and "
                f"{first.answers[0][:80]!r} in {before}; mend it, leave all rows of such questions out by "
                f"{IMPORT} --drop-bad, or name the relation by its --multi-answer where each answer is right"
            )
            self._contradiction = self._contradiction or error
            if not self._not_met():  # else a later row may have the relation that was named
                raise self._contradiction
        else:
            for one in ids:
                gone = self._facts.pop(one)
                self.leave_out(self._where[one], CONTRADICTION, f"{gone.question!r}: {gone.answers[0]!r}")
            self.leave_out(where, CONTRADICTION, f"{fact.question!r}: {fact.answers[0]!r}")
            self._by_question[key] = []
            self._dropped.add(key)


def question_key(question: str) -> str:
    """What makes two questions one: their text without case, accents and closing marks (The End is not The E.N.D)."""
    return folded(question).rstrip("?!. ")


def _those(relations: Collection[str], wanted: str) -> str:
    """The relations that there are, those most like the wanted one first."""
    if not relations:
        return f"no row has a relation: name their column by {IMPORT} --relation, or give --multi-answer all"
    near = get_close_matches(wanted.casefold(), {one.casefold(): one for one in relations}, n=SHOWN, cutoff=0.6)
    ordered = sorted(relations, key=lambda one: (near.index(one.casefold()) if one.casefold() in near else SHOWN, one))
    more = f" and {len(ordered) - SHOWN} more" if len(ordered) > SHOWN else ""
    return f"no row has this relation; there are {', '.join(ordered[:SHOWN])}{more}"


def _common(one: Fact, other: Fact) -> bool:
    """Do they share an answer or alias?"""
    if one.answers[0] == other.answers[0]:
        return True
    return bool({normalise(answer) for answer in one.answers} & {normalise(answer) for answer in other.answers})
