"""More wordings of each fact's question: by hand-written templates, generic frames, or a model.

Fact table -> `Reworded(facts, report)`. A model's wording is kept only if it is new, still names the subject, and
the answer has not slipped in. The paper (section 4.1) had Llama-3-70B-Instruct write its paraphrases.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

import polars as pl

from knowpack.errors import FactsError
from knowpack.facts.iri_names import bare, of_iri
from knowpack.facts.lint import stands_in, words
from knowpack.facts.wordings import Wording, local_name
from knowpack.progress import SILENT, Progress
from knowpack.records import Fact, rows, table

Generate = Callable[[list[str]], list[str]]
"""Prompts -> the model's texts, in order."""

FRAMES = (
    "Tell me, please: {q}",
    "Do you know the answer to this? {q}",
    "Here is a question for you. {q}",
    "{q} Give the name only.",
    "I would like to know this: {q}",
    "A short question: {q}",
    "{q} Answer briefly.",
    "Somebody asks: {q}",
    "For a quiz: {q}",
    "{q} What do you say?",
    "Please answer. {q}",
    "Let us see what you know: {q}",
)
"""Wordings round any question, ours."""
INSTRUCTION = (
    "Reword the question below in {n} different ways. Keep its meaning and every name in it. "
    "Do not answer it. Write one question a line and nothing else.\n\nQuestion: {question}"
)
LONGEST = 3.0
"""A wording of more than so many times the question's length is something else."""
BATCH = 64


class Reworded(NamedTuple):
    """Facts with more paraphrases."""

    facts: pl.DataFrame
    report: dict[str, int]
    """kept, and the reasons why wordings were not."""


def by_templates(facts: pl.DataFrame, n: int, wordings: Mapping[str, Wording] | None = None) -> Reworded:
    """Up to n paraphrases each: those it has, then the relation's other wordings, then generic frames."""
    report: Counter[str] = Counter()

    def offers(fact: Fact) -> Iterable[str]:
        wording = (wordings or {}).get(local_name(fact.relation or ""))
        if wording and fact.subject:
            yield from wording.fill(of_iri(f"<{fact.subject}>") if "://" in fact.subject else fact.subject)
        yield from (frame.format(q=fact.question) for frame in FRAMES)

    reworded = [_with(fact, offers(fact), n, report) for fact in rows(facts, Fact)]
    return Reworded(table(reworded, Fact), dict(report))


def by_model(facts: pl.DataFrame, n: int, generate: Generate, progress: Progress = SILENT) -> Reworded:
    """Up to n paraphrases each, asked of a model. Raises FactsError if it gives no usable wording at all."""
    report: Counter[str] = Counter()
    items = list(rows(facts, Fact))
    reworded = []
    with progress.stage("paraphrases", len(items)) as advance:
        for start in range(0, len(items), BATCH):
            batch = items[start : start + BATCH]
            texts = generate([INSTRUCTION.format(n=n, question=fact.question) for fact in batch])
            if len(texts) != len(batch):
                raise ValueError(f"generate gave {len(texts)} texts for {len(batch)} prompts")
            reworded += [_with(fact, questions_in(text), n, report) for fact, text in zip(batch, texts, strict=True)]
            advance(len(batch))
    if not report["kept"]:
        raise FactsError(
            f"the model gave no usable wording for {len(items):,} facts ({dict(report)}); "
            "take a model that follows instructions, or leave --model out for templates"
        )
    return Reworded(table(reworded, Fact), dict(report))


def questions_in(text: str) -> list[str]:
    """The wordings in a model's text: a line each, without numbers, bullets and quotes."""
    questions = []
    for line in text.splitlines():
        plain = re.sub(r"^\s*(?:[-*•]|\(?\d+[.):]|Question:)\s*", "", line).strip().strip('"“”').strip()
        if plain:
            questions.append(plain)
    return questions


def fault(fact: Fact, wording: str) -> str | None:
    """Why a wording cannot stand for the fact's question, None if it can."""
    if not wording.endswith(("?", ".")) or len(wording) < 8:
        return "no question"
    if len(wording) > LONGEST * max(len(fact.question), 30):
        return "too long"
    if any(stands_in(answer, wording) and not stands_in(answer, fact.question) for answer in fact.answers):
        return "the answer slipped in"
    if fact.subject:
        subject = bare(of_iri(f"<{fact.subject}>") if "://" in fact.subject else fact.subject)
        if stands_in(subject, fact.question) and not stands_in(subject, wording):
            return "the subject is lost"
    return None


def _with(fact: Fact, offers: Iterable[str], n: int, report: Counter[str]) -> Fact:
    """The fact with paraphrases from the offers, n in all; equal ones (case and marks apart) once."""
    kept = list(fact.paraphrases)
    seen = {words(fact.question), *map(words, kept)}
    for wording in offers:
        if len(kept) >= n:
            break
        if words(wording) in seen:
            report["the same again"] += 1
            continue
        wrong = fault(fact, wording)
        if wrong is not None:
            report[wrong] += 1
            continue
        seen.add(words(wording))
        kept.append(wording)
        report["kept"] += 1
    return replace(fact, paraphrases=tuple(kept))
