"""The lab's world: a seed -> entities, their facts, and how often each fact is to be said in the corpus.

Popularity follows a power law: head entities are in many triples and are mentioned often, torso ones a few times, tail ones
never. A quarter of what could be said of known entities is never said either: the model knows the name and not the answer.
Facts of "shot" and "bench" entities are not among the facts to pack: they serve few-shot prompts and benchmarks.
"""

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl

from knowpack.errors import ConfigError
from knowpack.lab import names
from knowpack.lab.relations import RELATIONS, Relation, of_domain
from knowpack.records import Fact, fact_id_of, table
from knowpack.seeds import stream

FRAMES = ("Tell me: {q}", "Please answer: {q}", "Quick question: {q}")
"""Generic wordings around a question; the first two occur in the corpus."""
SPOKEN_FRAMES = FRAMES[:2]


@dataclass(frozen=True, slots=True)
class Size:
    """How large a world and its model are."""

    name: str
    head: tuple[int, int, int, int, int]
    """Head entities: people, cities, companies, universities, countries."""
    torso: tuple[int, int, int, int, int]
    tail: tuple[int, int, int, int, int]
    n_shot: int
    """People kept for few-shot examples."""
    n_bench: int
    """People kept for benchmarks."""
    n_refused: int
    """Names that the corpus refuses."""
    n_never: int
    """Names held out of corpus and facts, for questions that should be refused."""
    mentions: float
    """Factor on all mention counts."""
    tokens: int
    """Training tokens of the whole build."""
    vocab: int
    hidden: int
    layers: int
    heads: int
    ff: int
    batch: int
    """Sequences of 256 tokens a step."""


CLASSES = ("Person", "City", "Company", "University", "Country")
SIZES = {
    "mini": Size(
        "mini", (24, 16, 8, 6, 6), (8, 6, 4, 3, 3), (24, 12, 8, 3, 3), 12, 12, 300, 60,
        mentions=0.5, tokens=400_000, vocab=1024, hidden=96, layers=2, heads=4, ff=256, batch=8,
    ),
    "small": Size(
        "small", (560, 120, 100, 40, 30), (480, 60, 50, 20, 12), (1450, 130, 80, 20, 14), 40, 120, 7000, 400,
        mentions=0.9, tokens=13_000_000, vocab=2560, hidden=192, layers=4, heads=6, ff=512, batch=8,
    ),
    "medium": Size(
        "medium", (560, 120, 100, 40, 30), (480, 60, 50, 20, 12), (1450, 130, 80, 20, 14), 40, 120, 7000, 400,
        mentions=4.0, tokens=60_000_000, vocab=4096, hidden=384, layers=8, heads=6, ff=1024, batch=64,
    ),
}  # fmt: skip
SMALL = SIZES["small"]


def size_of(name: str) -> Size:
    """The size of this name; ConfigError with the names there are."""
    if name not in SIZES:
        raise ConfigError(f"lab size {name!r} does not exist; choose one of {', '.join(SIZES)}")
    return SIZES[name]


class Entity(NamedTuple):
    """A name with its class, its other names, and its place in the popularity order of its class."""

    name: str
    cls: str
    aliases: tuple[str, ...]
    role: str  # fact, shot, bench
    band: str  # head, torso, tail
    place: float  # 0..1 within its band, 0 the most popular


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
    extras: tuple[str, ...]
    """People's names for passages to read: no facts, not refused."""
    pools: dict[str, tuple[str, ...]]
    """Class -> canonical names that can be an answer."""
    aliases: dict[str, tuple[str, ...]]
    """Canonical name -> its other names."""


