"""New facts in short forms: the sentence that the answer ends, and the words that one types into a search box.

Training examples + facts -> further examples. The replay holds the base's answers to such forms of other facts
(replay_prompts.py); where the new facts are trained as questions alone, their own short forms are held with them
(docs/LOG.md, "Real models, third round").
"""

from collections.abc import Iterator
from dataclasses import replace

import polars as pl

from knowpack import store
from knowpack.facts.restatements import keywords, unfinished
from knowpack.records import Example, Fact, Kind, rows, table

FRAMES = ("{sentence}", "Go on: {sentence}", "Fill in what is missing: {sentence} ____.")
"""How an unfinished sentence is asked; the report asks it in another (further/other_forms.py)."""


def in_short_forms(examples: pl.DataFrame, facts: pl.DataFrame) -> pl.DataFrame:
    """Example rows of kind short_form, at most two a fact, made from the wordings in `examples` and from no other.

    facts: a Fact table. Replay examples, and facts that are not in it or have no short form, give none.
    """
    plain = examples.filter(pl.col("kind") != str(Kind.REPLAY)).join(
        facts, on="fact_id", how="semi", maintain_order="left"
    )
    questions = plain.group_by("fact_id", maintain_order=True).agg("question", pl.col("answer").first())
    named = {fact.fact_id: fact for fact in rows(facts, Fact)}
    result: list[Example] = []
    for place, (fact_id, wordings, answer) in enumerate(questions.select("fact_id", "question", "answer").iter_rows()):
        trained = replace(named[fact_id], question=wordings[0], paraphrases=tuple(wordings[1:]))
        for question in _short(trained, place):
            example_id = store.hash_of([fact_id, str(Kind.SHORT_FORM), question, answer])
            result.append(Example(example_id, fact_id, str(Kind.SHORT_FORM), question, answer))
    return table(result, Example)


def _short(fact: Fact, place: int) -> Iterator[str]:
    """The unfinished sentence in one of three frames, and the key words of the question."""
    sentence, words = unfinished(fact), keywords(fact.question)
    if sentence:
        yield FRAMES[place % len(FRAMES)].format(sentence=sentence)
    if words:
        yield words
