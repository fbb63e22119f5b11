"""The facts that an adapter was not trained on, and what it could have cost of each: what measure/harm.py counts.

Knowledge tables of base and adapter, under the probe's prompts A and under fresh prompts B -> `Stakes`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from knowpack.records import Category, Grader

REFUSED = 0.5  # a fact is refused where at least this share of its answers refuses
RANK = {str(c): float(max(0, i - 1)) for i, c in enumerate(Category)}  # Unknown, WeaklyKnown 0; MaybeKnown 1; Highly 2
HIGHLY = RANK[str(Category.HIGHLY_KNOWN)]


class Draw(NamedTuple):
    """What was known under one set B of prompts that chose no facts."""

    base: pl.DataFrame
    """Knowledge table; may hold fewer facts than were probed under A (`at_stake`)."""
    tuned: pl.DataFrame | None
    """Of the adapter, under the same prompts; None = not asked."""


class Stakes(NamedTuple):
    """The untrained facts under one grader; all arrays in one order, nan = not asked."""

    cluster: NDArray[np.str_]
    """(n,) the relation, or the fact itself where it has none."""
    before: NDArray[np.float64]
    """(n,) rank of the base's category under A."""
    after: NDArray[np.float64]
    """(n,) the adapter's, under A."""
    refused: NDArray[np.float64]
    """(n,) share of the base's answers under A that refuse."""
    refused_after: NDArray[np.float64]
    base: NDArray[np.float64]
    """(n, draws) the base's rank under B."""
    tuned: NDArray[np.float64]
    base_refused: NDArray[np.float64]
    """(n, draws) share of answers under B that refuse."""
    tuned_refused: NDArray[np.float64]
    fact_id: NDArray[np.str_]
    """(n,)"""

    def only(self, rows: NDArray[np.bool_]) -> "Stakes":
        """These rows."""
        return self._replace(**{name: getattr(self, name)[rows] for name in self._fields})


def untrained(
    before: pl.DataFrame,
    after: pl.DataFrame | None,
    draws: Sequence[Draw],
    facts: pl.DataFrame,
    trained: set[str],
    grader: Grader,
) -> Stakes:
    """Knowledge tables and the fact table -> the facts that were not trained, under one grader."""
    mine = before.filter((pl.col("grader") == grader) & ~pl.col("fact_id").is_in(list(trained))).select("fact_id")
    relations = facts.select("fact_id", cluster=pl.coalesce("relation", "fact_id"))
    cluster = mine.join(relations, on="fact_id", how="left", maintain_order="left")
    labels = cluster.select(pl.coalesce("cluster", "fact_id"))["cluster"].to_numpy().astype(np.str_)

    def column(knowledge: pl.DataFrame | None, name: str) -> NDArray[np.float64]:
        if knowledge is None:
            return np.full(mine.height, np.nan)
        value = pl.col("category").replace_strict(RANK, return_dtype=pl.Float64) if name == "rank" else pl.col(name)
        theirs = knowledge.filter(pl.col("grader") == grader).select("fact_id", value=value)
        joined = mine.join(theirs, on="fact_id", how="left", maintain_order="left")
        return joined["value"].fill_null(float("nan")).to_numpy()

    def columns(tables: Sequence[pl.DataFrame | None], name: str) -> NDArray[np.float64]:
        each = [column(knowledge, name) for knowledge in tables]
        return np.stack(each, axis=1) if each else np.empty((mine.height, 0))

    base, tuned = [draw.base for draw in draws], [draw.tuned for draw in draws]
    return Stakes(
        cluster=labels,
        before=column(before, "rank"),
        after=column(after, "rank"),
        refused=column(before, "p_refused"),
        refused_after=column(after, "p_refused"),
        base=columns(base, "rank"),
        tuned=columns(tuned, "rank"),
        base_refused=columns(base, "p_refused"),
        tuned_refused=columns(tuned, "p_refused"),
        fact_id=mine["fact_id"].to_numpy().astype(np.str_),
    )


def from_shifts(shifts: pl.DataFrame, facts: pl.DataFrame, grader: Grader) -> Stakes:
    """A Shift table -> the same, for the raw figures alone: nothing is known of refusals and fresh prompts."""
    mine = shifts.filter((pl.col("grader") == grader) & ~pl.col("trained"))
    ends = (mine.select("fact_id", "grader", category=side) for side in ("before", "after"))
    before, after = (end.with_columns(p_refused=pl.lit(None, dtype=pl.Float64)) for end in ends)
    return untrained(before, after, (), facts, set(), grader)


def at_stake(before: pl.DataFrame) -> pl.DataFrame:
    """[fact_id] of the facts that have something to lose, under either grader: known to some degree, or refused."""
    rank = pl.col("category").replace_strict(RANK, return_dtype=pl.Float64)
    return before.filter((rank > 0) | (pl.col("p_refused") >= REFUSED)).select("fact_id").unique(maintain_order=True)
