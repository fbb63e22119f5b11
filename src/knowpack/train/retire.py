"""Which facts are still in the batches: a certain one retires, a lost one comes back.

certainty of every fact, check by check -> the facts to draw from.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from knowpack.config import KeepRecipe

TWICE = 2  # checks in a row above the bound before a fact retires
UNSETTLED = 0.02  # of the facts: so many may be active when the tail begins, which goes on with them
LOST = 0.5  # a retired fact whose least probable token falls below this comes back: greedy decoding may miss it


class RetirementSchedule:
    """Which facts are active; all of them at first."""

    def __init__(self, n_facts: int, recipe: KeepRecipe) -> None:
        self._recipe = recipe
        self._streak = np.zeros(n_facts, dtype=int)
        self._retired = np.zeros(n_facts, dtype=bool)
        self._queue: list[int] = []

    @property
    def n_active(self) -> int:
        """Facts that are not retired."""
        return int((~self._retired).sum())

    @property
    def settled(self) -> bool:
        """All but a few are retired: time for the tail."""
        return self.n_active <= UNSETTLED * len(self._retired)

    def update(self, certainties: Sequence[float]) -> None:
        """One check: the probability of the least probable answer token of every fact."""
        sure = np.asarray(certainties)
        self._streak = np.where(sure > self._recipe.bound, self._streak + 1, 0)
        self._retired = (self._streak >= TWICE) | (self._retired & (sure >= LOST))

    def draw(self, n: int, rng: np.random.Generator) -> list[int]:
        """Up to n active facts of a shuffled queue, each once before any comes again; then up to n / 2 retired ones,
        at least one where none is active.

        Retired facts are rehearsed since they would fade: the replay rows pull towards the base alone.
        Without `retire` all facts are drawn for ever.
        """
        remaining = ~self._retired if self._recipe.retire else np.ones_like(self._retired)
        drawn: list[int] = []
        for _ in range(2):  # what the queue still holds, then a new shuffle
            while self._queue and len(drawn) < n:
                fact = self._queue.pop()
                if remaining[fact] and fact not in drawn:
                    drawn.append(fact)
            if len(drawn) < n and not self._queue:
                self._queue = [int(i) for i in rng.permutation(len(remaining))]
        retired = np.flatnonzero(~remaining)
        return drawn + [int(i) for i in rng.permutation(retired)[: min(max(1, n // 2), n - len(drawn))]]

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {"streak": self._streak.tolist(), "retired": self._retired.tolist(), "queue": list(self._queue)}

    def set_state(self, state: dict[str, Any]) -> None:
        """Put back what `state` gave."""
        self._streak, self._retired = np.array(state["streak"], dtype=int), np.array(state["retired"], dtype=bool)
        self._queue = list(state["queue"])
