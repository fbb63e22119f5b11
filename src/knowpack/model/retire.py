"""Which facts are still in the batches: a certain one retires, a lost one comes back.

certainty of every fact, check by check -> the facts to draw from.
"""

from collections.abc import Sequence

import numpy as np

from knowpack.config import KeepConfig

TWICE = 2  # checks in a row above the bound before a fact retires
LOST = 0.5  # a retired fact whose least probable token falls below this comes back: greedy decoding may miss it


class Roll:
    """The state of retirement; everything is active at first."""

    def __init__(self, n_facts: int, keep: KeepConfig) -> None:
        self._keep = keep
        self._streak = np.zeros(n_facts, dtype=int)
        self._retired = np.zeros(n_facts, dtype=bool)
        self._queue: list[int] = []
        self._quiet = 0

    @property
    def n_active(self) -> int:
        """Facts that are not retired."""
        return int((~self._retired).sum())

    @property
    def settled(self) -> bool:
        """All retired, and still so one check later."""
        return self._quiet >= TWICE

    def update(self, certainties: Sequence[float]) -> None:
        """One check: the probability of the least probable answer token of every fact."""
        found = np.asarray(certainties)
        self._streak = np.where(found > self._keep.bound, self._streak + 1, 0)
        self._retired = (self._streak >= TWICE) | (self._retired & (found >= LOST))
        self._quiet = self._quiet + 1 if self._retired.all() else 0

    def draw(self, n: int, rng: np.random.Generator, *, lost_only: bool = False) -> list[int]:
        """The next facts of a shuffled queue, each active one once before any comes again; retired ones are skipped.

        Without `keep.retire` all facts are drawn for ever, save in the tail (lost_only).
        """
        wanted = ~self._retired if self._keep.retire or lost_only else np.ones_like(self._retired)
        found: list[int] = []
        for _ in range(2):  # what the queue still holds, then a new shuffle
            while self._queue and len(found) < n:
                fact = self._queue.pop()
                if wanted[fact] and fact not in found:
                    found.append(fact)
            if len(found) < n and not self._queue:
                self._queue = [int(i) for i in rng.permutation(len(wanted))]
        return found
