"""Which facts are about the same thing: a wording in common, or one subject and relation.

Two fact tables -> `Pair`s. The ids do not tell: the same question with another answer has another id.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import polars as pl

from knowpack.measure.normalised import normalise
from knowpack.records import Fact, rows

Key = tuple[str, ...]
_DIGIT = re.compile(r"\d")
_DROPPED = ("the", "a", "an")  # by `normalise`, somewhere in a text


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
    words = {word for key in by_key for word in key[0].split()}
    for other in rows(others, Fact):
        about: Iterable[Fact] = (fact for key in _keys(other, words) for fact in by_key.get(key, ()))
        for one in {fact.fact_id: fact for fact in about}.values():
            yield Pair(one, other)


def ids(facts: pl.DataFrame, others: pl.DataFrame) -> set[str]:
    """Of the second table: the facts that are about the same as one of the first."""
    return {pair.other.fact_id for pair in pairs(facts, others)}


def _keys(fact: Fact, words: set[str] | None = None) -> set[Key]:
    """words: those of all keys that are looked for; what cannot be one of these is left out."""
    texts = [text for text in (fact.question, *fact.paraphrases) if words is None or _may_be_of(text, words)]
    keys: set[Key] = {(normalise(text),) for text in texts}
    if fact.subject is not None and fact.relation is not None and (words is None or _may_be_of(fact.subject, words)):
        keys.add((normalise(fact.subject), fact.relation))
    return keys


def _may_be_of(text: str, words: set[str]) -> bool:
    """Could the normal form of the text have these words alone? A glance, where a table of ten thousand facts with
    twenty wordings each would take seconds: in a text without digits, each word of plain letters is one of the form.
    """
    if not text.isascii() or _DIGIT.search(text):
        return True
    return all(word in words for word in text.lower().split() if word.isalpha() and word not in _DROPPED)
