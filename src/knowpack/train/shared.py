"""Logits of rows that share a context, with gradients: the context is computed once a batch, rows without padding.

context ids + rows -> logits at the places that carry a loss, # (n_targets, vocabulary). For training; decode/forward.py
is the path without gradients. Both attend by decode/attention.py; an architecture that cannot is given a copied cache
and padding, and one that cannot go on from a cache (Mamba) each row whole.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple, cast
from weakref import WeakKeyDictionary

import torch
from peft import PeftModel
from torch import Tensor
from transformers import PreTrainedModel

from knowpack.decode.attention import Behind, Prefix, Step, attached
from knowpack.decode.copied_cache import cache_argument, cache_in
from knowpack.decode.kernels import KeyValue
from knowpack.decode.passes import MLPS
from knowpack.decode.products import replaced
from knowpack.decode.rows import Rows, Tree, pack, rounded
from knowpack.decode.ways import differ
from knowpack.model.memory import ran_out
from knowpack.train.batch import Row

Ask = Callable[[tuple[int, ...], Sequence[Row]], Tensor]
"""Context ids and rows -> logits at their targets."""
_packs: WeakKeyDictionary[PreTrainedModel, bool] = WeakKeyDictionary()
_caches: WeakKeyDictionary[PreTrainedModel, bool] = WeakKeyDictionary()


class LossTargets(NamedTuple):
    """Where in a batch of rows the loss is, row by row."""

    rows: Tensor  # (n_targets,)
    columns: Tensor  # (n_targets,) the position that predicts the target
    targets: Tensor  # (n_targets,) token ids


def places(rows: Sequence[Row]) -> LossTargets:
    """The targets of all rows, in order: ids[n_prompt:] of each, predicted one position before."""
    row = [index for index, (ids, n_prompt) in enumerate(rows) for _ in range(n_prompt, len(ids))]
    column = [place - 1 for ids, n_prompt in rows for place in range(n_prompt, len(ids))]
    target = [token for ids, n_prompt in rows for token in ids[n_prompt:]]
    return LossTargets(torch.tensor(row), torch.tensor(column), torch.tensor(target))


def answer_logits(model: PeftModel | PreTrainedModel, context: Sequence[int], rows: Sequence[Row]) -> Tensor:
    """Logits that predict each target of `places(rows)` after context + row, # (n_targets, vocabulary), float32."""
    core = cast(PreTrainedModel, model.get_base_model() if isinstance(model, PeftModel) else model)
    if can_pack(core):
        return _packed(core, context, rows)
    return (_padded if _goes_on(core) else _whole)(core, context, rows)


def can_pack(core: PreTrainedModel) -> bool:
    """Whether packed rows behind a shared context get the logits of whole ones; asked once a model."""
    if core not in _packs:
        _packs[core] = same_logits(core, partial(_whole, core), partial(_packed, core))
    return _packs[core]


def _goes_on(core: PreTrainedModel) -> bool:
    """Whether many tokens behind a context's cache get the logits of whole rows; asked once a model."""
    if core not in _caches:
        _caches[core] = same_logits(core, partial(_whole, core), partial(_padded, core))
    return _caches[core]


def wanted_places(packed: Rows, rows: Sequence[Row]) -> list[int]:
    """Packed index of the position that predicts each target, and a few more that nobody reads (see `rounded`)."""
    indices = [
        start + place
        for start, row in zip(packed.starts, rows, strict=True)
        for place in range(row.n_prompt - 1, len(row.ids) - 1)
    ]
    return indices + [0] * (rounded(len(indices)) - len(indices))


def _packed(core: PreTrainedModel, context: Sequence[int], rows: Sequence[Row]) -> Tensor:
    with attached(core):
        prefix = None
        if context:
            alone = pack([Tree(context)], core.device, keep=True)
            run(core, None, alone, [0])
            prefix = prefix_of(context, alone.kept or [])
        # the last token of a row is only a target: nothing is read after it
        packed = pack([Tree(row.ids[:-1]) for row in rows], core.device)
        n_targets = sum(len(row.ids) - row.n_prompt for row in rows)
        return run(core, prefix, packed, wanted_places(packed, rows))[:n_targets]


def prefix_of(context: Sequence[int], kept: Sequence[KeyValue]) -> Prefix:
    """A context's keys and values, with their gradients, from what its forward kept."""
    n = len(context)
    return Prefix(tuple(context), tuple(KeyValue(kv.keys[:n], kv.values[:n]) for kv in kept))


