"""Which facts are about the same thing: a wording in common, or one subject and relation.

Two fact tables -> `Pair`s. The ids do not tell: the same question with another answer has another id.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import polars as pl

from knowpack.measure.grading import normalise
from knowpack.records import Fact, rows

Key = tuple[str, ...]


class Pair(NamedTuple):
    """A fact of the first table, and one of the second that is about the same."""

    fact: Fact
    other: Fact

    @property
    def agree(self) -> bool:
        """Have they an answer in common?"""
        first, second = ({normalise(answer) for answer in one.answers} for one in self)
        return bool(first & second)


def pairs(facts: pl.DataFrame, others: pl.DataFrame) -> Iterator[Pair]:
    """Every pair, in the order of the second table; a pair once, however much they share."""
    by_key: dict[Key, list[Fact]] = defaultdict(list)
    for fact in rows(facts, Fact):
        for key in _keys(fact):
            by_key[key].append(fact)
    if not by_key:
        return
    for other in rows(others, Fact):
        about: Iterable[Fact] = (fact for key in _keys(other) for fact in by_key.get(key, ()))
        for one in {fact.fact_id: fact for fact in about}.values():
            yield Pair(one, other)


def ids(facts: pl.DataFrame, others: pl.DataFrame) -> set[str]:
    """Of the second table: the facts that are about the same as one of the first."""
    return {pair.other.fact_id for pair in pairs(facts, others)}


def _keys(fact: Fact) -> set[Key]:
    found: set[Key] = {(normalise(text),) for text in (fact.question, *fact.paraphrases)}
    if fact.subject is not None and fact.relation is not None:
        found.add((normalise(fact.subject), fact.relation))
    return found
