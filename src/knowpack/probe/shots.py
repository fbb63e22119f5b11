"""Few-shot examples drawn from a pool: disjoint prompts, the same for the same seed.

Pool of questions and answers -> one draw a prompt (Pletenev et al. 2025, section 3.1).
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from knowpack.errors import FactsError
from knowpack.probe.turns import Shot
from knowpack.seeds import stream


def draw_shots(
    pool: pl.DataFrame, n_prompts: int, n_shots: int, seed: int | None, *, exclude: Sequence[str] = (), skip: int = 0
) -> list[list[Shot]]:
    """Draw n_prompts x n_shots disjoint shots (paper: 10 x 4, from TriviaQA).

    pool: columns question, answer. exclude: questions that may not serve (those of the facts). seed: None = in order.
    skip: leave out the first `skip` prompts of the seed's list, for a second, disjoint set (the noise floor).
    Raises FactsError if the pool is too small.
    """
    if n_shots == 0:
        return [[] for _ in range(n_prompts)]
    free = pool.filter(~pl.col("question").is_in(list(exclude))).unique("question", maintain_order=True)
    n_needed = (skip + n_prompts) * n_shots
    if free.height < n_needed:
        raise FactsError(
            f"the shot pool has {free.height} questions that are not among the facts; "
            f"{n_needed} are needed for {skip + n_prompts} prompts x {n_shots} shots"
        )
    order = np.arange(free.height) if seed is None else stream(seed, "shots").permutation(free.height)
    chosen = [Shot(*free.select("question", "answer").row(int(index))) for index in order[skip * n_shots : n_needed]]
    return [chosen[start : start + n_shots] for start in range(0, len(chosen), n_shots)]
