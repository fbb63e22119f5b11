"""Rows of tokens without padding: a forward over whole rows, and the rows that are being decoded.

`Rows` attends within rows that are computed at once (chains, or trees of several continuations of one context);
`Pool` holds the keys and values of rows that grow by one token a step. Both are the `Own` part of a Step.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from knowpack.model.attention import HIDDEN, Attended, KeyValue, attend_dense


class Tree(NamedTuple):
    """Tokens of one row; token i follows token parents[i] (-1: it follows the prefix). Parents come first."""

    ids: Sequence[int]
    parents: Sequence[int] | None = None
    """None: a chain, each token follows the one before."""


@dataclass
class Rows:
    """Packed rows that are computed at once; keeps their keys and values where asked."""

    ids: Tensor  # (tokens,)
    positions: Tensor  # (tokens,), from 0 at the start of the row
    longest: int
    gather: Tensor  # (rows * longest,), packed index of each cell of the padded block; 0 in the padding
    scatter: Tensor  # (tokens,), cell of each packed token
    mask: Tensor  # (rows or 1, longest, longest), additive
    starts: list[int]
    """Packed index of each row's first token."""
    kept: list[KeyValue] | None = None
    """Filled by the forward, layer by layer, where it is a list."""

    def attend(self, layer: int, query: Tensor, kv: KeyValue, scaling: float, window: int | None) -> Attended:
        """Attention of every token to its ancestors in the row and itself."""
        if self.kept is not None:
            self.kept.append(kv)
        n_rows = len(self.starts)
        q, k, v = (self._padded(x, n_rows) for x in (query, kv.keys, kv.values))
        out, lse = attend_dense(q, k, v, scaling, self._mask(window))
        out = out.transpose(1, 2).reshape(n_rows * self.longest, query.shape[1], -1)
        lse = lse.transpose(1, 2).reshape(n_rows * self.longest, -1)
        return Attended(out.index_select(0, self.scatter), lse.index_select(0, self.scatter))

    def _padded(self, packed: Tensor, n_rows: int) -> Tensor:  # (tokens, h, d) -> (rows, h, longest, d)
        block = packed.index_select(0, self.gather)
        return block.view(n_rows, self.longest, *packed.shape[1:]).transpose(1, 2)

    def _mask(self, window: int | None) -> Tensor:
        if window is None or self.longest <= window:
            return self.mask
        place = self.positions.index_select(0, self.gather).view(-1, self.longest)
        far = place[:, :, None] - place[:, None, :] >= window
        return self.mask.masked_fill(far, HIDDEN)


def pack(trees: Sequence[Tree], device: torch.device, *, keep: bool = False) -> Rows:
    """Rows of tokens -> one packed sequence and how to attend within its rows."""
    lengths = [len(tree.ids) for tree in trees]
    longest, starts = max(lengths), np.cumsum([0, *lengths[:-1]]).tolist()
    row = np.repeat(np.arange(len(trees)), lengths)
    place = np.concatenate([np.arange(n) for n in lengths])
    cells = row * longest + place
    gather = np.zeros(len(trees) * longest, dtype=np.int64)
    gather[cells] = np.arange(len(cells))
    chains = all(tree.parents is None for tree in trees)
    if chains:
        mask = np.triu(np.full((1, longest, longest), HIDDEN, dtype=np.float32), 1)
        depth = place
    else:
        shapes = [_shape(tree, longest) for tree in trees]
        mask = np.stack([shape.mask for shape in shapes])
        depth = np.concatenate([shape.depth for shape in shapes])
    flat = np.fromiter((token for tree in trees for token in tree.ids), dtype=np.int64, count=len(cells))
    ids, positions, to_gather, to_scatter, to_mask = (
        torch.from_numpy(array).to(device) for array in (flat, depth, gather, cells, mask)
    )
    return Rows(ids, positions, longest, to_gather, to_scatter, to_mask, starts, [] if keep else None)


class _Shape(NamedTuple):
    depth: NDArray[np.int64]
    mask: NDArray[np.float32]


