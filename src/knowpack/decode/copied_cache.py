"""The slower way, for architectures whose attention cannot share a prefix: its cache is copied for each row.

Same arguments and same answers as the shared way. Rows of equal length go together, so nothing is padded. (Where not
even a copied cache can be gone on from: whole_prompts.py.)
"""

import copy
import inspect
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import torch

from knowpack.decode.task import Row, Task
from knowpack.model.loaded import Loaded

T = TypeVar("T")


def generate_copied(loaded: Loaded, rows: Sequence[Row], task: Task, batch_size: int) -> None:
    """Fill in the answers of rows that stand behind one prefix, token by token; drafts are not used."""
    if not rows:
        return
    prefix = rows[0].prefix
    with torch.inference_mode():
        cache = cache_in(loaded.model, forward_copied(loaded, [prefix], None)) if prefix else None
        for batch in equal(rows, [len(row.tail) for row in rows], batch_size):
            _answer(loaded, cache, batch, task)


def _answer(loaded: Loaded, cache: Any, batch: list[Row], task: Task) -> None:
    own = copy.deepcopy(cache)
    if own is not None and len(batch) > 1:
        own.batch_repeat_interleave(len(batch))
    output = forward_copied(loaded, [row.tail for row in batch], own)
    while True:
        tokens = task.choose(output.logits[:, -1], [(row, len(row.out)) for row in batch])
        for row, chosen in zip(batch, tokens, strict=True):
            task.accept(row, chosen)
        active = [i for i, row in enumerate(batch) if not row.done]
        if not active:
            return
        own = cache_in(loaded.model, output)
        if len(active) < len(batch):
            own.batch_select_indices(torch.tensor(active, device=loaded.device))
            batch = [batch[i] for i in active]
        output = forward_copied(loaded, [row.out[-1:] for row in batch], own)


def forward_copied(loaded: Loaded, ids: Sequence[Sequence[int]], cache: Any, *, n_logits: int = 1) -> Any:
    """One forward of rows of equal length behind a cache -> the model's output, with the cache that holds them too.

    n_logits: of how many last tokens logits are wanted; 0: of all, and no cache.
    """
    tokens = torch.tensor([list(row) for row in ids], device=loaded.device)
    cache_kwargs = {cache_argument(loaded.model): cache}
    return loaded.model(input_ids=tokens, **cache_kwargs, **last_logits(loaded.model, n_logits), use_cache=n_logits > 0)


def last_logits(model: torch.nn.Module, n: int) -> dict[str, int]:
    """The argument that asks for the logits of n last tokens, where this model's forward has one."""
    return {"logits_to_keep": n} if "logits_to_keep" in inspect.signature(model.forward).parameters else {}


def cache_argument(model: torch.nn.Module) -> str:
    """What this model's forward calls its cache: newer transformers warn about the old name."""
    return "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"


def cache_in(model: torch.nn.Module, output: Any) -> Any:
    """What a forward of this model kept, under the name that this model uses."""
    return getattr(output, cache_argument(model))


def equal(items: Sequence[T], lengths: Sequence[int], batch_size: int) -> Iterator[list[T]]:
    groups: dict[int, list[T]] = defaultdict(list)
    for item, length in zip(items, lengths, strict=True):
        groups[length].append(item)
    for _, group in sorted(groups.items()):
        for start in range(0, len(group), batch_size):
            yield group[start : start + batch_size]
