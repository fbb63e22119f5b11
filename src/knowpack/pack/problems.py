"""Facts that should not be trained on, named before any training.

facts + what the base answers -> `Problem`s: contradictions, facts that no question tells apart, facts known already.
"""

from collections import defaultdict
from typing import NamedTuple

import polars as pl

from knowpack.errors import FactsError
from knowpack.facts import sources
from knowpack.measure.normalised import normalise
from knowpack.pack.request import Request
from knowpack.records import Category, Fact, rows

CONTRADICTS = "contradicts"
INDISTINGUISHABLE = "indistinguishable"
KNOWN = "known"
PACKED = "packed"
SHOWN = 3  # problems in an error
MEANING = {
    CONTRADICTS: "one subject and relation, different answers",
    INDISTINGUISHABLE: "one question for several facts",
    KNOWN: "the base answers it already",
    PACKED: "the adapter holds it already",
}


class Problem(NamedTuple):
    """One fact that should not be trained on, and why."""

    check: str
    """A key of MEANING."""
    fact_id: str
    detail: str


def checked_facts(request: Request) -> tuple[pl.DataFrame, list[Problem]]:
    """The table of facts to pack, and what was left out. Raises FactsError that names what cannot be packed."""
    facts = sources.load(request.facts, contradictions="keep")  # find_problems names them
    problems = find_problems(facts)
    if problems and not request.drop_problems:
        counts = {check: sum(p.check == check for p in problems) for check in (CONTRADICTS, INDISTINGUISHABLE)}
        kinds = "; ".join(f"{n} ({MEANING[check]})" for check, n in counts.items() if n)
        shown = " | ".join(p.detail for p in problems[:SHOWN])
        raise FactsError(
            f"{request.facts}: {len(problems)} {'fact' if len(problems) == 1 else 'facts'} cannot be packed: {kinds}: "
            f"{shown}; mend or --drop-problems"
        )
    return facts.filter(~pl.col("fact_id").is_in([p.fact_id for p in problems])), problems


def find_problems(facts: pl.DataFrame, knowledge: pl.DataFrame | None = None) -> list[Problem]:
    """All problems, fact by fact. knowledge: of the base (validation prompts), for `known`; None = not asked yet."""
    problems: list[Problem] = []
    by_key: dict[tuple[str, str], list[Fact]] = defaultdict(list)
    by_question: dict[str, list[Fact]] = defaultdict(list)
    for fact in rows(facts, Fact):
        for wording in {normalise(text) for text in (fact.question, *fact.paraphrases)}:
            by_question[wording].append(fact)
        if fact.subject is not None and fact.relation is not None:
            by_key[normalise(fact.subject), fact.relation].append(fact)
    seen: set[str] = set()
    for group in by_key.values():
        problems += _clashes(group, CONTRADICTS, seen)
    for group in by_question.values():
        problems += _clashes(group, INDISTINGUISHABLE, seen)
    if knowledge is not None:
        sure = knowledge.filter((pl.col("grader") == "default") & (pl.col("category") == str(Category.HIGHLY_KNOWN)))
        known = facts.filter(pl.col("fact_id").is_in(sure["fact_id"].to_list()))
        problems += [Problem(KNOWN, *row) for row in known.select("fact_id", "question").iter_rows()]
    return problems


def _clashes(group: list[Fact], check: str, seen: set[str]) -> list[Problem]:
    """Facts of one group whose answers have nothing in common with the first one's; or simply repeat it."""
    first, *others = group
    answers = {normalise(answer) for answer in first.answers}
    problems = []
    for other in others:
        if other.fact_id in seen:
            continue
        theirs = {normalise(answer) for answer in other.answers}
        if answers & theirs and check == CONTRADICTS:
            continue  # the same answer twice does no harm here; a shared question is looked at below
        seen.add(other.fact_id)
        detail = f"{other.question!r}: {other.answers[0]!r}, but {first.question!r}: {first.answers[0]!r}"
        problems.append(Problem(check, other.fact_id, detail))
    return problems
