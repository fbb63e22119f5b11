"""What the package ships of the real world: facts that small models know in part, and few-shot examples.

-> `facts()`, a Fact table (12,635 facts about places, money, languages, elements and codes), and `shots()`, general
questions with answers, none of which is a fact of the table. data/README.md is the card: sources, licences, counts.
Both are files, made by scripts/build_world.py and by hand, and are read anew at each call.
"""

from importlib import resources
from importlib.resources.abc import Traversable

import polars as pl

from knowpack.records import Fact, schema


def facts() -> pl.DataFrame:
    """Table of Fact, source "world": by relation, the best known subjects first; one object a subject and relation."""
    with resources.as_file(_file("world.parquet")) as path:
        return pl.read_parquet(path, glob=False).select(list(schema(Fact)))


def shots() -> pl.DataFrame:
    """question, answer: general knowledge, varied in form, in a mixed order."""
    with resources.as_file(_file("general.jsonl")) as path:
        return pl.read_ndjson(path, schema={"question": pl.String(), "answer": pl.String()})


def _file(name: str) -> Traversable:
    return resources.files("knowpack.facts") / "data" / name
