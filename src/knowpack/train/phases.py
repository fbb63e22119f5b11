"""The learning rate of the keep recipe: it rises, stays while facts are learned, and falls once they are.

KeepRecipe + whether the facts are settled -> phase and learning rate of each step. The full rate lasts until all but
a few facts are certain, at most max_steps; then the rate falls in a straight line over tail_steps, in which what was
learned is set against the replay rows (docs/LOG.md: most of the harm goes there).
"""

from typing import Any, NamedTuple

from knowpack.config import KeepRecipe

FULL, FALL = "main", "tail"  # as the training log names them


class Phase(NamedTuple):
    """Of one step."""

    name: str
    """FULL or FALL."""
    lr: float


class Phases:
    """Where in the recipe a training stands."""

    def __init__(self, recipe: KeepRecipe) -> None:
        self._recipe = recipe
        self._n_warmup = max(1, round(recipe.warmup_ratio * recipe.max_steps))
        self.lr = recipe.lr
        """The full rate."""
        self.n_full = 0
        """Steps made at the full rate (the rising ones among them)."""
        self.n_fallen = 0
        """Steps made since the rate began to fall."""
        self.falling = False

    @property
    def step(self) -> int:
        """Steps made."""
        return self.n_full + self.n_fallen

    @property
    def most_steps(self) -> int:
        """Steps of a training that never settles early."""
        return self._recipe.max_steps + self._recipe.tail_steps

    def next(self, settled: bool) -> Phase | None:
        """The phase of the step to come; None = the training is over. settled: all but a few facts are certain."""
        self.falling = self.falling or settled or self.n_full >= self._recipe.max_steps
        if not self.falling:
            return Phase(FULL, self.lr * min(1.0, (self.n_full + 1) / self._n_warmup))
        if self.n_fallen == self._recipe.tail_steps:
            return None
        return Phase(FALL, self.lr * (1 - self.n_fallen / self._recipe.tail_steps))

    def made(self) -> None:
        """A step was made."""
        if self.falling:
            self.n_fallen += 1
        else:
            self.n_full += 1

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {"lr": self.lr, "n_full": self.n_full, "n_fallen": self.n_fallen, "falling": self.falling}

    def set_state(self, state: dict[str, Any]) -> None:
        """Put back what `state` gave."""
        self.lr, self.falling = state["lr"], state["falling"]
        self.n_full, self.n_fallen = state["n_full"], state["n_fallen"]
