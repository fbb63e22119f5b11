"""Fresh prompts: sets B of few-shot prompts that chose no facts, for figures net of noise (measure/harm.py).

Shot pool + settings -> sets of prompts, disjoint from the probe's own, from each other, and from those that training
and pack's validation draw in between.
"""

from collections.abc import Sequence

import polars as pl

from knowpack.config import ProbeConfig
from knowpack.errors import FactsError
from knowpack.probe.shots import draw_shots
from knowpack.probe.turns import Shot

RESERVED = 20
"""Prompts between the first and the second fresh set, for training under few-shot contexts and for validation."""


def fresh_sets(pool: pl.DataFrame, config: ProbeConfig, exclude: Sequence[str]) -> list[list[list[Shot]]]:
    """n_floors sets of n_prompts prompts; fewer, but one at least, where the pool has no more shots.

    None where there are no shots: all prompts are then one, and the probe's own answers are as fresh as any.
    Raises FactsError where the pool is too small for the first.
    """
    sets: list[list[list[Shot]]] = []
    for number in range(config.n_floors if config.noise and config.n_shots else 0):
        skip = (1 + number) * config.n_prompts + (RESERVED if number else 0)
        try:
            sets.append(
                draw_shots(pool, config.n_prompts, config.n_shots, config.draw_seed, exclude=exclude, skip=skip)
            )
        except FactsError:
            if not number:
                raise
            break
    return sets
