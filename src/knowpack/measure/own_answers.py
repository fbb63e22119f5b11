"""Questions that the model wrote itself: whether its own answers are kept, under names that claim no knowledge.

Figures of harm over facts whose answers are the model's own (source `self-written`) -> the same under other names: who
answers as before has not shown that it was right before.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

import polars as pl

from knowpack.records import SELF_WRITTEN, Figure

KNOWN, OWN = "known_lost", "own_lost"
Value = TypeVar("Value")
OF_KNOWLEDGE = (
    "refused_known",
    "refused_unknown",
    "confidence_right",
    "confidence_wrong",
    "ece",
    "brier",
    "auroc",
    "aurc",
)
"""Beginnings of figures that ask who is right, or what is known: there are none of its own answers."""


def written_by_the_model(facts: pl.DataFrame, trained: set[str]) -> bool:
    """Are all facts that were not trained of this kind, and are there any?"""
    others = facts.filter(~pl.col("fact_id").is_in(list(trained)))
    return others.height > 0 and bool((others["source"] == SELF_WRITTEN).all())


def renamed(figures: Iterable[Figure]) -> list[Figure]:
    """own_lost_* for known_lost_*, without those of knowledge; the rest as it is."""
    mine = [one for one in figures if not one.name.startswith(OF_KNOWLEDGE)]
    return [replace(one, name=one.name.replace(KNOWN, OWN)) for one in mine]


def named(values: Mapping[str, Value]) -> dict[str, Value]:
    """The same of anything by the name of its figure."""
    mine = {name: one for name, one in values.items() if not name.startswith(OF_KNOWLEDGE)}
    return {name.replace(KNOWN, OWN): one for name, one in mine.items()}
