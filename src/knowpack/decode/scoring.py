"""Log-probabilities of continuations behind one prefix: rows of tokens, and what is asked of each.

prefix ids + rows with their targets -> each continuation's log-probability in nats, token by token, and whether it is
the greedy one. The prefix is computed once. (Benchmarks, whose requests share beginnings of many lengths, go through
forest.py and packed.py.)
"""

from collections.abc import Callable, Iterator, Sequence
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


class ScoredToken(NamedTuple):
    """One token of a continuation."""

    logprob: float
    """Nats."""
    greedy: bool
    """It is the most likely one in its place."""


class Target(NamedTuple):
    """A token whose log-probability is asked for."""

    place: int
    """In the tree: the token stands after it."""
    token: int
    request: int
    """Number of the request that asks."""


class TargetRow(NamedTuple):
    """A tree of tokens under a prefix, and what is asked of it."""

    tree: Tree
    targets: list[Target]
    """In the order of the request's tokens."""


def score_rows(
    forward: Forward, ids: Sequence[int], rows: list[TargetRow], n: int, free: Callable[[], None]
) -> list[ScoredContinuation]:
    """Score n requests whose rows are built already, all under the prefix `ids`. free: called where memory runs out."""
    scores: list[list[ScoredToken]] = [[] for _ in range(n)]
    with forward.session():
        prefix = forward.prefix(ids, free)
        batches = _batches(rows, forward.tokens_at_once, _most_targets(forward))
        for answers in within_memory(batches, lambda batch: _score_rows(forward, prefix, batch), free):
            for request, token in answers:
                scores[request].append(token)
    return [scored(tokens, forward.loaded.name) for tokens in scores]


def scored(tokens: list[ScoredToken], name: str) -> ScoredContinuation:
    """The continuation of these tokens. Raises ModelError where a log-probability is no number; name: the model's."""
    logprobs = tuple(token.logprob for token in tokens)
    check_logprobs(logprobs, name)
    return ScoredContinuation(sum(logprobs), len(tokens), all(token.greedy for token in tokens), logprobs)


def _most_targets(forward: Forward) -> int:
    return max(1, LOGITS_AT_ONCE // forward.loaded.n_vocabulary)


def _score_rows(forward: Forward, prefix: Prefix | None, batch: list[TargetRow]) -> list[tuple[int, ScoredToken]]:
    """One forward over a batch of rows -> all that was asked, row by row, each with its request."""
    places = [sorted({target.place for target in row.targets}) for row in batch]
    logits = forward.rows(prefix, [row.tree for row in batch], places).logits.float()  # (places, vocabulary)
    lines = {key: line for line, key in enumerate((n, place) for n, wanted in enumerate(places) for place in wanted)}
    targets = [(n, target) for n, row in enumerate(batch) for target in row.targets]
    where = torch.tensor([lines[n, target.place] for n, target in targets], device=logits.device)
    target_ids = torch.tensor([target.token for _, target in targets], device=logits.device)
    chosen = logits[where, target_ids]
    logprobs = (chosen - logits.logsumexp(-1)[where]).tolist()
    greedy = (highest(logits)[where] == target_ids).tolist()
    scores = map(ScoredToken, logprobs, greedy)
    return [(target.request, token) for (_, target), token in zip(targets, scores, strict=True)]


def _batches(rows: list[TargetRow], most_tokens: int, most_targets: int) -> Iterator[list[TargetRow]]:
    """Rows of like length together, within a budget of tokens and of logits (one row at least)."""
    batch: list[TargetRow] = []
    tokens = targets = 0
    for row in sorted(rows, key=lambda row: len(row.tree.ids)):
        places = len({target.place for target in row.targets})
        if batch and (tokens + len(row.tree.ids) > most_tokens or targets + places > most_targets):
            yield batch
            batch, tokens, targets = [], 0, 0
        batch.append(row)
        tokens += len(row.tree.ids)
        targets += places
    if batch:
        yield batch
