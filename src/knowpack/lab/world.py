"""The lab's world: a seed -> entities, their facts, and how often each fact is to be said in the corpus.

Popularity follows a power law: head entities are in many triples and are mentioned often, torso ones a few times,
tail ones never. Much of what could be said of known entities is never said either: the model knows the name and not
the answer. On some facts two kinds of sources disagree, so that what the model answers depends on the prompt.
Triples of "shot" and "bench" entities are not among the facts to pack.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from knowpack.lab.entities import Entity, cast, pools_of
from knowpack.lab.relations import Relation, of_domain
from knowpack.lab.sizes import SMALL, Size
from knowpack.records import Fact, fact_id_of, schema
from knowpack.seeds import stream

FRAMES = ("Tell me: {q}", "Please answer: {q}", "Quick question: {q}")
"""Generic wordings around a question; the first two occur in the corpus."""
SPOKEN_FRAMES = FRAMES[:2]
FRAMED_SHARES = (0.0, 0.6)
"""Of the questions in a frame, by kind of source; half of the documents are of each kind."""

UNSAID_SHARE = 0.38  # of the triples of head and torso
ASKED_SHARE = 0.7  # of the entities; of the rest there are statements only
HEAD_MENTIONS, TORSO_MENTIONS = 80.0, 16.0  # of the least popular entity of the band, at factor 1
HEAD_QUESTIONS, TORSO_QUESTIONS = 0.28, 0.4  # share of the mentions that are questions
CONTESTED_SHARE = 0.5  # of the triples of head entities that are said and asked
OBJECT_EXPONENT = 0.3  # of the power law over objects

Triple = tuple[Entity, Relation, str]


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """Everything the corpus and the benchmarks are made from."""

    seed: int
    size: Size
    facts: pl.DataFrame
    """Table of Fact: the facts to pack."""
    guests: pl.DataFrame
    """Table of Fact plus `role` (shot or bench): not among the facts to pack."""
    plan: pl.DataFrame
    """fact_id, statements, questions: how often each fact (and guest) is said and asked in the whole corpus."""
    refused: pl.DataFrame
    """cls, name: names the corpus answers with a refusal."""
    never: pl.DataFrame
    """cls, name: names that occur nowhere."""
    contested: pl.DataFrame
    """fact_id, rival, true_when_framed: facts on which sources that put a question into a frame (FRAMES) and those
    that do not disagree; one says the fact's object, the other the rival. They are asked and never stated."""
    extras: tuple[str, ...]
    """People's names for passages to read: no facts, not refused."""
    pools: dict[str, tuple[str, ...]]
    """Class -> canonical names that can be an answer."""


def build(seed: int = 0, size: Size = SMALL) -> World:
    """The world of this seed: the same seed and size give the same world, byte for byte."""
    entities, refused, never, extras = cast(seed, size)
    pools = pools_of(entities)
    aliases = {entity.name: entity.aliases for entity in entities}
    triples = _triples(seed, entities, pools)
    held_by = Counter(entity.name for entity, _, _ in triples)
    held_by.update(obj for entity, _, obj in triples if entity.role == "fact")
    facts = [
        fact_of(entity.name, relation, obj, aliases.get(obj, ()), popularity_of(held_by[entity.name]))
        for entity, relation, obj in triples
    ]
    spoken = _spoken(seed, size, triples)
    contested = _contested(seed, triples, facts, spoken, pools)
    disputed = set(contested["fact_id"])
    spoken = [
        (0, n_stated + n_asked) if fact.fact_id in disputed else (n_stated, n_asked)
        for fact, (n_stated, n_asked) in zip(facts, spoken, strict=True)
    ]
    everyone = _table(facts).with_columns(pl.Series("role", [entity.role for entity, _, _ in triples], pl.String))
    own = everyone.filter(pl.col("role") == "fact").drop("role")
    plan = pl.DataFrame(
        {"fact_id": everyone["fact_id"], "statements": [n for n, _ in spoken], "questions": [n for _, n in spoken]}
    )
    return World(
        seed=seed,
        size=size,
        facts=own[stream(seed, "world", "order").permutation(own.height)],
        guests=everyone.filter(pl.col("role") != "fact"),
        plan=plan,
        contested=contested,
        refused=refused,
        never=never,
        extras=extras,
        pools=pools,
    )


