"""Questions behind one prefix as the rows that are decoded.

Prompted -> `Row`s: no tail empty, drafts cut to what can hold, numbers to sample by.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from knowpack.decode.task import Row, Task
from knowpack.errors import ModelError
from knowpack.probe.askers import Prompted
from knowpack.seeds import stream


def rows_of(prompts: Prompted, task: Task, seed: int | None) -> list[Row]:
    """A row for each tail. seed: of what is sampled, where the task samples."""
    prefix, tails = nonempty(prompts.prefix, prompts.tails)
    drafts = [None] * len(tails) if prompts.drafts is None else prompts.drafts
    sampled = task.temperature > 0
    uniforms = _uniforms(prefix, tails, task.max_new_tokens, seed) if sampled else [None] * len(tails)
    return [
        Row(prefix, tail, _draft(draft, task.stops, task.max_new_tokens), numbers)
        for tail, draft, numbers in zip(tails, drafts, uniforms, strict=True)
    ]


def nonempty(prefix: Sequence[int], tails: Sequence[Sequence[int]]) -> tuple[Sequence[int], Sequence[Sequence[int]]]:
    """Give every tail a token to read the first answer from: the prefix's last where one is empty."""
    if all(tails):
        return prefix, tails
    if not prefix:
        raise ModelError("neither prefix nor tail has a token; begin with the tokenizer's first token (BOS)")
    return prefix[:-1], [[prefix[-1], *tail] for tail in tails]


def _draft(draft: Sequence[int] | None, stops: frozenset[int], max_new_tokens: int) -> Sequence[int]:
    """The part of a draft that can hold: before its first stop token, and one token short of the limit."""
    kept: list[int] = []
    for token in draft or ():
        if token in stops or len(kept) == max_new_tokens - 1:
            break
        kept.append(token)
    return kept


def _uniforms(
    prefix: Sequence[int], tails: Sequence[Sequence[int]], n: int, seed: int | None
) -> list[NDArray[np.float64]]:
    """n numbers for each row, by its ids and how often they stood before in this call."""
    assert seed is not None, "checked by the caller"
    seen: dict[tuple[int, ...], int] = {}
    numbers = []
    for tail in tails:
        ids = (*prefix, *tail)
        seen[ids] = seen.get(ids, -1) + 1
        numbers.append(stream(seed, "sampling", ",".join(map(str, ids)), seen[ids]).random(n))
    return numbers
