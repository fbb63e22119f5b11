"""One forward of the model over packed rows that share a prefix; the prefixes' keys and values are kept.

A prefix's ids -> its keys and values, computed once for given weights; rows of ids under a prefix -> logits at the
places that are asked for, and nowhere else. Greedy choice, sampling and scoring are built on this.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from knowpack.decode.attention import Behind, Prefix, Step, attached
from knowpack.decode.kernels import KeyValue
from knowpack.decode.passes import fewer_passes
from knowpack.decode.pool import Pool
from knowpack.decode.products import fast_products
from knowpack.decode.rows import Rows, Tree, pack, rounded
from knowpack.model.loaded import Loaded
from knowpack.model.memory import within_memory

PREFIXES_KEPT = 16
PREFIX_CHUNK = 512  # tokens of a prefix computed at once: bounds the block of scores


class Computed(NamedTuple):
    """What a forward over whole rows gives."""

    logits: Tensor  # (wanted, vocabulary)
    rows: Rows


class Forward:
    """The model seen as a function of a shared prefix and the rows behind it."""

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded
        self._prefixes: OrderedDict[tuple[int, ...], Prefix] = OrderedDict()
        self._reads_places = False
        """Whether, in this session, the last layer gives the wanted places only."""
        self.tokens_at_once = 2048 if loaded.device.type == "cpu" else 16384
        """Tokens of a forward over whole rows when scoring."""

    def forget(self) -> None:
        """Drop all keys and values: the weights have changed."""
        self._prefixes.clear()

    @contextmanager
    def session(self) -> Iterator[None]:
        """Within, the methods below may be called: shared attention, evaluation mode, no gradients."""
        model = self.loaded.model
        training = model.training
        model.train(False)
        try:
            with (
                torch.inference_mode(),
                attached(model),
                fast_products(model),
                fewer_passes(model) as self._reads_places,
            ):
                yield
        finally:
            model.train(training)

    def prefix(self, ids: Sequence[int], free: Callable[[], None] | None = None) -> Prefix | None:
        """The keys and values of a prefix, from the cache where it is there; None for an empty one. free: as extend."""
        key = tuple(ids)
        if not key:
            return None
        if key not in self._prefixes:
            # from its first token: going on from a shorter one that is here would round otherwise, so that numbers
            # would depend on what was asked before
            prefix = self.extend(None, key, free)
            assert prefix is not None, "the key is not empty"
            self._prefixes[key] = prefix
            if len(self._prefixes) > PREFIXES_KEPT:
                self._prefixes.popitem(last=False)
        self._prefixes.move_to_end(key)
        return self._prefixes[key]

    def rows(
        self, prefix: Prefix | None, trees: Sequence[Tree], targets: Sequence[Sequence[int]], *, keep: bool = False
    ) -> Computed:
        """All rows at once -> logits after the tokens targets[row] of each row, in order; keys and values if kept."""
        rows = pack(trees, self.loaded.device, keep=keep)
        places = [start + token for start, tokens in zip(rows.starts, targets, strict=True) for token in tokens]
        n_before = len(prefix) if prefix else 0
        spare = [0] * (rounded(len(places)) - len(places))
        positions, last = rows.positions + n_before, n_before + rows.longest - 1
        logits = self._run((Behind(prefix, None),), rows, rows.ids, positions, last, places + spare)
        return Computed(logits[: len(places)], rows)

    def step(self, prefixes: Sequence[Prefix | None], pool: Pool, tokens: Sequence[int]) -> Tensor:
        """One more token for each row of the pool, each behind its prefix -> (rows, vocabulary) logits after it."""
        pool.begin()
        spare = [0] * (pool.width - pool.n)
        before = [len(prefix) if prefix else 0 for prefix in prefixes]
        ids, offsets = torch.tensor([[*tokens, *spare], [*before, *spare]], device=self.loaded.device)
        positions = pool.lengths[: pool.width] + offsets
        last = max(before) + pool.longest - 1
        logits = self._run(_grouped(prefixes, self.loaded.device), pool, ids, positions, last, None)
        pool.end()
        return logits[: pool.n]

    def _run(
        self,
        behind: tuple[Behind, ...],
        own: Rows | Pool,
        ids: Tensor,
        positions: Tensor,
        last_position: int,
        places: list[int] | None,
    ) -> Tensor:
        targets = None if places is None else torch.tensor(places, device=ids.device)
        output = self.loaded.model(
            input_ids=ids[None],
            position_ids=positions[None],
            use_cache=False,
            logits_to_keep=0 if targets is None or self._reads_places else targets,
            knowpack_step=Step(behind, own, positions, last_position, targets),
        )
        logits: Tensor = output.logits[0]
        return logits

    def extend(
        self, prefix: Prefix | None, ids: Sequence[int], free: Callable[[], None] | None = None
    ) -> Prefix | None:
        """A prefix with more tokens behind it; not put into the cache.

        Where memory runs out fewer tokens are computed at once. free: called then, to drop what can be computed again.
        Raises ModelError where there is no room for one.
        """
        chunks = (list(ids[start : start + PREFIX_CHUNK]) for start in range(0, len(ids), PREFIX_CHUNK))
        longer = within_memory(chunks, lambda chunk: self._longer(prefix, chunk), free, what="token of a prefix")
        for prefix in longer:  # noqa: B007  # the next chunk stands behind it
            pass
        return prefix

    def _longer(self, prefix: Prefix | None, chunk: list[int]) -> Prefix:
        rows = self.rows(prefix, [Tree(chunk)], [[len(chunk) - 1]], keep=True).rows
        kept = [KeyValue(*(x[: len(chunk)] for x in kv)) for kv in rows.kept or []]
        if prefix is None:
            return Prefix(tuple(chunk), tuple(KeyValue(kv.keys.clone(), kv.values.clone()) for kv in kept))
        layers = (
            KeyValue(torch.cat([old.keys, new.keys]), torch.cat([old.values, new.values]))
            for old, new in zip(prefix.layers, kept, strict=True)
        )
        return Prefix((*prefix.ids, *chunk), tuple(layers))


def _grouped(prefixes: Sequence[Prefix | None], device: torch.device) -> tuple[Behind, ...]:
    """The rows of each prefix, by its first row; one prefix for all takes the shorter way."""
    places: dict[int, list[int]] = {}
    for row, prefix in enumerate(prefixes):
        places.setdefault(id(prefix), []).append(row)
    if len(places) == 1:
        return (Behind(prefixes[0], None),)
    return tuple(Behind(prefixes[rows[0]], torch.tensor(rows, device=device)) for rows in places.values())
