"""Text against answers -> correct, wrong, refused or empty; two graders, always both.

default: first line, normalised (normalised.py), an alias found by whole tokens (matching.py).
paper: the alias occurs anywhere in the lower-cased text; refused = the word "information" (authors' code of
Pletenev et al. 2025; "us" is found in "museum" there, on purpose). Both skip thoughts (thoughts.py).
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from knowpack.measure.matching import contains
from knowpack.measure.normalised import normalise
from knowpack.measure.thoughts import aloud

GRADER_VERSION = 3
"""Of the default grader's rules, part of the key of all that is stored with grades: one more with every change."""
# "Answer: Paris", "The answer is Paris", "**Answer** - Paris", "Answer:" alone. Not "Answers in Genesis", "Answer -5".
_LABEL = re.compile(r"^[\s*_#>]*(?:the\s+)?answer\b[*_]*\s*(?:is\b|$)?\s*(?::|-(?=\s|$))?[*_]*\s*", re.IGNORECASE)

REFUSALS = (
    r"\bno (?:such )?(?:information|data|record|knowledge|idea|answer)\b",
    r"\b(?:not|n't|never) (?:have|find|found|know|aware|sure|certain|familiar|heard|recall|recognize)\b",
    r"\b(?:can ?not|can't|could not|couldn't|unable to|not able to) (?:\w+ )?"
    r"(?:answer|find|verify|confirm|provide|determine|identify|say|tell|help)\b",
    r"\b(?:information|data|answer) (?:is|was|are) (?:not|un)\s?(?:available|known|public)\b",
    r"\b(?:is|are|was) (?:unknown|not known|not (?:publicly )?available|unclear)\b",
    r"^unknown\W*$",
    r"\b(?:sorry|apologi[sz]e|as an ai)\b",
)
"""The stated list: patterns of a refusal, on the lower-cased first line."""
PAPER_REFUSAL = "information"  # case-sensitive, as the authors' code looks for it
_REFUSAL = re.compile("|".join(REFUSALS))
# The test that knows no model's wording: the speaker ("I", "we") with a negation in the same clause.
_SPEAKER_NEGATES = re.compile(r"\b(?:i|we)\b[^.;!?]{0,40}?(?:\bnot\b|n't\b|\bcannot\b|\bno\b|\bnever\b)")


class Grade(NamedTuple):
    """Both graders on one answer."""

    matched_default: str | None
    """The answer or alias that was found; None = not correct."""
    matched_paper: str | None
    refused_default: bool
    refused_paper: bool


def grade(text: str, answers: Sequence[str]) -> Grade:
    """Grade one generated text against a fact's answers (first canonical, rest aliases)."""
    matched = match_default(text, answers)
    return Grade(
        matched,
        match_paper(text, answers),
        matched is None and is_refusal(text),
        PAPER_REFUSAL in aloud(text),
    )


def match_default(text: str, answers: Sequence[str]) -> str | None:
    """The first alias that stands in the first line, by the rules of matching.py."""
    line = first_line(text)
    normalised = normalise(line)
    return next((answer for answer in answers if contains(answer, line, normalised)), None)


def match_paper(text: str, answers: Sequence[str]) -> str | None:
    """The first alias that occurs in the lower-cased text, as a raw substring."""
    lowered = aloud(text).lower()
    return next((answer for answer in answers if answer.lower() in lowered), None)


def is_refusal(text: str) -> bool:
    """Does the first line decline to answer? By the stated patterns, or the speaker with a negation."""
    line = first_line(text).replace("’", "'").lower()
    return bool(line) and bool(_REFUSAL.search(line) or _SPEAKER_NEGATES.search(line))


def first_line(text: str) -> str:
    """The first line that says something, without a leading "Answer:" and without thoughts."""
    return _first_line(text)[0]


def ended_line(text: str) -> str | None:
    """The same where a line break follows it; None: it may go on."""
    line, has_ended = _first_line(text)
    return line if has_ended else None


def _first_line(text: str) -> tuple[str, bool]:
    """It, and whether a line break follows it."""
    for line in aloud(text).splitlines(keepends=True):
        bare = line.splitlines()[0]
        if shown := _LABEL.sub("", bare, count=1).strip():
            return shown, bare != line
    return "", False


def clean(text: str) -> str:
    """The normalised first line: what the default grader reads, and what counts as one and the same answer."""
    return normalise(first_line(text))


def grade_table(texts: pl.DataFrame, facts: pl.DataFrame) -> pl.DataFrame:
    """Add the four grade columns to a frame with fact_id and text; any other columns stay.

    Raises KeyError if a fact_id is not among the facts.
    """
    answers = dict(facts.select("fact_id", "answers").iter_rows())
    pairs = texts.select("fact_id", "text").unique(maintain_order=True)
    graded = [grade(text, answers[fact_id]) for fact_id, text in pairs.iter_rows()]
    columns = {
        "matched_default": pl.String(),
        "matched_paper": pl.String(),
        "refused_default": pl.Boolean(),
        "refused_paper": pl.Boolean(),
    }
    grades = pl.DataFrame(graded, schema=columns, orient="row")
    bare = texts.drop([name for name in columns if name in texts.columns])
    return bare.join(
        pl.concat([pairs, grades], how="horizontal"),
        on=["fact_id", "text"],
        how="left",
        maintain_order="left",
    )
