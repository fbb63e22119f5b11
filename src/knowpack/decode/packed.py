"""Scores requests by one forward over each part of the forest: (Forward, requests) -> log-probabilities.

A trunk's keys and values are computed once; rows go through the model packed side by side, without padding, each
token seeing its trunk and its ancestors in the row (forward.py). The vocabulary is computed only where a token
is scored. Sums are in nats, softmax in float32.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from knowpack.decode import forest
from knowpack.decode.attention import Prefix
from knowpack.decode.forest import Request, Row, Trunk
from knowpack.decode.forward import Forward
from knowpack.decode.passes import highest
from knowpack.decode.rows import Tree
from knowpack.decode.whole_prompts import score_whole
from knowpack.model.loaded import Loaded
from knowpack.model.memory import within_memory
from knowpack.probe.askers import check_logprobs

REQUESTS_APART = 256  # between two writings of the journal, where each request is computed whole
SOFTMAX_ROWS = 64  # logits that become log-probabilities at once


class Scored(NamedTuple):
    """One request's answer."""

    request: int
    logprob: float
    """Sum over the scored tokens, nats."""
    greedy: bool
    """Every scored token is the most probable one."""


Done = Callable[[list[Scored]], None]


def score(
    forward: Forward,
    requests: Sequence[Request],
    *,
    n_tokens: int = 2048,
    done: Done,
    free: Callable[[], None] | None = None,
) -> None:
    """Score all requests; `done` gets them batch by batch, in the forest's order.

    n_tokens: cells of one forward, at most (a longer row goes alone). `Ways` must say that prefixes are shared. free:
    called where memory runs out, to drop what can be computed again.
    """
    if requests:
        with forward.session():
            _descend(forward, forest.plan(requests), None, n_tokens, done, free)


def score_apart(loaded: Loaded, requests: Sequence[Request], *, done: Done) -> None:
    """The same for models that cannot share a prefix: each request whole, a few at a time."""
    order = sorted(range(len(requests)), key=lambda i: len(requests[i].fed))
    for begin in range(0, len(order), REQUESTS_APART):
        some = order[begin : begin + REQUESTS_APART]
        scores = score_whole(loaded, [forest.apart(requests[i]) for i in some])
        done([Scored(i, one.logprob, one.greedy) for i, one in zip(some, scores, strict=True)])


def _descend(
    forward: Forward,
    trunk: Trunk,
    above: Prefix | None,
    n_tokens: int,
    done: Done,
    free: Callable[[], None] | None,
) -> None:
    """Depth first, so that only the trunks on the way down are in memory."""
    prefix = forward.extend(above, trunk.ids, free)
    batches = _batches(trunk.rows, n_tokens)
    for scores in within_memory(batches, lambda rows: _score_rows(forward, rows, prefix), free):
        done(scores)
    for child in trunk.children:
        _descend(forward, child, prefix, n_tokens, done, free)


def _batches(rows: Sequence[Row], n_tokens: int) -> Iterator[list[Row]]:
    """Rows of like length together, up to n_tokens (counted as padded to the longest: attention in a row is)."""
    batch: list[Row] = []
    for row in sorted(rows, key=lambda row: -len(row.ids)):
        if batch and (len(batch) + 1) * len(batch[0].ids) > n_tokens:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _score_rows(forward: Forward, batch: Sequence[Row], prefix: Prefix | None) -> list[Scored]:
    wanted = [sorted({place for want in row.wants for place in want.places}) for row in batch]
    logits = forward.rows(prefix, [_tree(row) for row in batch], wanted).logits  # (places, vocab)
    number: dict[tuple[int, int], int] = {}  # (row, place) -> line of the logits
    for n, places in enumerate(wanted):
        for place in places:
            number[n, place] = len(number)
    wants = [(n, want) for n, row in enumerate(batch) for want in row.wants]
    lines = torch.tensor([number[n, place] for n, want in wants for place in want.places], device=logits.device)
    targets = torch.tensor([token for _, want in wants for token in want.targets], device=logits.device)
    normaliser, best = _softmax_parts(logits)
    logprobs = (logits[lines, targets].float() - normaliser[lines]).double().cpu()
    hits = (best[lines] == targets).cpu()
    check_logprobs(logprobs.tolist(), forward.loaded.name)
    counts = [len(want.places) for _, want in wants]
    parts = zip(wants, torch.split(logprobs, counts), torch.split(hits, counts), strict=True)
    return [Scored(want.request, float(each.sum()), bool(hit.all())) for (_, want), each, hit in parts]


def _tree(row: Row) -> Tree:
    chain = row.parents == list(range(-1, len(row.ids) - 1))
    return Tree(row.ids, None if chain else row.parents)


def _softmax_parts(logits: Tensor) -> tuple[Tensor, Tensor]:
    """(n, vocab) -> log-sum-exp and most probable token of each, a few at a time: no second copy of the logits."""
    parts = torch.split(logits, SOFTMAX_ROWS)
    sums = torch.cat([part.float().logsumexp(-1) for part in parts])
    return sums, torch.cat([highest(part) for part in parts])