def run(
    core: PreTrainedModel, prefix: Prefix | None, rows: Rows, wanted: list[int], hidden: Tensor | None = None
) -> Tensor:
    """One forward over packed rows, from their ids or from hidden states (tokens, hidden) -> (wanted, vocabulary)."""
    n_before = len(prefix) if prefix else 0
    positions = rows.positions + n_before
    places = torch.tensor(wanted, device=core.device)
    with _last_mlp_at(core, places):
        logits: Tensor = core(
            input_ids=rows.ids[None] if hidden is None else None,
            inputs_embeds=None if hidden is None else hidden[None],
            position_ids=positions[None],
            use_cache=False,
            logits_to_keep=places,
            knowpack_step=Step((Behind(prefix, None),), rows, positions, n_before + rows.longest - 1),
        ).logits.squeeze(0)  # not [0], whose gradient is a second tensor of this size, mostly zeros
    return logits.float()


@contextmanager
def _last_mlp_at(core: PreTrainedModel, wanted: Tensor) -> Iterator[None]:
    """Within, the last MLP of a Llama-like model gives 0 but at the places that logits are read of.

    Its keys and values are the last layer's all the same: nothing else reads what it gives elsewhere.
    """
    last = [module for module in core.modules() if type(module).__name__ in MLPS][-1:]
    last = [module for module in last if "forward" not in module.__dict__]  # another's replacement stays
    once = sorted(set(wanted.tolist()))  # a place that stands twice would have its gradient twice
    read = torch.tensor(once, device=wanted.device)

    def forward(x: Tensor) -> Tensor:
        out: Tensor = type(last[0]).forward(last[0], x.index_select(1, read))
        return torch.zeros_like(x).index_copy(1, read, out)

    with replaced(dict.fromkeys(last, forward)):
        yield


def _padded(core: PreTrainedModel, context: Sequence[int], rows: Sequence[Row]) -> Tensor:
    cache = None
    if context:
        ids = torch.tensor([list(context)], device=core.device)
        cache = cache_in(core, core(input_ids=ids, use_cache=True, logits_to_keep=1))
        cache.batch_repeat_interleave(len(rows))
    cache_kwargs = {cache_argument(core): cache}
    logits = core(input_ids=_beside(rows).to(core.device), **cache_kwargs, use_cache=cache is not None).logits
    return _at(logits, rows)


def _whole(core: PreTrainedModel, context: Sequence[int], rows: Sequence[Row]) -> Tensor:
    """Context and row as one, each time: for models that cannot go on from a cache (Mamba), and to compare with."""
    joined = [Row((*context, *row.ids), len(context) + row.n_prompt) for row in rows]
    return _at(core(input_ids=_beside(joined).to(core.device), use_cache=False).logits, joined)


def _beside(rows: Sequence[Row]) -> Tensor:
    """(rows, longest) ids, zeros behind each row's own: what is read stands before them."""
    padded = torch.zeros((len(rows), max(len(row.ids) for row in rows)), dtype=torch.long)
    for index, row in enumerate(rows):
        padded[index, : len(row.ids)] = torch.tensor(row.ids)
    return padded


def _at(logits: Tensor, rows: Sequence[Row]) -> Tensor:
    """(rows, longest, vocabulary) -> (n_targets, vocabulary) in float32."""
    at = places(rows)
    return logits[at.rows.to(logits.device), at.columns.to(logits.device)].float()


@torch.no_grad()
def same_logits(core: PreTrainedModel, one: Ask, other: Ask, *, same_sums: bool = False) -> bool:
    """Whether both ways of asking give the logits of a few rows behind a context; an error is a no.

    same_sums: both ways do the same sums in the same order, so that in half precision no bit may differ. Its rounding,
    which is let through elsewhere, would hide another layer's positions: at twelve tokens they move Gemma 3's logits by
    .007 of their spread, at two hundred by .16.
    """
    size = core.get_input_embeddings().num_embeddings
    ids = tuple((7 * i * i + 3) % int(cast(int, size)) for i in range(12))
    rows = [Row((*ids[4:9], 0), 4), Row((*ids[9:12], 0), 2)]
    training = core.training
    core.train(False)
    try:
        expected, actual = one(ids[:4], rows), other(ids[:4], rows)
    except (NotImplementedError, TypeError, ValueError, AttributeError, IndexError, KeyError, RuntimeError) as error:
        if ran_out(error):  # another way would take more, and its sums are rounded otherwise
            raise
        return False
    finally:
        core.train(training)
    half = core.dtype != torch.float32
    if half and same_sums:
        return torch.equal(actual, expected)
    return differ(actual, expected, half=half) is None