def build(seed: int = 0, size: Size = SMALL) -> World:
    """The world of this seed: the same seed and size give the same world, byte for byte."""
    spare = _names(seed, size)
    entities, refused, never = _entities(seed, size, spare)
    pools = _pools(entities)
    aliases = {entity.name: entity.aliases for entity in entities if entity.aliases}
    rng = stream(seed, "world", "triples")
    triples = [
        (entity, relation, obj) for entity in entities for relation, obj in _triples(entity, pools, rng)
    ]
    held_by = Counter(entity.name for entity, _, _ in triples)
    held_by.update(obj for entity, _, obj in triples if entity.role == "fact")
    facts, guests, roles, plan = [], [], [], []
    spoken = _spoken(seed, size, triples)
    for (entity, relation, obj), (n_statements, n_questions) in zip(triples, spoken, strict=True):
        fact = fact_of(entity.name, relation, obj, aliases, _popularity(held_by[entity.name]))
        plan.append((fact.fact_id, n_statements, n_questions))
        if entity.role == "fact":
            facts.append(fact)
        else:
            guests.append(fact)
            roles.append(entity.role)
    order = stream(seed, "world", "order").permutation(len(facts))
    return World(
        seed, size,
        facts=table([facts[i] for i in order], Fact),
        guests=table(guests, Fact).with_columns(pl.Series("role", roles, pl.String)),
        plan=pl.DataFrame(plan, schema={"fact_id": pl.String, "statements": pl.Int64, "questions": pl.Int64}, orient="row"),
        refused=refused, never=never, extras=tuple(spare["Person"]), pools=pools, aliases=aliases,
    )  # fmt: skip


def fact_of(
    subject: str, relation: Relation, obj: str, aliases: dict[str, tuple[str, ...]], popularity: str
) -> Fact:
    """One triple as a fact: trainable wordings first among the paraphrases, the last three held out."""
    wordings = [question.format(s=subject) for question in relation.questions]
    framed = [in_frame(frame, question) for question in wordings for frame in FRAMES]
    held = [question.format(s=subject) for question in relation.held]
    return Fact(
        fact_id=fact_id_of("lab", subject, relation.name, obj, wordings[0]),
        question=wordings[0],
        answers=(obj, *aliases.get(obj, ())),
        paraphrases=(*wordings[1:], *framed[:9], *held),
        subject=subject, relation=relation.name, object=obj, domain=relation.domain, range=relation.range,
        popularity=popularity, source="lab",
    )  # fmt: skip


def in_frame(frame: str, question: str) -> str:
    """A question put into a generic frame: "Tell me: where was Ada Hill born?"."""
    return frame.format(q=question[0].lower() + question[1:])


def _names(seed: int, size: Size) -> dict[str, list[str]]:
    """Every name that can be built, shuffled: class -> names; the world takes from the front."""
    made = {
        "Person": [f"{first} {last}" for first in names.FIRST for last in names.LAST],
        "City": [start + end for start in names.CITY_STARTS for end in names.CITY_ENDS],
        "Company": [start + end for start in names.COMPANY_STARTS for end in names.COMPANY_ENDS],
        "Country": [start + end for start in names.COUNTRY_STARTS for end in names.COUNTRY_ENDS],
    }
    return {
        cls: [pool[i] for i in stream(seed, "world", "names", cls).permutation(len(pool))]
        for cls, pool in made.items()
    }


def _entities(
    seed: int, size: Size, spare: dict[str, list[str]]
) -> tuple[list[Entity], pl.DataFrame, pl.DataFrame]:
    """Entities of every class and role, then the names to refuse and the names never to be seen."""
    entities = []
    rng = stream(seed, "world", "forms")
    for k, cls in enumerate(CLASSES):
        cities = iter(entities_of(entities, "City"))
        for band, n in (("head", size.head[k]), ("torso", size.torso[k]), ("tail", size.tail[k])):
            for i in range(n):
                stem = next(cities).name if cls == "University" else spare[cls].pop(0)
                name, aliases = _named(cls, stem, rng)
                entities.append(Entity(name, cls, aliases, "fact", band, i / n))
    for role, n in (("shot", size.n_shot), ("bench", size.n_bench)):
        entities += [Entity(spare["Person"].pop(0), "Person", (), role, "head", 0.8) for _ in range(n)]
    return entities, _strangers(spare, size.n_refused), _strangers(spare, size.n_never)


