"""Candidates of a graph -> a balanced question set: named, worded, sifted, sampled.

Graph + ontology + wordings (+ labels, redirects) -> `Built(facts, ...)`. As in the paper (section 3.1) and
Head-to-Tail (Sun et al. 2024): one object for subject and relation, questions from templates, the same number of
head, torso and tail subjects for each relation.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import polars as pl

from knowpack.errors import FactsError
from knowpack.facts import iri_names
from knowpack.facts.graphs import drops
from knowpack.facts.graphs.graph import Graph
from knowpack.facts.graphs.ontology import Ontology
from knowpack.facts.graphs.popularity import NAMES as POPULARITY
from knowpack.facts.lint import stands_in, words
from knowpack.facts.wordings import Wording, local_name
from knowpack.records import Fact, fact_id_of, table

TOO_OFTEN, ENOUGH = "an answer too often in its relation", "enough already"
NO_WORDING = "a relation with no wording"
SPARE = 6
"""Candidates drawn for each fact wanted, so that the rules may drop some."""
MAX_ALIASES = 40
PLACES = {"Place", "PopulatedPlace", "Location"}
Lookup = Callable[[Collection[str]], Mapping[str, list[str]]]
"""Entities (IRIs in brackets) -> their other names."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What sample to make."""

    per_relation: int = 30
    """At most so many facts a relation, a third of them for each popularity class."""
    seed: int = 0
    fill: bool = False
    """Top up a relation that lacks head, torso or tail subjects from its other classes."""
    same_answer: float = 0.2
    """At most this share of a relation's facts (but 2 always) may have the same answer."""
    source: str = "dbpedia"

    def per_cell(self, popularity: str) -> int:
        """How many facts of a relation and class."""
        extra = POPULARITY.index(popularity) < self.per_relation % 3
        return self.per_relation if self.fill else self.per_relation // 3 + extra

    def candidates(self) -> int:
        """How many candidates to draw for each relation and class."""
        return SPARE * max(map(self.per_cell, POPULARITY)) + 10


class Built(NamedTuple):
    """The facts and what became of the candidates."""

    facts: pl.DataFrame
    """Table of Fact, sorted by relation, popularity, priority."""
    dropped: dict[str, int]
    """Rule -> candidates dropped; among those looked at, not all of the dump."""
    wordings: dict[str, str]
    """Relation -> by hand, from the ontology, from its name, none."""


def build(
    graph: Graph,
    wordings: Mapping[str, Wording],
    ontology: Ontology,
    settings: Settings,
    labels: Lookup | None = None,
    redirects: Lookup | None = None,
) -> Built:
    """Choose and write the facts. Raises FactsError if none is left."""
    candidates = graph.candidates
    entities = set(candidates["s"]) | set(candidates["o"])
    named = labels(entities) if labels else {}
    sift = _Sift(wordings, ontology, settings, named)
    for (relation,), group in candidates.group_by("p", maintain_order=True):
        sift.relation(str(relation), group)
    if not sift.chosen:
        why = ", ".join(f"{n:,} for {rule}" for rule, n in sift.dropped.most_common())
        unworded = ", ".join([name for name, kind in sift.origin.items() if kind == "none"][:5])
        raise FactsError(
            f"no fact is left of {len(candidates):,} candidates; dropped {why}"
            + (f" ({unworded}): give wordings by --templates, or labels by --ontology" if unworded else "")
        )
    others = redirects({draft.object for draft in sift.chosen}) if redirects else {}
    facts = [_fact(draft, others.get(draft.object, []), settings.source) for draft in sift.chosen]
    dropped = {rule: sift.dropped[rule] for rule in (NO_WORDING, *drops.OF_FACT, TOO_OFTEN, ENOUGH)}
    return Built(table(facts, Fact), dropped, dict(sift.origin))


class _Draft(NamedTuple):
    subject: str  # as in the dump
    relation: str
    object: str
    popularity: str
    questions: list[str]
    answers: list[str]
    domain: str | None
    range: str | None


