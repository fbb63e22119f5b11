"""Which questions of a chunk of facts are asked in one wording.

Fact table, form -> `Questions`: the facts that have this wording, with it. Facts without it are left out.
"""

from typing import NamedTuple

import polars as pl


class Line(NamedTuple):
    """An answer before it is graded; the fields are those of `Response`."""

    fact_id: str
    prompt: int
    form: int
    sample: int
    text: str
    logprob: float | None = None
    answer_logprob: float | None = None
    answer_tokens: int | None = None


class Questions(NamedTuple):
    """Facts with one wording each; the four lists belong together place by place."""

    fact_ids: list[str]
    forms: list[int]
    """Which wording it is: 0 the question, k the k-th paraphrase."""
    texts: list[str]
    answers: list[str]
    """Canonical."""


def questions_of(chunk: pl.DataFrame, form: int) -> Questions:
    """The facts that have this wording: 0 the question, k the k-th paraphrase, -k the k-th from the last."""
    questions = Questions([], [], [], [])
    for fact_id, question, answers, paraphrases in chunk.select(
        "fact_id", "question", "answers", "paraphrases"
    ).iter_rows():
        wordings = [question, *paraphrases]
        place = form if form >= 0 else len(wordings) + form
        if place >= len(wordings) or (form < 0 and place < 1):
            continue
        questions.fact_ids.append(fact_id)
        questions.forms.append(place)
        questions.texts.append(wordings[place])
        questions.answers.append(answers[0])
    return questions