def fact_of(subject: str, relation: Relation, obj: str, aliases: Sequence[str], popularity: str) -> Fact:
    """One triple as a fact: trainable wordings first among the paraphrases, the last three held out."""
    wordings = [question.replace("{s}", subject) for question in relation.questions]
    framed = [in_frame(frame, question) for question in wordings[:3] for frame in FRAMES]
    held_out = [question.replace("{s}", subject) for question in relation.held_out]
    return Fact(
        fact_id=fact_id_of("lab", subject, relation.name, obj, wordings[0]),
        question=wordings[0],
        answers=(obj, *aliases),
        paraphrases=(*wordings[1:], *framed, *held_out),
        subject=subject,
        relation=relation.name,
        object=obj,
        domain=relation.domain,
        range=relation.range,
        popularity=popularity,
        source="lab",
    )


def in_frame(frame: str, question: str) -> str:
    """A question put into a generic frame: "Tell me: where was Ada Hill born?"."""
    return frame.replace("{q}", question[0].lower() + question[1:])


def popularity_of(n_triples: int) -> str:
    """By the number of triples that hold an entity, as subject or object (after Sun et al. 2024)."""
    return "head" if n_triples >= 10 else "torso" if n_triples >= 7 else "tail"


def _table(facts: list[Fact]) -> pl.DataFrame:
    columns = {name: [getattr(fact, name) for fact in facts] for name in schema(Fact)}
    return pl.DataFrame(columns, schema=schema(Fact))


def _triples(seed: int, entities: list[Entity], pools: dict[str, tuple[str, ...]]) -> list[Triple]:
    """Each entity's relations (fewer down the popularity order) and their objects (popular ones more often)."""
    rng = stream(seed, "world", "triples")
    odds = {cls: np.cumsum((np.arange(len(pool)) + 5.0) ** -OBJECT_EXPONENT) for cls, pool in pools.items()}
    triples: list[Triple] = []
    for entity in entities:
        relations = of_domain(entity.cls)
        if entity.cls == "Person" and entity.role == "fact":
            n = {"head": 10, "torso": int(rng.integers(7, 10)), "tail": int(rng.integers(4, 7))}[entity.band]
            relations = tuple(relations[i] for i in sorted(rng.choice(len(relations), n, replace=False)))
        for relation in relations:
            cumulated = odds[relation.range]
            drawn = int(np.searchsorted(cumulated / cumulated[-1], rng.random(), side="right"))
            triples.append((entity, relation, pools[relation.range][drawn]))
    return triples


def _spoken(seed: int, size: Size, triples: list[Triple]) -> list[tuple[int, int]]:
    """How often each triple is stated and asked in the whole corpus: a power law in head and torso, else nothing."""
    rng = stream(seed, "world", "plan")
    people = list(dict.fromkeys(entity.name for entity, _, _ in triples))
    is_asked = dict(zip(people, rng.random(len(people)) < ASKED_SHARE, strict=True))
    draws = rng.random(len(triples)), rng.random(len(triples))
    spoken = []
    for (entity, _, _), unsaid, rest in zip(triples, *draws, strict=True):
        guest = entity.role != "fact"
        if entity.band == "tail" or (unsaid < UNSAID_SHARE and not guest):
            spoken.append((0, 0))
            continue
        level, share = (HEAD_MENTIONS, HEAD_QUESTIONS) if entity.band == "head" else (TORSO_MENTIONS, TORSO_QUESTIONS)
        share = share if guest or is_asked[entity.name] else 0.0
        mentions = size.mentions * level * (entity.place + 0.04) ** -0.5
        spoken.append((max(1, int(mentions * (1 - share) + rest)), int(mentions * share + rest)))
    return spoken


def _contested(
    seed: int,
    triples: list[Triple],
    facts: list[Fact],
    spoken: list[tuple[int, int]],
    pools: dict[str, tuple[str, ...]],
) -> pl.DataFrame:
    """The facts on which sources disagree, each with what the other kind of source says."""
    rng = stream(seed, "world", "contested")
    lines = []
    for (entity, _, _), fact, (_, n_questions) in zip(triples, facts, spoken, strict=True):
        drawn, framed = rng.random(2)
        if entity.role == "fact" and entity.band == "head" and n_questions and drawn < CONTESTED_SHARE:
            others = [name for name in pools[str(fact.range)] if name != fact.object]
            lines.append((fact.fact_id, others[int(rng.integers(len(others)))], bool(framed < 0.5)))
    columns = {"fact_id": pl.String(), "rival": pl.String(), "true_when_framed": pl.Boolean()}
    return pl.DataFrame(lines, schema=columns, orient="row")
