"""Attention over a prefix that all rows share, plugged into transformers as an attention implementation.

Packed queries, keys and values of one layer (no padding: every row's tokens side by side in one sequence) -> the
attention's output. The prefix is one product with the batch folded into the queries; its part and the part over a
row's own tokens are merged by their log-sum-exps, so the result is the softmax over both. What the layer must know
reaches it as the keyword argument `knowpack_step` of the model's forward. (DESIGN.md, "One base, many adapters".)
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from knowpack.decode.kernels import HIDDEN, Attended, KeyValue, attend_dense, flash, has_flash

IMPLEMENTATION = "knowpack_shared_prefix"


@dataclass(frozen=True)
class Prefix:
    """A prefix and its keys and values, one KeyValue a layer; every layer sees the same tokens."""

    ids: tuple[int, ...]
    layers: tuple[KeyValue, ...]

    def __len__(self) -> int:
        return len(self.ids)


class RowAttention(Protocol):
    """How the tokens of a step attend to their own rows."""

    def attend(self, layer: int, query: Tensor, kv: KeyValue, scaling: float, window: int | None) -> Attended:
        """query (tokens, heads, head_dim) and the same tokens' keys and values -> attention in the row."""
        ...


class Behind(NamedTuple):
    """The tokens of a step that stand behind one prefix."""

    prefix: Prefix | None
    tokens: Tensor | None  # (n,), packed indices; None: all of the step's


@dataclass(frozen=True)
class Step:
    """One forward over packed tokens: the prefixes they stand behind, and how they attend to their own rows."""

    behind: tuple[Behind, ...]
    own: RowAttention
    positions: Tensor  # (tokens,), counted from the start of the prefix
    last_position: int
    """The highest of the positions: whether a sliding window matters."""
    places: Tensor | None = None
    """The tokens whose logits are wanted, packed indices; None: all of them."""
    masks: dict[tuple[int, int], Tensor] = field(default_factory=dict)
    """(window, place in `behind`) -> additive mask over that prefix, made when first needed."""

    def prefix_mask(self, window: int | None, place: int) -> Tensor | None:
        """(tokens, prefix) additive mask of a sliding window; None where every token sees all of the prefix."""
        prefix, tokens = self.behind[place]
        if window is None or prefix is None or self.last_position < window:
            return None
        if (window, place) not in self.masks:
            positions = self.positions if tokens is None else self.positions.index_select(0, tokens)
            places = torch.arange(len(prefix), device=positions.device)
            hidden = positions[:, None] - places[None, :] >= window
            self.masks[window, place] = torch.zeros(hidden.shape, device=hidden.device).masked_fill_(hidden, HIDDEN)
        return self.masks[window, place]


def attend_shared(
    module: torch.nn.Module,
    query: Tensor,  # (1, heads, tokens, head_dim)
    key: Tensor,  # (1, kv_heads, tokens, head_dim)
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    knowpack_step: Step | None = None,
    **others: object,
) -> tuple[Tensor, None]:
    """The attention function that transformers calls in every layer; returns (1, tokens, heads, head_dim)."""
    unknown = [name for name in ("softcap", "s_aux") if others.get(name) is not None]
    if knowpack_step is None or unknown or attention_mask is not None:
        raise NotImplementedError(f"shared-prefix attention does not know {unknown or 'masks'}")
    layer = int(module.layer_idx)  # type: ignore[arg-type]
    scale = float(query.shape[-1] ** -0.5 if scaling is None else scaling)
    q, k, v = (x[0].transpose(0, 1) for x in (query, key, value))  # (tokens, heads, head_dim)
    return attend_packed(knowpack_step, layer, q, k, v, scale, sliding_window)[None], None


def attend_packed(
    step: Step,
    layer: int,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scale: float,
    window: int | None,
    places: Tensor | None = None,
) -> Tensor:
    """query, key, value (tokens, heads or kv_heads, head_dim) -> (tokens, or only these places, heads, head_dim)."""
    own = step.own.attend(layer, query, KeyValue(key, value), scale, window)
    if len(step.behind) > 1:
        assert places is None, "rows behind several prefixes are steps, whose every token is wanted"
        return _behind_each(step, layer, query, own, scale, window)
    if places is not None:
        query = query.index_select(0, places)
        own = _chosen(own, places)
    prefix = step.behind[0].prefix
    if prefix is None:
        return _merge(own, None)
    mask = step.prefix_mask(window, 0)
    if mask is not None and places is not None:
        mask = mask.index_select(0, places)
    return _merge(own, attend_prefix(query, prefix.layers[layer], scale, mask))


