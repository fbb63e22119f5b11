"""Log-probabilities of continuations behind one prefix: rows of tokens, and what is asked of each.

prefix ids + rows with their targets -> each continuation's log-probability in nats, token by token, and whether it is
the greedy one. The prefix is computed once. (Benchmarks, whose requests share beginnings of many lengths, go through
forest.py and packed.py.)
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from knowpack.decode.attention import Prefix
from knowpack.decode.forward import Forward
from knowpack.decode.passes import highest
from knowpack.decode.rows import Tree
from knowpack.model.memory import within_memory
from knowpack.probe.askers import check_logprobs

LOGITS_AT_ONCE = 1 << 26  # numbers in one block of logits

Request = tuple[Sequence[int], Sequence[int]]
"""(context ids, continuation ids)"""


class ScoredContinuation(NamedTuple):
    """How likely a continuation is after its context."""

    logprob: float
    """Nats, summed over the tokens."""
    n_tokens: int
    greedy: bool
    """Every token is the most likely one in its place."""
    token_logprobs: tuple[float, ...]
    """Nats, a token each."""


@dataclass
class TargetRow:
    """A tree of tokens under a prefix, and what is asked of it."""

    tree: Tree
    targets: list[tuple[int, int, int]] = field(default_factory=list)
    """(place in the tree, token asked for after it, request that asks); in the order of the request's tokens."""


def score_rows(
    forward: Forward, ids: Sequence[int], rows: list[TargetRow], n: int, free: Callable[[], None]
) -> list[ScoredContinuation]:
    """Score n requests whose rows are built already, all under the prefix `ids`. free: called where memory runs out."""
    scores: list[list[tuple[float, bool]]] = [[] for _ in range(n)]
    with forward.session():
        prefix = forward.prefix(ids, free)
        batches = _batches(rows, forward.tokens_at_once, _most_targets(forward))
        for answers in within_memory(batches, lambda batch: _score_rows(forward, prefix, batch), free):
            for request, logprob, best in answers:
                scores[request].append((logprob, best))
    return [scored(tokens, forward.loaded.name) for tokens in scores]


def scored(tokens: list[tuple[float, bool]], name: str) -> ScoredContinuation:
    """Tokens with their log-probability and greediness. Raises ModelError where one is no number; name: the model's."""
    logprobs = tuple(logprob for logprob, _ in tokens)
    check_logprobs(logprobs, name)
    return ScoredContinuation(sum(logprobs), len(tokens), all(greedy for _, greedy in tokens), logprobs)


def _most_targets(forward: Forward) -> int:
    return max(1, LOGITS_AT_ONCE // forward.loaded.n_vocabulary)


def _score_rows(forward: Forward, prefix: Prefix | None, batch: list[TargetRow]) -> list[tuple[int, float, bool]]:
    """One forward over a batch of rows -> (request, logprob, greedy) of all that was asked, row by row."""
    targets = [sorted({place for place, _, _ in row.targets}) for row in batch]
    logits = forward.rows(prefix, [row.tree for row in batch], targets).logits.float()  # (wanted, vocabulary)
    at, tokens, requests, first = [], [], [], 0
    for row, places in zip(batch, targets, strict=True):
        index = {place: first + i for i, place in enumerate(places)}
        first += len(places)
        for place, token, request in row.targets:
            at.append(index[place])
            tokens.append(token)
            requests.append(request)
    where = torch.tensor(at, device=logits.device)
    target_ids = torch.tensor(tokens, device=logits.device)
    chosen = logits[where, target_ids]
    logprobs = (chosen - logits.logsumexp(-1)[where]).tolist()
    greedy = (highest(logits)[where] == target_ids).tolist()
    return list(zip(requests, logprobs, greedy, strict=True))


def _batches(rows: list[TargetRow], most_tokens: int, most_targets: int) -> Iterator[list[TargetRow]]:
    """Rows of like length together, within a budget of tokens and of logits (one row at least)."""
    batch: list[TargetRow] = []
    tokens = targets = 0
    for row in sorted(rows, key=lambda row: len(row.tree.ids)):
        places = len({place for place, _, _ in row.targets})
        if batch and (tokens + len(row.tree.ids) > most_tokens or targets + places > most_targets):
            yield batch
            batch, tokens, targets = [], 0, 0
        batch.append(row)
        tokens += len(row.tree.ids)
        targets += places
    if batch:
        yield batch
