"""Log-probabilities of continuations; requests that begin alike are computed together.

(context ids, continuation ids) -> the continuation's log-probability in nats, token by token, and whether it is the
greedy one. What requests share is computed once: long common beginnings as prefixes whose keys and values are kept
(few-shot blocks), short ones as trees of tokens in one forward (a question and its choices; choices of one token
are all read from the same place). Nothing is truncated: that is the caller's business.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import torch

from knowpack.model.attention import Prefix
from knowpack.model.forward import Forward
from knowpack.model.load import Loaded
from knowpack.model.passes import highest
from knowpack.model.rows import Tree
from knowpack.progress import SILENT, Progress

TREE_TOKENS = 256  # a beginning with more tokens than this behind it becomes a prefix
LOGITS_AT_ONCE = 1 << 26  # numbers in one block of logits

Request = tuple[Sequence[int], Sequence[int]]


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


class _Asked(NamedTuple):
    ids: tuple[int, ...]  # all tokens that are fed: context and continuation without its last token
    n_context: int
    continuation: tuple[int, ...]
    request: int


def score(loaded: Loaded, requests: Sequence[Request], *, progress: Progress = SILENT) -> list[ScoredContinuation]:
    """Score every request; results in the order of the requests. Contexts must not be empty."""
    return score_with(Forward(loaded), requests, progress=progress)


def score_with(
    forward: Forward, requests: Sequence[Request], *, progress: Progress = SILENT
) -> list[ScoredContinuation]:
    """`score` with a Forward whose prefixes are kept from call to call."""
    if any(not context for context, _ in requests):
        raise ValueError("an empty context: begin with the tokenizer's first token (BOS)")
    if not forward.shared:
        from knowpack.model.copied import score_copied

        return score_copied(forward.loaded, requests)
    asked = sorted(
        _Asked((*context, *continuation[:-1]), len(context), tuple(continuation), i)
        for i, (context, continuation) in enumerate(requests)
        if continuation
    )
    found: list[list[tuple[float, bool]]] = [[] for _ in requests]
    with progress.stage("scoring", len(requests)) as advance, forward.session():
        for ids, rows in _blocks(asked, 0):
            prefix = forward.prefix(ids)
            for batch in _batches(rows, forward.tokens_at_once, _most_targets(forward)):
                _score_rows(forward, prefix, batch, found)
                advance(len({request for row in batch for _, _, request in row.targets}))
    return [scored(tokens) for tokens in found]


def score_rows(forward: Forward, ids: Sequence[int], rows: list[TargetRow], n: int) -> list[ScoredContinuation]:
    """Score n requests whose rows are built already, all under the prefix `ids`."""
    found: list[list[tuple[float, bool]]] = [[] for _ in range(n)]
    with forward.session():
        prefix = forward.prefix(ids)
        for batch in _batches(rows, forward.tokens_at_once, _most_targets(forward)):
            _score_rows(forward, prefix, batch, found)
    return [scored(tokens) for tokens in found]


def scored(tokens: list[tuple[float, bool]]) -> ScoredContinuation:
    logprobs = tuple(logprob for logprob, _ in tokens)
    return ScoredContinuation(sum(logprobs), len(tokens), all(greedy for _, greedy in tokens), logprobs)


def _most_targets(forward: Forward) -> int:
    return max(1, LOGITS_AT_ONCE // forward.loaded.n_vocabulary)


def _score_rows(
    forward: Forward, prefix: Prefix | None, batch: list[TargetRow], found: list[list[tuple[float, bool]]]
) -> None:
    """One forward over a batch of rows; what was asked goes into `found`, request by request."""
    wanted = [sorted({place for place, _, _ in row.targets}) for row in batch]
    logits = forward.rows(prefix, [row.tree for row in batch], wanted).logits.float()  # (wanted, vocabulary)
    at, tokens, requests, first = [], [], [], 0
    for row, places in zip(batch, wanted, strict=True):
        index = {place: first + i for i, place in enumerate(places)}
        first += len(places)
        for place, token, request in row.targets:
            at.append(index[place])
            tokens.append(token)
            requests.append(request)
    where = torch.tensor(at, device=logits.device)
    asked = torch.tensor(tokens, device=logits.device)
    chosen = logits[where, asked]
    logprobs = (chosen - logits.logsumexp(-1)[where]).tolist()
    greedy = (highest(logits)[where] == asked).tolist()
    for request, logprob, best in zip(requests, logprobs, greedy, strict=True):
        found[request].append((logprob, best))


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


def _blocks(asked: list[_Asked], depth: int) -> Iterator[tuple[tuple[int, ...], list[TargetRow]]]:
    """Sorted requests that share their first `depth` tokens -> prefixes to keep, each with its rows."""
    if not asked:
        return
    depth = max(depth, _shared(asked))
    rows, deeper = [], []
    for group in _alike(asked, depth):
        if _behind(group, depth) > TREE_TOKENS:
            deeper.append(group)
        else:
            rows.append(_row(group, depth))
    yield asked[0].ids[:depth], rows  # also without rows: deeper prefixes are extended from this one
    for group in deeper:
        yield from _blocks(group, depth)


def _behind(group: list[_Asked], depth: int) -> int:
    """Tokens of the group's tree behind what could be a longer prefix of it; 0 where there is no longer prefix."""
    shared = _shared(group)
    if len(group) == 1 or shared <= depth:
        return 0
    behind = len(group[0].ids) - shared
    for before, one in pairwise(group):
        behind += len(one.ids) - max(shared, _common(before.ids, one.ids))
    return behind


def _shared(group: list[_Asked]) -> int:
    """The longest beginning of all sorted requests that leaves each a token of its context."""
    return min(_common(group[0].ids, group[-1].ids), min(one.n_context for one in group) - 1)


def _alike(asked: list[_Asked], depth: int) -> Iterator[list[_Asked]]:
    """Neighbours that go on with the same token after `depth`."""
    group: list[_Asked] = []
    for one in asked:
        if group and group[-1].ids[depth] != one.ids[depth]:
            yield group
            group = []
        group.append(one)
    if group:
        yield group


def _common(first: tuple[int, ...], second: tuple[int, ...]) -> int:
    n = min(len(first), len(second))
    return next((i for i in range(n) if first[i] != second[i]), n)


def _row(group: list[_Asked], depth: int) -> TargetRow:
    """Sorted requests -> one tree of their tokens after `depth`; a token that is shared stands once."""
    ids: list[int] = []
    parents: list[int] = []
    targets: list[tuple[int, int, int]] = []
    path: list[int] = []  # the place of each token of the request before
    before: tuple[int, ...] = ()
    for one in group:
        tail = one.ids[depth:]
        path = path[: _common(before, tail)]
        for token in tail[len(path) :]:
            parents.append(path[-1] if path else -1)
            path.append(len(ids))
            ids.append(token)
        begin = one.n_context - 1 - depth
        targets.extend((path[begin + i], token, one.request) for i, token in enumerate(one.continuation))
        before = tail
    chain = all(parent == place - 1 for place, parent in enumerate(parents))
    return TargetRow(Tree(ids, None if chain else parents), targets)
