"""What a cause is, and what it may be read from.

Responses before and after + examples + facts -> Evidence under one grader; a CauseRule says for which facts it holds.
docs/extending.md shows how a cause is added: one CauseRule more in `causes.RULES`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import polars as pl

from knowpack.errors import FactsError
from knowpack.measure.grading import clean
from knowpack.records import Grader, Kind

Direction = Literal["up", "down"]  # Unknown -> HighlyKnown, HighlyKnown -> Unknown


class Control(StrEnum):
    """The facts among which a cause's base rate is counted."""

    NEW_WRONG_ANSWER = "new_wrong_answer"
    """Unknown before and after, and their answer is another one now, and no refusal: they changed as the moved facts
    did, but nothing was learned or lost. (Facts that stayed right cannot give a wrong answer: a base rate among them
    is low whatever the cause is worth.)"""
    STAYED = "stayed"
    """Those that started where the moved facts did and stayed there."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a rule may look at, under one grader."""

    grader: Grader
    facts: pl.DataFrame
    """Fact table."""
    new_facts: pl.DataFrame
    """Fact table of the trained Unknown facts; in a placebo draw, of as many facts that were not trained."""
    before: pl.DataFrame
    """Response table of the base: greedy answers to the questions themselves, with `answer`, the normalised first
    line (default grader) or the raw text of the answer (paper's; null where it has no label)."""
    after: pl.DataFrame
    """The same of the tuned model."""
    was: pl.DataFrame
    """[fact_id, text, answer]: the one answer of the base that counts. Default: its most frequent one, ties to the
    lowest prompt; paper: the first prompt's."""
    now: pl.DataFrame
    """The same of the tuned model."""


@dataclass(frozen=True, slots=True)
class CauseRule:
    """One cause of shifts. Causes overlap."""

    name: str
    """As it is stored in Shift.causes: lower case, underscores."""
    label: str
    """As it is printed."""
    directions: tuple[Direction, ...]
    """The moves that it may explain."""
    needs_examples: bool
    """It reads Evidence.new_facts: left out where the trained facts are not known, and compared with a placebo."""
    holds: Callable[[Evidence], pl.Series]
    """Evidence -> ids of the facts for which it holds, moved or not."""
    control: Control = Control.NEW_WRONG_ANSWER
    meaning: str = ""
    """When it holds, in a few words."""


def gather(
    grader: Grader,
    before: pl.DataFrame,
    after: pl.DataFrame,
    examples: pl.DataFrame,
    facts: pl.DataFrame,
    *,
    labelled: bool,
) -> Evidence:
    """Response tables of base and tuned model, Example and Fact table -> Evidence.

    labelled: the model writes "Answer: " itself (chat turns); else the prompt ended in it (plain text).
    """
    ids = examples.filter(pl.col("kind") == str(Kind.UNKNOWN))["fact_id"].unique().to_list()
    new_facts = facts.filter(pl.col("fact_id").is_in(ids))
    theirs, mine = (_greedy(responses, grader, labelled) for responses in (before, after))
    one = _first if grader == "paper" else _most_frequent
    return Evidence(grader, facts, new_facts, theirs, mine, one(theirs), one(mine))


def _greedy(responses: pl.DataFrame, grader: Grader, labelled: bool) -> pl.DataFrame:
    """The greedy answers to the questions themselves, with `answer`."""
    greedy = responses.filter(pl.col("form") == 0, pl.col("sample") == 0)
    if greedy.is_empty():
        raise FactsError("got no greedy answers to any question; causes need the responses before and after")
    if grader == "paper":
        return greedy.with_columns(answer=_raw(labelled))
    texts = greedy["text"].unique(maintain_order=True)
    cleaned = pl.DataFrame({"text": texts, "answer": [clean(text) for text in texts]})
    return greedy.join(cleaned, on="text", how="left", maintain_order="left")


def _raw(labelled: bool) -> pl.Expr:
    """The authors' answer: what stands behind "Answer: ", stripped; null where that does not occur.

    Our plain prompt ends in "Answer:", and so what corresponds is the text up to the blank line after which the model
    would ask itself the next question.
    """
    if labelled:
        return pl.col("text").str.extract(r"(?s)Answer: (.*)", 1).str.strip_chars()
    return pl.col("text").str.strip_chars_start().str.splitn("\n\n", 2).struct.field("field_0").str.strip_chars()


def _first(answers: pl.DataFrame) -> pl.DataFrame:
    return answers.filter(pl.col("prompt") == pl.col("prompt").min()).select("fact_id", "text", "answer")


def _most_frequent(answers: pl.DataFrame) -> pl.DataFrame:
    return (
        answers.sort("prompt")
        .group_by("fact_id", "answer", maintain_order=True)
        .agg(pl.col("text").first(), count=pl.len(), first=pl.col("prompt").min())
        .sort(["count", "first"], descending=[True, False])
        .group_by("fact_id", maintain_order=True)
        .agg(pl.col("text").first(), pl.col("answer").first())
    )
