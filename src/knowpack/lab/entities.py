"""Who and what is in the lab's world: seed, size -> entities of five classes, names to refuse, names never seen."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl

from knowpack.lab import names
from knowpack.lab.sizes import Size
from knowpack.seeds import stream

CLASSES = ("Person", "City", "Company", "University", "Country")
"""The classes that have facts of their own, in the order of Size.head."""


class Entity(NamedTuple):
    """A name with its class, its other names, and its place in the popularity order of its class."""

    name: str
    cls: str
    aliases: tuple[str, ...]
    role: str
    """fact: its triples are facts to pack. shot, bench: they serve few-shot prompts and benchmarks."""
    band: str
    """head: mentioned often; torso: a few times; tail: never."""
    place: float
    """0..1 within its band, 0 the most popular."""


class Cast(NamedTuple):
    """All names of a world."""

    entities: list[Entity]
    refused: pl.DataFrame
    """cls, name: names that the corpus answers with a refusal."""
    never: pl.DataFrame
    """cls, name: names that occur nowhere."""
    extras: tuple[str, ...]
    """People's names for passages to read: no facts, not refused."""


def cast(seed: int, size: Size) -> Cast:
    """Entities of every class and role, then strangers; no name is used twice, all share their parts."""
    spare = {cls: iter(pool) for cls, pool in _names(seed).items()}
    rng = stream(seed, "world", "forms")
    entities: list[Entity] = []
    for k, cls in enumerate(CLASSES):
        cities = iter([entity.name for entity in entities if entity.cls == "City"])
        for band, n in (("head", size.head[k]), ("torso", size.torso[k]), ("tail", size.tail[k])):
            for i in range(n):
                stem = next(cities) if cls == "University" else next(spare[cls])
                name, aliases = _named(cls, stem, rng)
                entities.append(Entity(name, cls, aliases, "fact", band, i / n))
    entities += [Entity(next(spare["Person"]), "Person", (), "shot", "head", 0.8) for _ in range(size.n_shot)]
    for i in range(size.n_bench):  # well known and less well known in turn, so that benchmarks have room on both sides
        band = "head" if i % 4 < 2 else "torso"
        entities.append(Entity(next(spare["Person"]), "Person", (), "bench", band, i / size.n_bench))
    refused, never = _strangers(spare, size.n_refused), _strangers(spare, size.n_never)
    return Cast(entities, refused, never, tuple(spare["Person"]))


def pools_of(entities: list[Entity]) -> dict[str, tuple[str, ...]]:
    """What a relation's object can be: everyday words, and the head entities of the other classes."""
    pools: dict[str, tuple[str, ...]] = dict(names.CLASS_NAMES)
    for cls in CLASSES[1:]:
        pools[cls] = tuple(e.name for e in entities if e.cls == cls and e.band == "head")
    return pools


def _names(seed: int) -> dict[str, list[str]]:
    """Every name that can be built, shuffled: class -> names; the world takes from the front."""
    pools = {
        "Person": [f"{first} {last}" for first in names.FIRST for last in names.LAST],
        "City": [start + end for start in names.CITY_STARTS for end in names.CITY_ENDS],
        "Company": [start + end for start in names.COMPANY_STARTS for end in names.COMPANY_ENDS],
        "Country": [start + end for start in names.COUNTRY_STARTS for end in names.COUNTRY_ENDS],
    }
    orders = {cls: stream(seed, "world", "names", cls).permutation(len(pool)) for cls, pool in pools.items()}
    return {cls: [pool[i] for i in orders[cls]] for cls, pool in pools.items()}


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


def _strangers(spare: dict[str, Iterator[str]], n: int) -> pl.DataFrame:
    """n names that are in no fact: seven in eight people, the rest cities and companies (as far as there are)."""
    shares = {"Person": n - n // 12 - n // 24, "City": min(n // 12, 180), "Company": min(n // 24, 60)}
    rows = [(cls, name) for cls, count in shares.items() for _, name in zip(range(count), spare[cls], strict=False)]
    return pl.DataFrame(rows, schema={"cls": pl.String, "name": pl.String}, orient="row")