def entities_of(entities: list[Entity], cls: str) -> list[Entity]:
    """The entities of one class."""
    return [entity for entity in entities if entity.cls == cls]


def _named(cls: str, stem: str, rng: np.random.Generator) -> tuple[str, tuple[str, ...]]:
    """The canonical name and the aliases of a new entity."""
    match cls:
        case "University":
            return f"University of {stem}", (f"{stem} University",)
        case "Company":
            return stem, (f"{stem} {names.COMPANY_FORMS[rng.integers(len(names.COMPANY_FORMS))]}",)
        case "Country":
            return stem, (f"Republic of {stem}",)
    return stem, ()


def _strangers(spare: dict[str, list[str]], n: int) -> pl.DataFrame:
    """n names that are in no fact, taken from the spare ones: 88% people, 8% cities, 4% companies (as far as they go)."""
    shares = {"Person": n - n // 12 - n // 24, "City": min(n // 12, 180), "Company": min(n // 24, 60)}
    rows = [
        (cls, spare[cls].pop(0)) for cls, count in shares.items() for _ in range(min(count, len(spare[cls])))
    ]
    return pl.DataFrame(rows, schema={"cls": pl.String, "name": pl.String}, orient="row")


def _pools(entities: list[Entity]) -> dict[str, tuple[str, ...]]:
    """What a relation's object can be: everyday words, and the head entities of the other classes."""
    pools: dict[str, tuple[str, ...]] = {cls: tuple(words) for cls, words in names.CLASS_NAMES.items()}
    for cls in CLASSES[1:]:
        pools[cls] = tuple(entity.name for entity in entities_of(entities, cls) if entity.band == "head")
    return pools


def _triples(
    entity: Entity, pools: dict[str, tuple[str, ...]], rng: np.random.Generator
) -> list[tuple[Relation, str]]:
    """The entity's relations (fewer down the popularity order) and their objects (popular ones more often)."""
    relations = of_domain(entity.cls)
    if entity.cls == "Person" and entity.role == "fact":
        n = {"head": 10, "torso": int(rng.integers(7, 10)), "tail": int(rng.integers(4, 7))}[entity.band]
        relations = tuple(relations[i] for i in sorted(rng.choice(len(relations), n, replace=False)))
    chosen = []
    for relation in relations:
        pool = pools[relation.range]
        weights = (np.arange(len(pool)) + 5.0) ** -0.3
        chosen.append((relation, pool[int(rng.choice(len(pool), p=weights / weights.sum()))]))
    return chosen


def _popularity(n_triples: int) -> str:
    return "head" if n_triples >= 10 else "torso" if n_triples >= 7 else "tail"


def _spoken(seed: int, size: Size, triples: list[tuple[Entity, Relation, str]]) -> list[tuple[int, int]]:
    """How often each triple is stated and asked in the whole corpus: a power law within head and torso, nothing in the tail.

    A quarter of the triples of head and torso is never said. 30% of the entities are never asked about.
    """
    rng = stream(seed, "world", "plan")
    names_in_order = list(dict.fromkeys(entity.name for entity, _, _ in triples))
    asked = dict(zip(names_in_order, rng.random(len(names_in_order)) < 0.7, strict=True))
    spoken = []
    for (entity, _, _), u, v in zip(triples, rng.random(len(triples)), rng.random(len(triples)), strict=True):
        if entity.band == "tail" or (entity.role == "fact" and u < 0.25):
            spoken.append((0, 0))
            continue
        level = 100.0 if entity.band == "head" else 4.0
        mentions = size.mentions * level * (entity.place + 0.04) ** -0.5
        share = (
            0.0
            if not asked[entity.name] and entity.role == "fact"
            else 0.28
            if entity.band == "head"
            else 0.4
        )
        questions = int(mentions * share + v)
        spoken.append((max(1, int(mentions * (1 - share) + v)), questions))
    return spoken


def relation_names() -> tuple[str, ...]:
    """The names of all relations, in their fixed order."""
    return tuple(relation.name for relation in RELATIONS)
