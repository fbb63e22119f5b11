"""What is wrong with a fact table before a model sees it.

Fact table (+ pool of shots) -> `Finding`s: duplicates, empty or one-letter aliases, answers that cannot be matched, an
answer inside its own question, one question with conflicting answers, facts that stand among the shots too; and, for
a person to look at, answers that the default grader reads by a rule of their own.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import polars as pl

from knowpack.facts.columns import MAX_CHARS, MIN_CHARS
from knowpack.facts.repeats import question_key
from knowpack.measure.matching import RULES, rules
from knowpack.measure.normalised import normalise
from knowpack.records import Fact, rows

CHECKS = {
    "duplicate": "the same question and answer more than once",
    "short_alias": "an empty or one-letter answer or alias",
    "unmatchable": "an answer or alias that is nothing but marks: no text can match it",
    "reads_as_missing": "an answer that reads as a missing value (nan, None, N/A)",
    "answer_in_question": "an answer or alias that stands in the question",
    "conflict": "one question, different answers",
    "shot": "a question, or its subject with its answer, that is among the shots too",
    "too_long": f"a question or answer of over {MAX_CHARS} characters",
    "no_relation": "no relation: domain shifts and kinship cannot be told",
    **RULES,
}
HARMLESS = ("no_relation", *RULES)
"""Findings that do not make the exit code 1."""
MISSING = {"nan", "NaN", "None", "none", "null", "NULL", "NaT", "<NA>", "N/A", "n/a"}
"""Answers that are the name of a missing value. (NA is Namibia.)"""


class Finding(NamedTuple):
    """One thing that is wrong."""

    check: str
    """A key of CHECKS."""
    fact_id: str
    detail: str


def lint(facts: pl.DataFrame, shots: pl.DataFrame | None = None) -> list[Finding]:
    """All findings, in the order of CHECKS, then of the facts. shots: columns question, answer."""
    findings = [finding for fact in rows(facts, Fact) for finding in _of_one(fact)]
    findings += _between(facts)
    if shots is not None:
        findings += _with_shots(facts, shots)
    order = {check: index for index, check in enumerate(CHECKS)}
    return sorted(findings, key=lambda finding: order[finding.check])


def counts(findings: list[Finding]) -> dict[str, int]:
    """Findings by check, all checks named."""
    result = dict.fromkeys(CHECKS, 0)
    for finding in findings:
        result[finding.check] += 1
    return result


def words(text: str) -> str:
    """Lower case, no accents or punctuation, one space round every word: " the beatles "."""
    plain = text.casefold()
    if not plain.isascii():
        plain = "".join(c for c in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(c))
    return " " + " ".join(re.findall(r"\w+", plain)) + " "


def stands_in(name: str, text: str) -> bool:
    """Whether the name occurs in the text as whole words."""
    wanted = words(name)
    return wanted != "  " and wanted in words(text)


def _of_one(fact: Fact) -> Iterator[Finding]:
    for answer in fact.answers:
        if len(answer.strip()) < MIN_CHARS:
            yield Finding("short_alias", fact.fact_id, f"{answer!r} for {fact.question[:80]!r}")
        elif not normalise(answer):
            yield Finding("unmatchable", fact.fact_id, f"{answer!r} for {fact.question[:80]!r}")
        elif stands_in(answer, fact.question):
            yield Finding("answer_in_question", fact.fact_id, f"{answer!r} in {fact.question[:80]!r}")
    if fact.answers and fact.answers[0].strip() in MISSING:
        yield Finding("reads_as_missing", fact.fact_id, f"{fact.answers[0]!r} for {fact.question[:80]!r}")
    kinds = {kind: answer for answer in reversed(fact.answers) for kind in rules(answer)}
    for kind, answer in kinds.items():
        yield Finding(kind, fact.fact_id, f"{answer!r} for {fact.question[:80]!r}")
    if max(map(len, (fact.question, *fact.answers))) > MAX_CHARS:
        yield Finding("too_long", fact.fact_id, f"{fact.question[:40]!r}...")
    if fact.relation is None:
        yield Finding("no_relation", fact.fact_id, fact.question[:80])


def _between(facts: pl.DataFrame) -> Iterator[Finding]:
    groups: dict[str, list[tuple[str, str, set[str]]]] = defaultdict(list)
    for fact_id, question, answers in facts.select("fact_id", "question", "answers").iter_rows():
        groups[question_key(question)].append((fact_id, question, {normalise(answer) for answer in answers}))
    for group in groups.values():
        _, question, first = group[0]
        for fact_id, _, answers in group[1:]:
            same = bool(first & answers)
            yield Finding("duplicate" if same else "conflict", fact_id, question[:80])


def _with_shots(facts: pl.DataFrame, shots: pl.DataFrame) -> Iterator[Finding]:
    shot_questions = {words(question) for question in shots["question"]}
    by_answer: dict[str, list[str]] = defaultdict(list)
    for question, answer in shots.select("question", "answer").iter_rows():
        by_answer[words(answer)].append(words(question))
    for fact in rows(facts, Fact):
        if any(words(question) in shot_questions for question in (fact.question, *fact.paraphrases)):
            yield Finding("shot", fact.fact_id, fact.question[:80])
        elif fact.subject and any(
            words(fact.subject) in shot for answer in fact.answers for shot in by_answer.get(words(answer), ())
        ):
            yield Finding("shot", fact.fact_id, f"{fact.subject} with {fact.answers[0]!r}")
