"""What further questions are made from, and the parts that all of them share."""

from typing import NamedTuple

import polars as pl

from knowpack.records import Fact, fact_id_of
from knowpack.seeds import stream

Pair = tuple[Fact, str]
"""A question, and the id of the fact it was made from."""


class Pools(NamedTuple):
    """Fact tables that questions are made from."""

    everything: pl.DataFrame
    """All facts of the source, probed or not."""
    untrained: pl.DataFrame
    """Those probed and not trained."""
    new_facts: pl.DataFrame
    """The trained Unknown facts."""
    known: pl.DataFrame
    """Those that the base knew well and that were not trained."""


def further_question(kind: str, question: str, answers: tuple[str, ...], of: Fact) -> Fact:
    """A further question of this kind about a fact."""
    name = fact_id_of(f"further {kind}", of.subject, of.relation, of.object, question)
    return Fact(name, question, answers, (), of.subject, of.relation, of.object, source=f"further {kind}")


def sample(facts: pl.DataFrame, n: int, seed: int, name: str) -> pl.DataFrame:
    """n of them in their own order; all where there are no more."""
    if facts.height <= n:
        return facts
    return facts[sorted(stream(seed, "further", name).permutation(facts.height)[:n].tolist())]
