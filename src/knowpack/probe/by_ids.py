"""Ask a model a chunk of facts by token ids, wave by wave of prompts.

`IdsJob` + `Questions` -> `Line`s. Greedy answers of prompts that are decoded together; an answer under one prompt, or
another model's under the same, is a draft of the next.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import polars as pl

from knowpack.config import ProbeConfig
from knowpack.probe.askers import Answers, Ids, Prompted, check_logprobs
from knowpack.probe.line_end import LineEnd, cut
from knowpack.probe.pace import AnswerCounter
from knowpack.probe.prompts import Batch, Prompter
from knowpack.probe.questions import Line, Questions
from knowpack.probe.sureness import Sureness, sureness
from knowpack.probe.turns import Shot
from knowpack.seeds import seed_of

WAVE_PROMPTS = 15  # decoded together, at most: the keys and values of each are held for as long


class Answer(NamedTuple):
    """A greedy answer; the newest of a fact is a draft of its next."""

    fact_id: str
    prompt: int
    form: int
    ids: list[int]
    text: str
    sure: Sureness | None


@dataclass(frozen=True, slots=True)
class IdsJob:
    """What is the same for every chunk."""

    asker: Answers
    prompter: Prompter
    shots: Sequence[Sequence[Shot]]
    config: ProbeConfig
    forms: Sequence[int]
    line_end: LineEnd | None
    """Where a plain prompt's answers end; None: at the end of sequence alone."""

    def text(self, ids: Ids) -> str:
        """What was answered."""
        text = self.prompter.decode(ids)
        return text if self.line_end is None else cut(text)


OldAnswers = dict[tuple[str, int, int], str]  # (fact_id, prompt, form) -> the greedy answer of another model


def lines_by_ids(
    job: IdsJob, questions: Questions, newest: dict[str, Answer], old_answers: OldAnswers, counted: AnswerCounter
) -> list[Line]:
    """Every question under every prompt, wave by wave; `newest` is brought up to date."""
    lines: list[Line] = []
    canonical = [job.prompter.answer_ids(answer) for answer in questions.answers] if job.config.logprob else []
    for wave in _waves(len(job.shots)):
        batches = {prompt: job.prompter.batch(job.shots[prompt], questions.texts) for prompt in wave}
        answers = _answers(job, questions, batches, newest, old_answers, counted)
        newest |= {one.fact_id: one for one in answers}
        logprobs: dict[tuple[int, str], float] = {}
        for prompt, batch in batches.items():
            if job.config.logprob:
                scored = job.asker.logprobs(batch.prefix, batch.tails, canonical)
                check_logprobs(one.logprob for one in scored)
                logprobs |= {
                    (prompt, fact_id): one.logprob for fact_id, one in zip(questions.fact_ids, scored, strict=True)
                }
            lines += _sampled(job, questions, prompt, batch)
        for one in answers:
            logprob = logprobs.get((one.prompt, one.fact_id))
            sure = one.sure or (None, None)
            lines.append(Line(one.fact_id, one.prompt, one.form, 0, one.text, logprob, *sure))
    return lines


def _waves(n_prompts: int) -> list[range]:
    """Prompts that are decoded together: the first alone, since its answers are drafts of the rest; then the rest, of
    which only the last, long answers leave a batch half empty (a step of ten rows takes as long as one of a hundred).
    """
    firsts = range(1, n_prompts, WAVE_PROMPTS)
    return [range(1), *(range(first, min(first + WAVE_PROMPTS, n_prompts)) for first in firsts)]


def _answers(
    job: IdsJob,
    questions: Questions,
    batches: Mapping[int, Batch],
    newest: dict[str, Answer],
    old_answers: OldAnswers,
    counted: AnswerCounter,
) -> list[Answer]:
    """Greedy answers under each prompt of a wave, prompt by prompt."""
    prompted = [
        Prompted(
            batch.prefix,
            batch.tails,
            _drafts(job.prompter, questions, prompt, newest, old_answers) if job.config.drafts else None,
        )
        for prompt, batch in batches.items()
    ]
    each = job.asker.generate_each(
        prompted, max_new_tokens=job.config.max_new_tokens, until=job.line_end, finished=counted.one
    )
    answers = []
    for prompt, rows in zip(batches, each, strict=True):
        for fact_id, form, one in zip(questions.fact_ids, questions.forms, rows, strict=True):
            sure = sureness(one, job.prompter.decode(one.ids), job.prompter.decode)
            answers.append(Answer(fact_id, prompt, form, one.ids, job.text(one.ids), sure))
    return answers


def _sampled(job: IdsJob, questions: Questions, prompt: int, batch: Batch) -> list[Line]:
    lines: list[Line] = []
    for sample in range(1, job.config.n_samples + 1):
        seed = seed_of(job.config.shots_seed, "sampling", prompt, sample)  # of no fact: chunks may begin anywhere
        sampled = job.asker.generate(
            batch.prefix,
            batch.tails,
            max_new_tokens=job.config.max_new_tokens,
            temperature=job.config.temperature,
            seed=seed,
            until=job.line_end,
        )
        for i, ids in enumerate(sampled):
            lines.append(Line(questions.fact_ids[i], prompt, questions.forms[i], sample, job.text(ids)))
    return lines


def old_answers_of(drafts: pl.DataFrame | pl.LazyFrame | None, chunk: pl.DataFrame, config: ProbeConfig) -> OldAnswers:
    """The other model's greedy answers to a chunk's facts; empty where there are none, or no drafts are wanted."""
    if drafts is None or not config.drafts:
        return {}
    mine = drafts.lazy().filter(pl.col("fact_id").is_in(chunk["fact_id"].implode()), pl.col("sample") == 0)
    columns = mine.select("fact_id", "prompt", "form", "text").collect()
    return {(fact_id, prompt, form): text for fact_id, prompt, form, text in columns.iter_rows()}


def _drafts(
    prompter: Prompter, questions: Questions, prompt: int, newest: dict[str, Answer], old_answers: OldAnswers
) -> list[Ids | None]:
    """What each fact will probably be answered: as under the last prompt, or as the other model did under this one.

    The other model is believed until it was wrong the last time.
    """
    drafts: list[Ids | None] = []
    for fact_id, form in zip(questions.fact_ids, questions.forms, strict=True):
        last, other = newest.get(fact_id), old_answers.get((fact_id, prompt, form))
        agreed = last is None or old_answers.get((fact_id, last.prompt, last.form)) == last.text
        if other is not None and agreed:
            drafts.append(prompter.continuation(other))
        else:
            drafts.append(last.ids if last else None)
    return drafts
