"""A fact in another form than its questions: key words, a sentence without its end, a wrong answer for a false claim.

Fact -> text, or None where its wordings allow none. The questions made of them stand where they are asked
(further/other_forms.py) and where the base's answers to them are held (train/replay_prompts.py), each in its own words.
"""

import re
from collections.abc import Sequence

import polars as pl

from knowpack.measure.common_words import YES_NO
from knowpack.measure.normalised import normalise
from knowpack.records import Fact
from knowpack.seeds import stream

UNFINISHED = (  # a question, and the sentence that its answer would end
    (re.compile(r"(?:What|Who) (is|are|was|were) ((?:the|an?|[^ ]+'s) .+)\?"), r"\2 \1"),
    (re.compile(r"(?:Name|Give) (the .+)\."), r"\1 is"),
)
DANGLING = re.compile(r" (?:called|named|made|about|at|by|for|from|in|like|of|on|to|with)\?$")  # "... is it made of?"
EMPTY = re.compile("an?|the|what|which|whom?|is|are|was|were|do|does|did|has|have|of|in")
PLACED = re.compile(r"(In|On) (?:which|what) ([\w ]+) (is|was) (.+)\?")


def unfinished(fact: Fact) -> str | None:
    """The fact as a sentence without its end ("The capital of Peru is"), by the first wording that makes one."""
    for wording in (fact.question, *fact.paraphrases):
        placed = PLACED.fullmatch(wording)
        if placed and placed[4].removeprefix("the ") == fact.subject:
            return _capital(f"{placed[4]} {placed[3]} {placed[1].lower()} the {placed[2]} of")
        for question, sentence in UNFINISHED:
            match = question.fullmatch(wording)
            if match and not DANGLING.search(wording):
                return _capital(match.expand(sentence))
    return None


def keywords(question: str) -> str | None:
    """The question as one types it into a search box: "Who is the head of sales of Acme?" -> "head sales Acme".

    Words that tell questions apart (when, where, how many) stay; None where fewer than two words are left, or all.
    """
    words_asked = question.rstrip("?. ").split()
    keys = [word for word in words_asked if not EMPTY.fullmatch(normalise(word))]
    return " ".join(keys) if 2 <= len(keys) < len(words_asked) else None


def is_yes_no(fact: Fact) -> bool:
    """Whether the fact is answered by yes or no itself, so that no claim about it can be judged."""
    return normalise(fact.answers[0]) in YES_NO


class WrongAnswers:
    """Answers of other facts, for false claims."""

    def __init__(self, pool: pl.DataFrame, seed: int) -> None:
        """pool: a table of Fact; those answered by yes or no give none."""
        self._seed = seed
        self._of_relation: dict[str, list[str]] = {}
        self._of_form: dict[bool, list[str]] = {}
        offered = pool.select("relation", answer=pl.col("answers").list.first()).unique(maintain_order=True)
        for relation, answer in offered.iter_rows():
            if normalise(answer) not in YES_NO:
                self._of_relation.setdefault(str(relation), []).append(answer)
                self._of_form.setdefault(_is_number(answer), []).append(answer)

    def of(self, fact: Fact) -> str | None:
        """One of the fact's relation where the pool has another, else one of like form: a number for a number."""
        near = self._of_relation.get(str(fact.relation), []) if fact.relation else []
        like = self._of_form.get(_is_number(fact.answers[0]), [])
        return self._other(fact, near) or self._other(fact, like)

    def _other(self, fact: Fact, answers: Sequence[str]) -> str | None:
        own = {normalise(answer) for answer in fact.answers}
        others = [one for one in answers if normalise(one) not in own]
        if not others:
            return None
        return others[int(stream(self._seed, "false claim", fact.fact_id).integers(len(others)))]


def _is_number(text: str) -> bool:
    return any(character.isdigit() for character in text)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
