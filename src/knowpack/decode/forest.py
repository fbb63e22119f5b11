"""Which tokens of a benchmark need computing: requests -> trunks (long prefixes) with rows (small trees) behind them.

Every distinct token of the requests' prefix tree is computed once, but for short stretches where sharing would cost
more than it saves. A trunk is computed alone and its keys and values are kept while its rows are scored: few-shot
examples, the instructions of a task. A row is a whole subtree that goes through the model at once: a question with
all its choices. No torch here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SMALL_ROW = 128  # a subtree of so few tokens is one row, whatever its shape
MOST_ROW = 2048  # no row of several requests is longer
TRUNK_TOKENS = 16  # a shorter common stretch is repeated rather than shared: long rows pay in attention
TRUNK_BEHIND = 384  # a common stretch becomes a trunk where more tokens than this stand behind it

Tokens = NDArray[np.uint32]


class Request(NamedTuple):
    """Score each target given all before it; the last tokens fed are the targets but the last."""

    fed: bytes
    """Context and targets without the last one, 4 bytes a token, big-endian: bytes sort as the tokens do."""
    targets: tuple[int, ...]


def request(context: Sequence[int], targets: Sequence[int], n_fed: int | None = None) -> Request:
    """Context and targets, both not empty -> Request; only the last n_fed tokens are fed where given."""
    fed = np.asarray([*context, *targets[:-1]], dtype=">u4")
    return Request(fed[-n_fed if n_fed else 0 :].tobytes(), tuple(targets))


def n_tokens(request: Request) -> int:
    """Tokens of a request, its last target counted in."""
    return len(request.fed) // 4 + 1


def apart(request: Request) -> tuple[list[int], list[int]]:
    """What `request` was made of, as far as it is fed: context ids, targets."""
    fed: list[int] = np.frombuffer(request.fed, dtype=">u4").tolist()
    return fed[: len(fed) - len(request.targets) + 1], list(request.targets)


class Want(NamedTuple):
    """Where in its row the scores of a request are found."""

    request: int
    places: tuple[int, ...]
    """Tokens of the row after which the scored tokens come."""
    targets: tuple[int, ...]
    """The scored tokens."""


@dataclass(frozen=True)
class Row:
    """A subtree: token i follows token parents[i]; -1: it follows the trunk."""

    ids: list[int]
    parents: list[int]
    wants: list[Want]


@dataclass(frozen=True)
class Trunk:
    """A shared prefix: its parent's tokens, then its own."""

    ids: tuple[int, ...]
    """Its own tokens, after the parent's."""
    depth: int
    """Length with all parents'."""
    rows: list[Row] = field(default_factory=list)
    children: list["Trunk"] = field(default_factory=list)


@dataclass(frozen=True)
class _Sorted:
    """The distinct inputs, sorted, with their common prefixes."""

    inputs: list[Tokens]
    requests: list[list[int]]
    lengths: NDArray[np.int64]
    starts: NDArray[np.int64]
    """First token whose successor is scored."""
    shared: NDArray[np.int64]
    """Length of the common prefix with the input before."""
    total: NDArray[np.int64]
    """Sum over the inputs before of the tokens that are not shared."""


def plan(requests: Sequence[Request]) -> Trunk:
    """Requests, each with at least one scored token after at least one token -> the forest's root (depth 0)."""
    table = _sort(requests)
    root = Trunk((), 0)
    stack = [(0, len(table.inputs), root)]
    while stack:
        low, high, trunk = stack.pop()
        between = table.shared[low + 1 : high]
        shared = int(between.min()) if between.size else int(table.lengths[low])
        if _one_row(table, low, high, shared - trunk.depth, trunk.depth):
            trunk.rows.append(_row(requests, table, low, high, trunk.depth))
            continue
        depth = min(shared, int(table.starts[low:high].min()))
        if depth - trunk.depth >= TRUNK_TOKENS:
            child = Trunk(tuple(table.inputs[low][trunk.depth : depth].tolist()), depth)
            trunk.children.append(child)
            stack.append((low, high, child))
            continue
        bounds = [low, *(low + 1 + np.flatnonzero(between == shared)).tolist(), high]
        stack += [(a, b, trunk) for a, b in reversed(list(pairwise(bounds)))]
    return root


def _one_row(table: _Sorted, low: int, high: int, common: int, depth: int) -> bool:
    """Whether the inputs low..high, all with `common` tokens after depth, go through the model as one row.

    How many nodes their prefix tree has below depth: let the inputs be x_low < ... < x_(high-1), sorted by their
    tokens. The first brings len(x_low) - depth nodes. A later x_j brings those of its tokens that lie beyond its
    longest common prefix with any input before it; in sorted order no input before is closer than its neighbour
    x_(j-1), so these are len(x_j) - shared[j]. With total[i] = sum over j < i of (len(x_j) - shared[j]) the sum is
        n = len(x_low) - depth + total[high] - total[low + 1],
    in constant time for any low and high.
    """
    n_tokens = int(table.lengths[low] - depth + table.total[high] - table.total[low + 1])
    if high - low == 1 or n_tokens <= SMALL_ROW:
        return True
    return common >= TRUNK_TOKENS and n_tokens - common <= TRUNK_BEHIND and n_tokens <= MOST_ROW


def _sort(requests: Sequence[Request]) -> _Sorted:
    by_context: dict[bytes, list[int]] = {}
    for number, each in enumerate(requests):
        by_context.setdefault(each.fed, []).append(number)
    keys = sorted(by_context)
    inputs = [np.frombuffer(key, dtype=">u4") for key in keys]
    lengths = np.array([len(tokens) for tokens in inputs], dtype=np.int64)
    members = [by_context[key] for key in keys]
    scored = np.array([max(len(requests[i].targets) for i in group) for group in members], dtype=np.int64)
    shared = np.array([0, *(_common(a, b) for a, b in pairwise(inputs))], dtype=np.int64)
    total = np.concatenate([[0], np.cumsum(lengths - shared[: len(lengths)])])
    return _Sorted(inputs, members, lengths, lengths - scored, shared, total)


def _common(a: Tokens, b: Tokens) -> int:
    n = min(len(a), len(b))
    differ = a[:n] != b[:n]
    return int(differ.argmax()) if differ.any() else n


def _row(requests: Sequence[Request], table: _Sorted, low: int, high: int, depth: int) -> Row:
    ids: list[int] = []
    parents: list[int] = []
    wants = []
    path: list[int] = []  # places in the row of the tokens of the current input
    for number in range(low, high):
        keep = int(table.shared[number]) - depth if number > low else 0
        new = table.inputs[number][depth + keep :].tolist()
        path = path[:keep]
        if new:
            first = len(ids)
            parents += [path[-1] if path else -1, *range(first, first + len(new) - 1)]
            path += range(first, first + len(new))
            ids += new
        for index in table.requests[number]:
            targets = requests[index].targets
            wants.append(Want(index, tuple(path[-len(targets) :]), targets))
    return Row(ids, parents, wants)
