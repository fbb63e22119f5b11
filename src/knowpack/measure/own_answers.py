"""Questions that the model wrote itself: whether its own answers are kept, under names that claim no knowledge.

Figures of harm over facts whose answers are the model's own (source `self-written`) -> the same under other names: who
answers as before has not shown that it was right before.
"""

from collections.abc import Iterable

import polars as pl

from knowpack.records import SELF_WRITTEN, Figure

KNOWN, OWN = "known_lost", "own_lost"


def written_by_the_model(facts: pl.DataFrame, trained: set[str]) -> bool:
    """Are all facts that were not trained of this kind, and are there any?"""
    others = facts.filter(~pl.col("fact_id").is_in(list(trained)))
    return others.height > 0 and bool((others["source"] == SELF_WRITTEN).all())


def renamed(figures: Iterable[Figure]) -> list[Figure]:
    """own_lost_* for known_lost_*; the rest as it is."""
    return [
        Figure(one.name.replace(KNOWN, OWN), one.grader, *one.estimate) if one.name.startswith(KNOWN) else one
        for one in figures
    ]
