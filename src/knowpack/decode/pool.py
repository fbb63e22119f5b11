"""Rows that are being decoded, a token a step: the keys and values of each.

`Rows` that were kept -> a Pool that takes them over, grows and lets finished ones go; the `RowAttention` of a Step.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from knowpack.decode.kernels import HIDDEN, Attended, KeyValue, attend_dense
from knowpack.decode.rows import Rows, rounded


@dataclass
class Pool:
    """Rows that grow by a token a step: their keys and values, (rows, kv_heads, capacity, head_dim) a layer."""

    layers: list[KeyValue]
    lengths: Tensor  # (rows,), tokens of each row that are in the cache
    n: int = 0
    """Rows in use: the first n."""
    longest: int = 0
    """Upper bound of the lengths in use."""
    width: int = 0
    """Rows computed in this step: those in use and a few free ones that nobody reads (see `rounded`)."""
    masks: dict[tuple[int | None, int], Tensor] = field(default_factory=dict)
    places: tuple[Tensor, Tensor] | None = None
    """Row and place of the tokens of this step."""

    @classmethod
    def empty(cls, like: list[KeyValue], n_rows: int, capacity: int) -> "Pool":
        """Room for n_rows of up to `capacity` tokens, in the shapes of these keys and values."""

        def room(x: Tensor) -> Tensor:
            return x.new_zeros(n_rows, x.shape[1], capacity, x.shape[2])

        layers = [KeyValue(room(kv.keys), room(kv.values)) for kv in like]
        return cls(layers, torch.zeros(n_rows, dtype=torch.long, device=like[0].keys.device))

    @property
    def n_rows(self) -> int:
        """Rows there is room for."""
        return self.lengths.shape[0]

    @property
    def capacity(self) -> int:
        """Tokens a row may have."""
        return self.layers[0].keys.shape[2]

    def begin(self) -> None:
        """Call before each step: the mask and the places are of this step."""
        self.masks.clear()
        self.longest += 1
        self.width = min(rounded(self.n), self.n_rows)
        self.lengths[self.n : self.width] = 0
        self.places = (torch.arange(self.width, device=self.lengths.device), self.lengths[: self.width].clone())

    def attend(self, layer: int, query: Tensor, kv: KeyValue, scaling: float, window: int | None) -> Attended:
        """One token a row, written into its row and attending to all of it."""
        assert self.places is not None, "begin comes before a step"
        keys, values = self.layers[layer]
        row, place = self.places
        keys[row, :, place] = kv.keys
        values[row, :, place] = kv.values
        kv_heads = keys.shape[1]
        q = query.reshape(self.width * kv_heads, -1, query.shape[2])  # a group of heads beside each other
        k, v = (x[: self.width, :, : self.longest].flatten(0, 1) for x in (keys, values))
        part = attend_dense(q, k, v, scaling, self._mask(window, kv_heads))
        lse, share = (x.view(self.width, -1) for x in (part.lse, part.share))
        return Attended(part.out.view(self.width, query.shape[1], -1), lse, share)

    def end(self) -> None:
        """Call after each step: every row has a token more."""
        self.lengths[: self.n] += 1

    def clear(self) -> None:
        """Use the room for other rows."""
        self.n = self.longest = 0

    def _mask(self, window: int | None, kv_heads: int) -> Tensor:  # (rows * kv_heads, 1, longest)
        if (window, kv_heads) not in self.masks:
            place = torch.arange(self.longest, device=self.lengths.device)
            ago = self.lengths[: self.width, None] - place
            hidden = (ago < 0) if window is None else (ago < 0) | (ago >= window)
            mask = torch.zeros(hidden.shape, device=hidden.device).masked_fill_(hidden, HIDDEN)
            self.masks[window, kv_heads] = mask.repeat_interleave(kv_heads, 0)[:, None]
        return self.masks[window, kv_heads]

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
