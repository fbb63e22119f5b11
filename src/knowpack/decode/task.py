"""One question on its way to its answer: how its tokens are chosen, and when it ends.

logits of some places -> tokens -> rows that go on or are done.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from knowpack.decode.passes import highest


@dataclass
class Row:
    """One question on its way to its answer."""

    prefix: Sequence[int]
    tail: Sequence[int]
    draft: Sequence[int]
    uniforms: NDArray[np.float64] | None
    """One number in [0, 1) for each new token, where tokens are sampled."""
    out: list[int] = field(default_factory=list)
    done: bool = False


@dataclass(frozen=True)
class Task:
    """How tokens are chosen and when an answer ends."""

    max_new_tokens: int
    stops: frozenset[int]
    temperature: float

    def choose(self, logits: Tensor, places: list[tuple[Row, int]]) -> list[int]:
        """(places, vocabulary) logits -> the token for the k-th place of each row's answer."""
        if self.temperature <= 0:
            return _ints(highest(logits))
        numbers = [row.uniforms[k] for row, k in places if row.uniforms is not None]
        shares = torch.softmax(logits.double() / self.temperature, -1).cumsum(-1)
        aims = torch.tensor(numbers, dtype=shares.dtype, device=shares.device)[:, None] * shares[:, -1:]
        return _ints(torch.searchsorted(shares, aims, right=True)[:, 0].clamp_max_(logits.shape[-1] - 1))

    def accept(self, row: Row, token: int) -> None:
        """Give the row its next token, or end it."""
        if token in self.stops:
            row.done = True
            return
        row.out.append(token)
        row.done = len(row.out) >= self.max_new_tokens


def _ints(tensor: Tensor) -> list[int]:
    numbers: list[int] = tensor.tolist()
    return numbers
