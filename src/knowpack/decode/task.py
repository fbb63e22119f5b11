"""One question on its way to its answer: how its tokens are chosen, and when it ends.

logits of some places -> tokens -> rows that go on or are done.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from knowpack.decode.passes import highest
from knowpack.probe.askers import Likeliest, check_logprobs

NUMBERS_AT_ONCE = 1 << 18  # logits in float32 at once on a CPU: 1 MB, which stays near the processor
PLACES_AT_ONCE = 64  # the same elsewhere, in places


class ChosenToken(NamedTuple):
    """A token, and how likely it was."""

    token: int
    logprob: float | None
    """Nats; None where tokens are sampled."""
    likeliest: Likeliest | None = None
    """What else could have stood there; None = not asked for."""


@dataclass
class Row:
    """One question on its way to its answer."""

    prefix: Sequence[int]
    tail: Sequence[int]
    draft: Sequence[int]
    uniforms: NDArray[np.float64] | None
    """One number in [0, 1) for each new token, where tokens are sampled."""
    out: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    """Nats of each token of `out`, and of the stop token where one ended the row; empty where tokens are sampled."""
    likeliest: list[Likeliest] = field(default_factory=list)
    """At the same places, sampled or not; empty where it was not asked for."""
    done: bool = False

    def restart(self) -> None:
        """Forget what was chosen so far."""
        self.out.clear()
        self.logprobs.clear()
        self.likeliest.clear()


@dataclass(frozen=True)
class Task:
    """How tokens are chosen and when an answer ends."""

    max_new_tokens: int
    stops: frozenset[int]
    temperature: float
    until: Callable[[Sequence[int]], bool] | None = None
    """Whether an answer has ended with its newest token, beside the stop tokens."""
    finished: Callable[[], None] | None = None
    """Called once for each answer that is done."""
    name: str = "the model"
    """Whose logits they are, for the message where they are no numbers."""
    top_k: int | None = None
    """Keep so many of the likeliest tokens of each place; 0 = all; None = none."""

    def choose(self, logits: Tensor, places: list[tuple[Row, int]]) -> list[ChosenToken]:
        """(places, vocabulary) logits -> the token for the k-th place of each row's answer. ModelError for NaN."""
        chosen = self._chosen(logits, places)
        if self.top_k is None:
            return chosen
        return [one._replace(likeliest=top) for one, top in zip(chosen, _likeliest(logits, self.top_k), strict=True)]

    def _chosen(self, logits: Tensor, places: list[tuple[Row, int]]) -> list[ChosenToken]:
        if self.temperature <= 0:
            tokens = highest(logits)
            logprobs = _logprobs(logits, tokens).tolist()
            check_logprobs(logprobs, self.name)
            return list(map(ChosenToken, tokens.tolist(), logprobs))
        numbers = [row.uniforms[k] for row, k in places if row.uniforms is not None]
        shares = torch.softmax(logits.double() / self.temperature, -1).cumsum(-1)
        check_logprobs(shares[:, -1].tolist(), self.name)
        aims = torch.tensor(numbers, dtype=shares.dtype, device=shares.device)[:, None] * shares[:, -1:]
        tokens = torch.searchsorted(shares, aims, right=True)[:, 0].clamp_max_(logits.shape[-1] - 1)
        return [ChosenToken(token, None) for token in tokens.tolist()]

    def accept(self, row: Row, chosen: ChosenToken) -> None:
        """Give the row its next token, or end it."""
        if chosen.logprob is not None:
            row.logprobs.append(chosen.logprob)
        if chosen.likeliest is not None:
            row.likeliest.append(chosen.likeliest)
        if chosen.token in self.stops:
            row.done = True
        else:
            row.out.append(chosen.token)
            row.done = len(row.out) >= self.max_new_tokens or bool(self.until and self.until(row.out))
        if row.done and self.finished is not None:
            self.finished()


def _logprobs(logits: Tensor, tokens: Tensor) -> Tensor:
    """(places, vocabulary) logits, (places,) tokens -> (places,) their log-softmax, in float32.

    log p(y) = x_y - log sum_v exp(x_v), a few places at a time: the exponentials are as large as the logits.
    """
    chosen = logits.gather(-1, tokens[:, None])[:, 0].float()
    sums = [some.float().logsumexp(-1) for some in _parts(logits)]
    return chosen - torch.cat(sums)


def _parts(logits: Tensor) -> tuple[Tensor, ...]:
    """(places, vocabulary) logits -> the same, as many places as are to be held in float32 at once."""
    on_cpu = logits.device.type == "cpu"
    return torch.split(logits, max(1, NUMBERS_AT_ONCE // logits.shape[-1]) if on_cpu else PLACES_AT_ONCE)


def _likeliest(logits: Tensor, k: int) -> list[Likeliest]:
    """Of each of the (places, vocabulary) logits the k largest; 0 = all."""
    k = min(k or logits.shape[-1], logits.shape[-1])
    kept: list[Likeliest] = []
    for some in _parts(logits):
        values, ids = some.float().log_softmax(-1).topk(k, dim=-1)
        kept += map(Likeliest, ids.int().cpu(), values.cpu())
    return kept
