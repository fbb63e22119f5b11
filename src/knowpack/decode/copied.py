"""The slower way, for architectures whose attention cannot share a prefix: its cache is copied for each row.

Same arguments and same answers as the shared way. Rows of equal length go together, so nothing is padded and models
with a state instead of keys and values work too.
"""

import copy
import inspect
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from knowpack.decode.scored import Request, ScoredContinuation, scored
from knowpack.decode.task import Row, Task
from knowpack.model.loaded import Loaded

T = TypeVar("T")


def generate_copied(loaded: Loaded, rows: Sequence[Row], task: Task, batch_size: int) -> None:
    """Fill in the answers of rows that stand behind one prefix, token by token; drafts are not used."""
    if not rows:
        return
    prefix = rows[0].prefix
    with torch.inference_mode():
        cache = cache_in(loaded.model, _forward(loaded, [prefix], None)) if prefix else None
        for batch in _equal(rows, [len(row.tail) for row in rows], batch_size):
            _answer(loaded, cache, batch, task)


def _answer(loaded: Loaded, cache: Any, batch: list[Row], task: Task) -> None:
    own = copy.deepcopy(cache)
    if own is not None and len(batch) > 1:
        own.batch_repeat_interleave(len(batch))
    output = _forward(loaded, [row.tail for row in batch], own)
    while True:
        tokens = task.choose(output.logits[:, -1], [(row, len(row.out)) for row in batch])
        for row, chosen in zip(batch, tokens, strict=True):
            task.accept(row, chosen)
        going = [i for i, row in enumerate(batch) if not row.done]
        if not going:
            return
        own = cache_in(loaded.model, output)
        if len(going) < len(batch):
            own.batch_select_indices(torch.tensor(going, device=loaded.device))
            batch = [batch[i] for i in going]
        output = _forward(loaded, [row.out[-1:] for row in batch], own)


def score_copied(loaded: Loaded, requests: Sequence[Request], batch_size: int = 32) -> list[ScoredContinuation]:
    """Log-probabilities of continuations, each request computed whole."""
    found: list[list[tuple[float, bool]]] = [[] for _ in requests]
    numbered = [(i, request) for i, request in enumerate(requests) if request[1]]
    lengths = [len(context) + len(continuation) for _, (context, continuation) in numbered]
    with torch.inference_mode():
        for batch in _equal(numbered, lengths, batch_size):
            ids = [[*context, *continuation][:-1] for _, (context, continuation) in batch]
            logits: Tensor = _forward(loaded, ids, None, whole=True).logits.float()
            for (i, (context, continuation)), row in zip(batch, logits, strict=True):
                places = row[len(context) - 1 :].log_softmax(-1)  # (tokens, vocabulary)
                target = torch.tensor(continuation, device=places.device)
                chosen = places.gather(1, target[:, None])[:, 0].tolist()
                best = (places.argmax(-1) == target).tolist()
                found[i] = list(zip(chosen, best, strict=True))
    return [scored(tokens) for tokens in found]


def _forward(loaded: Loaded, ids: Sequence[Sequence[int]], cache: Any, *, whole: bool = False) -> Any:
    tokens = torch.tensor([list(row) for row in ids], device=loaded.device)
    given = {cache_argument(loaded.model): cache}
    return loaded.model(input_ids=tokens, **given, use_cache=not whole, logits_to_keep=0 if whole else 1)


def cache_argument(model: torch.nn.Module) -> str:
    """What this model's forward calls its cache: newer transformers warn about the old name."""
    return "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"


def cache_in(model: torch.nn.Module, output: Any) -> Any:
    """What a forward of this model kept, under the name that this model uses."""
    return getattr(output, cache_argument(model))


def _equal(items: Sequence[T], lengths: Sequence[int], batch_size: int) -> Iterator[list[T]]:
    groups: dict[int, list[T]] = defaultdict(list)
    for item, length in zip(items, lengths, strict=True):
        groups[length].append(item)
    for _, group in sorted(groups.items()):
        for start in range(0, len(group), batch_size):
            yield group[start : start + batch_size]
