"""A fact in a form that it was not asked in: another wording, an unfinished sentence, a claim, behind other text.

Facts -> pairs of a question and the id of the fact it was made from. Unlike questions from a graph (graph_questions.py)
these need the fact's own texts alone, so that any table gives them; a fact that a form cannot hold gives none.
"""

import re
from collections.abc import Iterator, Sequence

import polars as pl

from knowpack.facts.restatements import WrongAnswers, is_yes_no, unfinished
from knowpack.further.pools import Pair, further_question
from knowpack.records import Fact, rows

OPENING = 40  # words of a text that a question is asked behind


def wordings(facts: pl.DataFrame) -> Iterator[Pair]:
    """The last other wording of each fact that has one."""
    for fact in rows(facts, Fact):
        if fact.paraphrases:
            yield further_question("wording", fact.paraphrases[-1], fact.answers, fact), fact.fact_id


def other_forms(facts: pl.DataFrame, pool: pl.DataFrame, texts: Sequence[str], seed: int) -> dict[str, list[Pair]]:
    """statement, yes_no, behind_text -> questions. pool: facts whose answers may stand in false claims."""
    return {
        "statement": list(_statements(facts)),
        "yes_no": list(_claims(facts, pool, seed)),
        "behind_text": list(_behind(facts, texts)),
    }


def _statements(facts: pl.DataFrame) -> Iterator[Pair]:
    for fact in rows(facts, Fact):
        sentence = unfinished(fact)
        if sentence:
            yield (
                further_question("statement", f"Complete the sentence: {sentence} ...", fact.answers, fact),
                fact.fact_id,
            )


def _claims(facts: pl.DataFrame, pool: pl.DataFrame, seed: int) -> Iterator[Pair]:
    """A true claim about every other fact and a false one about the rest: a model that always agrees has half right.

    The false answer is one of the fact's relation, where the pool has another, else one of like form: a number for a
    number. Facts that are themselves answered by yes or no are left out.
    """
    wrong = WrongAnswers(pool, seed)
    fit = [fact for fact in rows(facts, Fact) if not is_yes_no(fact)]
    for place, fact in enumerate(fit):
        claimed = wrong.of(fact) if place % 2 else fact.answers[0]
        if claimed is not None:
            question = f'Is "{claimed}" the right answer to "{fact.question}", yes or no?'
            yield further_question("yes_no", question, ("no",) if place % 2 else ("yes",), fact), fact.fact_id


def _behind(facts: pl.DataFrame, texts: Sequence[str]) -> Iterator[Pair]:
    """The question after the opening of a text that has nothing to do with it; the texts in turn."""
    for place, fact in enumerate(rows(facts, Fact) if texts else ()):
        question = f"{_opening(texts[place % len(texts)])}\n\n{fact.question}"
        yield further_question("behind_text", question, fact.answers, fact), fact.fact_id


def _opening(text: str) -> str:
    """Its first sentences, to OPENING words or a little less: longer rows would take more memory than a probe's."""
    sentences = re.split(r"(?<=[.!?]) ", text)
    chosen = sentences[:1]
    for sentence in sentences[1:]:
        if len(" ".join([*chosen, sentence]).split()) > OPENING:
            break
        chosen.append(sentence)
    return " ".join(" ".join(chosen).split()[:OPENING])
