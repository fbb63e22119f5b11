"""A fact in a form that it was not asked in: another wording, an unfinished sentence, a claim, behind other text.

Facts -> pairs of a question and the id of the fact it was made from. Unlike questions from a graph (graph_questions.py)
these need the fact's own texts alone, so that any table gives them; a fact that a form cannot hold gives none.
"""

import re
from collections.abc import Iterator, Sequence

import polars as pl

from knowpack.further.pools import Pair, asked
from knowpack.measure.common_words import YES_NO
from knowpack.measure.grading import normalise
from knowpack.records import Fact, rows
from knowpack.seeds import stream

UNFINISHED = (  # a question, and the sentence that its answer would end
    (re.compile(r"(?:What|Who) (is|are|was|were) ((?:the|an?|[^ ]+'s) .+)\?"), r"\2 \1"),
    (re.compile(r"(?:Name|Give) (the .+)\."), r"\1 is"),
)
OPENING = 40  # words of a text that a question is asked behind
PLACED = re.compile(r"(In|On) (?:which|what) ([\w ]+) (is|was) (.+)\?")


def wordings(facts: pl.DataFrame) -> Iterator[Pair]:
    """The last other wording of each fact that has one."""
    for fact in rows(facts, Fact):
        if fact.paraphrases:
            yield asked("wording", fact.paraphrases[-1], fact.answers, fact), fact.fact_id


def other_forms(facts: pl.DataFrame, pool: pl.DataFrame, texts: Sequence[str], seed: int) -> dict[str, list[Pair]]:
    """statement, yes_no, behind_text -> questions. pool: facts whose answers may stand in false claims."""
    return {
        "statement": list(_statements(facts)),
        "yes_no": list(_claims(facts, pool, seed)),
        "behind_text": list(_behind(facts, texts)),
    }


def unfinished(fact: Fact) -> str | None:
    """The fact as a sentence without its end ("The capital of Peru is"), by the first wording that makes one."""
    for wording in (fact.question, *fact.paraphrases):
        placed = PLACED.fullmatch(wording)
        if placed and placed[4].removeprefix("the ") == fact.subject:
            return _capital(f"{placed[4]} {placed[3]} {placed[1].lower()} the {placed[2]} of")
        for question, sentence in UNFINISHED:
            found = question.fullmatch(wording)
            if found:
                return _capital(found.expand(sentence))
    return None


def _statements(facts: pl.DataFrame) -> Iterator[Pair]:
    for fact in rows(facts, Fact):
        sentence = unfinished(fact)
        if sentence:
            yield asked("statement", f"Complete the sentence: {sentence} ...", fact.answers, fact), fact.fact_id


def _claims(facts: pl.DataFrame, pool: pl.DataFrame, seed: int) -> Iterator[Pair]:
    """A true claim about every other fact and a false one about the rest: a model that always agrees has half right.

    The false answer is one of the fact's relation, where the pool has another, else one of like form: a number for a
    number. Facts that are themselves answered by yes or no are left out.
    """
    offered = pool.select("relation", answer=pl.col("answers").list.first()).unique(maintain_order=True)
    of_relation: dict[str, list[str]] = {}
    of_form: dict[bool, list[str]] = {}
    for relation, answer in offered.iter_rows():
        if normalise(answer) not in YES_NO:
            of_relation.setdefault(str(relation), []).append(answer)
            of_form.setdefault(_is_number(answer), []).append(answer)
    fit = [fact for fact in rows(facts, Fact) if normalise(fact.answers[0]) not in YES_NO]
    for place, fact in enumerate(fit):
        claimed: str | None = fact.answers[0]
        if place % 2:
            near = of_relation.get(str(fact.relation), []) if fact.relation else []
            claimed = _wrong(fact, near, seed) or _wrong(fact, of_form.get(_is_number(fact.answers[0]), []), seed)
        if claimed is not None:
            question = f'Is "{claimed}" the right answer to "{fact.question}", yes or no?'
            yield asked("yes_no", question, ("no",) if place % 2 else ("yes",), fact), fact.fact_id


def _wrong(fact: Fact, answers: Sequence[str], seed: int) -> str | None:
    own = {normalise(answer) for answer in fact.answers}
    others = [one for one in answers if normalise(one) not in own]
    return others[int(stream(seed, "false claim", fact.fact_id).integers(len(others)))] if others else None


def _behind(facts: pl.DataFrame, texts: Sequence[str]) -> Iterator[Pair]:
    """The question after the opening of a text that has nothing to do with it; the texts in turn."""
    for place, fact in enumerate(rows(facts, Fact) if texts else ()):
        question = f"{_opening(texts[place % len(texts)])}\n\n{fact.question}"
        yield asked("behind_text", question, fact.answers, fact), fact.fact_id


def _opening(text: str) -> str:
    """Its first sentences, to OPENING words or a little less: longer rows would take more memory than a probe's."""
    sentences = re.split(r"(?<=[.!?]) ", text)
    kept = sentences[:1]
    for sentence in sentences[1:]:
        if len(" ".join([*kept, sentence]).split()) > OPENING:
            break
        kept.append(sentence)
    return " ".join(" ".join(kept).split()[:OPENING])


def _is_number(text: str) -> bool:
    return any(character.isdigit() for character in text)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