def _behind_each(step: Step, layer: int, query: Tensor, own: Attended, scale: float, window: int | None) -> Tensor:
    """The tokens of each prefix on their own; a token behind none (spare, nobody reads it) gives zeros."""
    out = torch.zeros_like(own.out)
    for place, (prefix, tokens) in enumerate(step.behind):
        assert tokens is not None, "several prefixes name their tokens"
        shared = None
        if prefix is not None:
            mine = query.index_select(0, tokens)
            shared = attend_prefix(mine, prefix.layers[layer], scale, step.prefix_mask(window, place))
        out.index_copy_(0, tokens, _merge(_chosen(own, tokens), shared))
    return out


def _chosen(own: Attended, tokens: Tensor) -> Attended:
    share = None if own.share is None else own.share.index_select(0, tokens)
    return Attended(own.out.index_select(0, tokens), own.lse.index_select(0, tokens), share)


def _merge(own: Attended, shared: Attended | None) -> Tensor:
    """Both parts as if one softmax had gone over them -> (tokens, heads, head_dim).

    For one query q let s_j = scale q.k_j, and split its keys into two sets P (prefix) and R (its own row). With
    Z_S = sum over j in S of exp(s_j), lse_S = log Z_S and o_S = sum over S of exp(s_j) v_j / Z_S, one softmax over
    both is
        o = (Z_P o_P + Z_R o_R) / (Z_P + Z_R) = w o_P + (1 - w) o_R,
        w = Z_P / (Z_P + Z_R) = 1 / (1 + exp(lse_R - lse_P)) = sigmoid(lse_P - lse_R).
    Only the difference of the two log-sum-exps is needed, so no exp can overflow. A part that comes undivided (`out`
    = Z_S o_S up to its own maximum) brings its divisor as `share`, which goes into its weight. A query that sees none
    of P has lse_P near -1e30, so w = 0.
    """
    if shared is None:
        return own.out if own.share is None else own.out * own.share.to(own.out.dtype)[..., None]
    of_shared, dtype = torch.sigmoid(shared.lse - own.lse), own.out.dtype  # (tokens, heads)
    if own.share is None and shared.share is None:
        return torch.lerp(own.out, shared.out, of_shared.to(dtype)[..., None])
    of_own = 1 - of_shared
    if own.share is not None:
        of_own = of_own.mul_(own.share)
    if shared.share is not None:
        of_shared = of_shared * shared.share
    return (own.out * of_own.to(dtype)[..., None]).addcmul_(shared.out, of_shared.to(dtype)[..., None])


def attend_prefix(query: Tensor, kv: KeyValue, scale: float, mask: Tensor | None) -> Attended:
    """query (tokens, heads, head_dim) over keys that all tokens see; mask (tokens, keys), additive."""
    tokens, heads, width = query.shape
    if has_flash(query, kv):
        attended = flash(query[None], kv.keys[None], kv.values[None], scale, mask)
        return Attended(attended.out[0], attended.lse[0])
    by_head = query.transpose(0, 1)  # (heads, tokens, head_dim)
    keys, values = kv.keys.transpose(0, 1), kv.values.transpose(0, 1)  # (kv_heads, keys, head_dim)
    groups = heads // keys.shape[0]
    folded = by_head.reshape(keys.shape[0], groups * tokens, width)
    far = None if mask is None else mask.repeat(groups, 1)[None]
    part = attend_dense(folded, keys, values, scale, far)
    lse, share = (x.view(heads, tokens).transpose(0, 1) for x in (part.lse, part.share))
    return Attended(part.out.view(heads, tokens, -1).transpose(0, 1), lse, share)


@contextmanager
def attached(model: torch.nn.Module) -> Iterator[None]:
    """Within, the model attends by `attend_shared`; after, as before. Weights are not touched."""
    from transformers import AttentionInterface

    AttentionInterface.register(IMPLEMENTATION, attend_shared)
    config = model.config
    before = config._attn_implementation  # type: ignore[union-attr]
    config._attn_implementation = IMPLEMENTATION  # type: ignore[union-attr]
    try:
        yield
    finally:
        config._attn_implementation = before  # type: ignore[union-attr]
