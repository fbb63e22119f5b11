"""Rows of tokens without padding, computed at once: chains, or trees of several continuations of one context.

rows of ids -> `Rows`, the `RowAttention` of a Step: it attends within each row, and keeps keys and values where asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from knowpack.decode import products
from knowpack.decode.kernels import HIDDEN, Attended, KeyValue, attend_dense, flash, has_flash


class Tree(NamedTuple):
    """Tokens of one row; token i follows token parents[i] (-1: it follows the prefix). Parents come first."""

    ids: Sequence[int]
    parents: Sequence[int] | None = None
    """None: a chain, each token follows the one before."""


class Run(NamedTuple):
    """Chains of the same length beside each other: one block (n, length), nothing padded."""

    start: int
    """Packed index of the first token."""
    n: int
    length: int


@dataclass
class Rows:
    """Packed rows that are computed at once; keeps their keys and values where asked.

    Behind the last row's tokens stand a few that nobody reads, so that few numbers of tokens occur (see `rounded`).
    """

    ids: Tensor  # (tokens,)
    positions: Tensor  # (tokens,), from 0 at the start of the row
    longest: int
    gather: Tensor  # (rows * longest,), packed index of each cell of the padded block; 0 in the padding
    scatter: Tensor  # (tokens,), cell of each packed token
    mask: Tensor  # (rows or 1, longest, longest), additive
    starts: list[int]
    """Packed index of each row's first token."""
    runs: list[Run] | None = None
    """Where all rows are chains."""
    kept: list[KeyValue] | None = None
    """Filled by the forward, layer by layer, where it is a list."""

    indices: dict[tuple[int, bool], Tensor] = field(default_factory=dict)
    masks: dict[tuple[int | None, int, int], Tensor] = field(default_factory=dict)

    def attend(self, layer: int, query: Tensor, kv: KeyValue, scaling: float, window: int | None) -> Attended:
        """Attention of every token to its ancestors in the row and itself."""
        if self.kept is not None:
            self.kept.append(kv)
        if self.runs and has_flash(query, kv) and (window is None or self.longest <= window):
            return self._by_runs(self.runs, query, kv, scaling)
        (tokens, heads, _), kv_heads = query.shape, kv.keys.shape[1]
        q = self._padded(query).view(len(self.starts) * kv_heads, -1, query.shape[2])
        k, v = (self._padded(x).view(q.shape[0], self.longest, x.shape[2]) for x in kv)
        part = attend_dense(q, k, v, scaling, self._mask(window, heads, kv_heads))
        index = self._index(heads, padded=False)
        out = part.out.view(-1, v.shape[2]).index_select(0, index).view(tokens, heads, -1)
        lse, share = (x.view(-1).index_select(0, index).view(tokens, heads) for x in (part.lse, part.share))
        return Attended(out, lse, share)

    def _by_runs(self, runs: list[Run], query: Tensor, kv: KeyValue, scaling: float) -> Attended:
        """Chains of one length at once: neither padded nor moved."""
        outs, sums = [], []
        for start, n, length in runs:
            q, k, v = (x[start : start + n * length].view(n, length, *x.shape[1:]) for x in (query, *kv))
            part = flash(q, k, v, scaling, causal=True)
            outs.append(part.out.flatten(0, 1))
            sums.append(part.lse.flatten(0, 1))
        spare = len(query) - sum(len(out) for out in outs)
        outs.append(query.new_zeros(spare, *query.shape[1:]))
        sums.append(sums[0].new_zeros(spare, query.shape[1]))
        return Attended(torch.cat(outs), torch.cat(sums))

    def _padded(self, packed: Tensor) -> Tensor:  # (tokens, h, d) -> (rows * h * longest, d)
        flat = packed.reshape(-1, packed.shape[2])
        return flat.index_select(0, self._index(packed.shape[1], padded=True))

    def _index(self, heads: int, *, padded: bool) -> Tensor:
        """For each (row, head, place) its packed (token, head); or, not padded, the other way round."""
        if (heads, padded) not in self.indices:
            head = torch.arange(heads, device=self.ids.device)
            if padded:
                index = self.gather.view(-1, 1, self.longest) * heads + head[:, None]
            else:
                row, place = self.scatter // self.longest, self.scatter % self.longest
                index = (row[:, None] * heads + head) * self.longest + place[:, None]
            self.indices[heads, padded] = index.reshape(-1)
        return self.indices[heads, padded]

    def _mask(self, window: int | None, heads: int, kv_heads: int) -> Tensor:
        """Additive, (1 or rows * kv_heads, heads of a group * longest, longest)."""
        if window is not None and self.longest <= window:
            window = None
        if (window, heads, kv_heads) not in self.masks:
            mask = self.mask
            if window is not None:
                place = self.positions.index_select(0, self.gather).view(-1, self.longest)
                mask = mask.masked_fill(place[:, :, None] - place[:, None, :] >= window, HIDDEN)
            mask = mask.repeat(1, heads // kv_heads, 1)
            if mask.shape[0] > 1:
                mask = mask.repeat_interleave(kv_heads, 0)
            self.masks[window, heads, kv_heads] = mask
        return self.masks[window, heads, kv_heads]


def rounded(n: int) -> int:
    """n, or where oneDNN multiplies a little more, one of few numbers: it keeps 0.6 MB of code for each shape."""
    if not products.onednn_is_faster():
        return n
    unit = 4 if n <= 16 else 16 if n <= 256 else 1 << (n.bit_length() - 5)  # at most a sixteenth more
    return -(-n // unit) * unit


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
    spare = (0, rounded(len(cells)) - len(cells))
    flat, depth, cells = (np.pad(array, spare) for array in (flat, depth, cells))
    ids, positions, to_gather, to_scatter, to_mask = (
        torch.from_numpy(array).to(device) for array in (flat, depth, gather, cells, mask)
    )
    runs = _runs(starts, lengths) if chains else None
    return Rows(ids, positions, longest, to_gather, to_scatter, to_mask, starts, runs, [] if keep else None)


def _runs(starts: list[int], lengths: list[int]) -> list[Run]:
    runs: list[Run] = []
    for start, length in zip(starts, lengths, strict=True):
        if runs and runs[-1].length == length:
            runs[-1] = runs[-1]._replace(n=runs[-1].n + 1)
        else:
            runs.append(Run(start, 1, length))
    return runs


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