class _Sift:
    """Goes through the candidates of each relation in order of priority."""

    def __init__(
        self,
        wordings: Mapping[str, Wording],
        ontology: Ontology,
        settings: Settings,
        labels: Mapping[str, list[str]],
    ) -> None:
        self.wordings, self.ontology, self.settings, self.labels = wordings, ontology, settings, labels
        self.chosen: list[_Draft] = []
        self.dropped: Counter[str] = Counter()
        self.origin: dict[str, str] = {}

    def relation(self, iri: str, group: pl.DataFrame) -> None:
        """Choose this relation's facts."""
        relation = local_name(iri)
        wording = self._wording(relation)
        if wording is None:
            self.dropped[NO_WORDING] += len(group)
            return
        most = max(2, int(self.settings.same_answer * self.settings.per_relation))
        answered: Counter[str] = Counter()
        drafts_of: dict[str, list[_Draft]] = defaultdict(list)
        for subject, obj, popularity in group.select("s", "o", "popularity").iter_rows():
            if len(drafts_of[popularity]) >= self.settings.per_cell(popularity):
                self.dropped[ENOUGH] += 1
                continue
            draft = self._draft(subject, relation, obj, popularity, wording)
            if draft is None:
                continue
            if answered[draft.answers[0]] >= most:
                self.dropped[TOO_OFTEN] += 1
                continue
            answered[draft.answers[0]] += 1
            drafts_of[popularity].append(draft)
        self.chosen += _levelled([drafts_of[name] for name in POPULARITY], self.settings.per_relation)

    def _wording(self, relation: str) -> Wording | None:
        """How to ask for it, and the classes of its subjects and objects: the ontology's where it names them."""
        wording = self._questions(relation)
        if wording is None:
            return None
        domain, range_ = self.ontology.domains.get(relation), self.ontology.ranges.get(relation)
        return replace(wording, domain=domain or wording.domain, range=range_ or wording.range)

    def _questions(self, relation: str) -> Wording | None:
        wording = self.wordings.get(relation)
        if wording is not None:
            self.origin[relation] = "by hand"
            return wording
        known = relation in self.ontology.labels
        if not known and re.fullmatch(r"[A-Za-z]?\d+", relation):  # P31 says nothing to a reader
            self.origin[relation] = "none"
            return None
        self.origin[relation] = "from the ontology" if known else "from its name"
        return self.ontology.wording(relation)

    def _draft(self, subject: str, relation: str, obj: str, popularity: str, wording: Wording) -> _Draft | None:
        name = next(iter(self.labels.get(subject, [])), None) or iri_names.of_iri(subject)
        if iri_names.disambiguator(iri_names.of_iri(subject)) and iri_names.disambiguator(name) is None:
            name = iri_names.of_iri(subject)  # a label without what tells it from its namesakes
        apart = iri_names.disambiguator(name)
        if apart and words(apart) in words(wording.questions[0].replace("{}", " ")):
            name = iri_names.bare(name)
        answers = self._answers(obj, wording.range)
        questions = wording.fill(name)
        rule = drops.of_fact(relation, self.ontology.label(relation), name, questions[0], answers)
        if rule is not None:
            self.dropped[rule] += 1
            return None
        return _Draft(subject, relation, obj, popularity, questions, answers, wording.domain, wording.range)

    def _answers(self, obj: str, range_: str | None) -> list[str]:
        """Canonical first: the label or title without its parenthesis; then the title, labels, a place's own name."""
        title = iri_names.of_iri(obj)
        labels = self.labels.get(obj, [])
        names = [iri_names.bare((labels or [title])[0]), iri_names.bare(title), title, *labels]
        if range_ is not None and PLACES & {range_, *self.ontology.chain(range_)}:
            names += [place for name in list(names) if (place := iri_names.before_comma(name))]
        names += [short for name in list(names) if (short := iri_names.without_kind(name))]
        return list(dict.fromkeys(names))


def _levelled(classes: list[list[_Draft]], cap: int) -> list[_Draft]:
    """At most `cap` of the classes together, taken in turn so that they stay as even as they can."""
    counts = [0] * len(classes)
    while sum(counts) < cap:
        short = [i for i, drafts in enumerate(classes) if counts[i] < len(drafts)]
        if not short:
            break
        counts[min(short, key=lambda i: (counts[i], i))] += 1
    return [draft for drafts, n in zip(classes, counts, strict=True) for draft in drafts[:n]]


def _fact(draft: _Draft, redirects: list[str], source: str) -> Fact:
    """Aliases: each once (case apart), none of one character, none that the question itself holds."""
    answers: dict[str, str] = {}
    for name in [*draft.answers, *redirects, *map(iri_names.bare, redirects)]:
        if len(name) > 1 and not stands_in(name, draft.questions[0]):
            answers.setdefault(name.casefold(), name)
    question, *paraphrases = draft.questions
    subject, obj = (iri.strip("<>") for iri in (draft.subject, draft.object))
    return Fact(
        fact_id_of(source, subject, draft.relation, obj, question),
        question,
        tuple(answers.values())[: MAX_ALIASES + 1],
        tuple(paraphrases),
        subject,
        draft.relation,
        obj,
        draft.domain,
        draft.range,
        draft.popularity,
        source,
    )
