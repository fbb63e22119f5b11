"""Which of the facts to pack are updates: the base has another answer to them, which must go.

facts + facts to keep + what the base answers -> `Update`s. Three ways to know an old answer:
    packed   the adapter that is added to was taught it
    known    the table of facts to keep says so, and the base gives it, and not the new one with it, under at least one
             prompt
    own      no table says so, but the base gives one and the same answer under every prompt, and not to others too: not
             where the question is put about subjects that do not exist, nor to another fact that is packed
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import polars as pl

from knowpack.measure.grading import clean, first_line, match_default
from knowpack.pack import overlap
from knowpack.pack.changes import Changes
from knowpack.records import Fact, rows, table
from knowpack.seeds import stream
from knowpack.train.replay_prompts import recombined

Source = Literal["packed", "known", "own"]
N_STRANGERS = 3  # subjects that do not exist, a question


class Update(NamedTuple):
    """A fact whose answer changes."""

    fact_id: str
    question: str
    old: tuple[str, ...]
    source: Source


def old_answers(changes: Changes, known: pl.DataFrame) -> dict[str, tuple[str, ...]]:
    """What the tables alone say, before the base is asked: fact id -> old answers."""
    old_answers: dict[str, tuple[str, ...]] = {}
    for pair in overlap.pairs(changes.new, known):
        if not pair.agree:
            old_answers[pair.fact.fact_id] = (*old_answers.get(pair.fact.fact_id, ()), *pair.other.answers)
    return old_answers | changes.replaced


def by_tables(changes: Changes, named: Mapping[str, tuple[str, ...]], answers: pl.DataFrame) -> list[Update]:
    """Updates that a table gives the old answer of. named: `old_answers`; answers: the base's, to the facts to pack
    (Response). One with the new answer in it is right, whatever else it holds (as current.old_given counts it)."""
    texts = _texts(answers.filter(pl.col("matched_default").is_null()))
    result = []
    for fact_id, old in named.items():
        if fact_id in changes.replaced:
            result.append(_update(changes, fact_id, old, "packed"))
        elif any(match_default(text, old) is not None for text in texts.get(fact_id, ())):
            result.append(_update(changes, fact_id, old, "known"))
    return result


def candidates(changes: Changes, named: Mapping[str, tuple[str, ...]], answers: pl.DataFrame) -> dict[str, str]:
    """Facts that no table knows, answered the same under every prompt, wrongly and with no refusal -> that answer."""
    mine = answers.filter(
        pl.col("sample") == 0,
        pl.col("fact_id").is_in([fact_id for fact_id in changes.new["fact_id"] if fact_id not in named]),
    )
    right_or_refused = pl.col("matched_default").is_not_null() | pl.col("refused_default")
    wrong = mine.filter((~right_or_refused).all().over("fact_id"))
    steady = {
        fact_id: first_line(texts[0])
        for fact_id, texts in _texts(wrong).items()
        if clean(texts[0]) and len({clean(text) for text in texts}) == 1
    }
    n_given = Counter(clean(text) for text in steady.values())
    return {fact_id: text for fact_id, text in steady.items() if n_given[clean(text)] == 1}


def strangers(facts: pl.DataFrame, subjects: Sequence[str], seed: int) -> pl.DataFrame:
    """The questions of these facts about subjects that do not exist: a Fact table, `subject` the id of the fact.

    None of a fact without a subject in its question.
    """
    rng = stream(seed, "pack", "strangers")
    names = sorted(set(subjects))
    result: list[Fact] = []
    for fact in rows(facts, Fact):
        if fact.subject is None or fact.subject not in fact.question or len(names) < 2:
            continue
        for number in range(N_STRANGERS):
            first, second = (names[int(i)] for i in rng.choice(len(names), 2, replace=False))
            question = fact.question.replace(fact.subject, recombined(first, second))
            result.append(Fact(f"{fact.fact_id}-{number}", question, fact.answers, subject=fact.fact_id))
    return table(result, Fact)


def by_itself(
    changes: Changes, steady: Mapping[str, str], strangers: pl.DataFrame, answers: pl.DataFrame
) -> list[Update]:
    """Updates that only the base knows the old answer of.

    strangers: `strangers`; answers: the base's to them. What a stranger is answered too is a guess, and no update.
    """
    about = dict(strangers.select("fact_id", "subject").iter_rows())
    guesses = [(about[fact_id], clean(text)) for fact_id, texts in _texts(answers).items() for text in texts]
    guessed = {fact_id for fact_id, text in guesses if text == clean(steady[fact_id])}
    return [_update(changes, fact_id, (old,), "own") for fact_id, old in steady.items() if fact_id not in guessed]


def _update(changes: Changes, fact_id: str, old: tuple[str, ...], source: Source) -> Update:
    question = changes.new.filter(pl.col("fact_id") == fact_id)["question"].item()
    return Update(fact_id, question, tuple(dict.fromkeys(old)), source)


def _texts(answers: pl.DataFrame) -> dict[str, list[str]]:
    """Greedy answers of each fact, in the order asked."""
    texts_of: dict[str, list[str]] = {}
    for fact_id, text in answers.filter(pl.col("sample") == 0).select("fact_id", "text").iter_rows():
        texts_of.setdefault(fact_id, []).append(text)
    return texts_of