def _shape(tree: Tree, longest: int) -> _Shape:
    n = len(tree.ids)
    parents = range(-1, n - 1) if tree.parents is None else tree.parents
    seen = np.zeros((longest, longest), dtype=bool)
    depth = np.zeros(n, dtype=np.int64)
    for token, parent in enumerate(parents):
        if parent >= 0:
            seen[token] = seen[parent]
            depth[token] = depth[parent] + 1
        seen[token, token] = True
    seen[n:, 0] = True  # padding sees something, or its softmax is not a number; nobody reads it
    return _Shape(depth, np.where(seen, np.float32(0), np.float32(HIDDEN)))


@dataclass
class Pool:
    """Rows that grow by a token a step: their keys and values, (rows, kv_heads, capacity, head_dim) a layer."""

    layers: list[KeyValue]
    lengths: Tensor  # (rows,), tokens of each row that are in the cache
    n: int = 0
    """Rows in use: the first n."""
    longest: int = 0
    """Upper bound of the lengths in use."""
    masks: dict[int | None, Tensor] = field(default_factory=dict)

    def begin(self) -> None:
        """Call before each step: the mask and the places are of this step."""
        self.masks.clear()
        self.longest += 1

    def attend(self, layer: int, query: Tensor, kv: KeyValue, scaling: float, window: int | None) -> Attended:
        """One token a row, written into its row and attending to all of it."""
        keys, values = self.layers[layer]
        rows, places = torch.arange(self.n, device=query.device), self.lengths[: self.n]
        keys[rows, :, places] = kv.keys
        values[rows, :, places] = kv.values
        seen_keys, seen_values = (x[: self.n, :, : self.longest] for x in (keys, values))
        out, lse = attend_dense(query[:, :, None], seen_keys, seen_values, scaling, self._mask(window))
        return Attended(out[:, :, 0], lse[:, :, 0])

    def end(self) -> None:
        """Call after each step: every row has a token more."""
        self.lengths[: self.n] += 1

    def _mask(self, window: int | None) -> Tensor:  # (rows, 1, longest)
        if window not in self.masks:
            place = torch.arange(self.longest, device=self.lengths.device)
            ago = self.lengths[: self.n, None] - place
            hidden = (ago < 0) if window is None else (ago < 0) | (ago >= window)
            mask = torch.zeros(hidden.shape, device=hidden.device).masked_fill_(hidden, HIDDEN)
            self.masks[window] = mask[:, None]
        return self.masks[window]

    def admit(self, rows: Rows, chosen: Sequence[int], lengths: Sequence[int]) -> None:
        """Take over the first lengths[i] tokens of rows[chosen[i]], behind the rows in use."""
        counts = np.asarray(lengths)
        begins = np.asarray([rows.starts[row] for row in chosen])
        place = np.concatenate([np.arange(count) for count in counts])
        device = self.lengths.device
        packed = torch.from_numpy(np.repeat(begins, counts) + place).to(device)
        row = torch.from_numpy(np.repeat(np.arange(self.n, self.n + len(chosen)), counts)).to(device)
        slot = torch.from_numpy(place).to(device)
        assert rows.kept is not None, "rows packed without keep"
        for own, kv in zip(self.layers, rows.kept, strict=True):
            own.keys[row, :, slot] = kv.keys.index_select(0, packed)
            own.values[row, :, slot] = kv.values.index_select(0, packed)
        self.lengths[self.n : self.n + len(chosen)] = torch.from_numpy(counts).to(device)
        self.n += len(chosen)
        self.longest = max(self.longest, int(counts.max()))

    def retire(self, keep: Sequence[int]) -> list[int]:
        """Only these rows stay; the last of them move into the holes. Returns the new order of the kept rows."""
        staying, n = set(keep), len(keep)
        holes = [row for row in range(n) if row not in staying]
        moved = [row for row in keep if row >= n]
        if holes:
            to, source = (torch.tensor(x, device=self.lengths.device) for x in (holes, moved))
            for kv in self.layers:
                kv.keys[to] = kv.keys[source]
                kv.values[to] = kv.values[source]
            self.lengths[to] = self.lengths[source]
        filled = dict(zip(holes, moved, strict=True))
        self.n = n
        self.longest = int(self.lengths[:n].max()) if n else 0
        return [filled.get(row, row) for row in range(n)]
