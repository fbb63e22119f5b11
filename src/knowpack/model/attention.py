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

IMPLEMENTATION = "knowpack_shared_prefix"
HIDDEN = -1e30  # a masked score; finite, so that a query that sees none of the prefix gets weight 0 and no NaN


class Attended(NamedTuple):
    """Attention over one part of the keys."""

    out: Tensor  # (tokens, heads, head_dim)
    lse: Tensor  # (tokens, heads), log of the sum of the exponentials of the scores


class KeyValue(NamedTuple):
    """The keys and values of one layer."""

    keys: Tensor  # (tokens, kv_heads, head_dim)
    values: Tensor  # (tokens, kv_heads, head_dim)


@dataclass(frozen=True)
class Prefix:
    """A prefix and its keys and values, one KeyValue a layer; every layer sees the same tokens."""

    ids: tuple[int, ...]
    layers: tuple[KeyValue, ...]

    def __len__(self) -> int:
        return len(self.ids)


class Own(Protocol):
    """How the tokens of a step attend to their own rows."""

    def attend(self, layer: int, query: Tensor, kv: KeyValue, scaling: float, window: int | None) -> Attended:
        """query (tokens, heads, head_dim) and the same tokens' keys and values -> attention in the row."""
        ...


@dataclass(frozen=True)
class Step:
    """One forward over packed tokens: the prefix they share, and how they attend to their own rows."""

    prefix: Prefix | None
    own: Own
    positions: Tensor  # (tokens,), counted from the start of the prefix
    last_position: int
    """The highest of the positions: whether a sliding window matters."""
    masks: dict[int, Tensor] = field(default_factory=dict)
    """Window -> additive mask over the prefix, made when first needed."""

    def prefix_mask(self, window: int | None) -> Tensor | None:
        """(tokens, prefix) additive mask of a sliding window; None where every token sees all of the prefix."""
        if window is None or self.prefix is None or self.last_position < window:
            return None
        if window not in self.masks:
            places = torch.arange(len(self.prefix), device=self.positions.device)
            hidden = self.positions[:, None] - places[None, :] >= window
            self.masks[window] = torch.zeros(hidden.shape, device=hidden.device).masked_fill_(hidden, HIDDEN)
        return self.masks[window]


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
    step, layer = knowpack_step, int(module.layer_idx)  # type: ignore[arg-type]
    scale = float(query.shape[-1] ** -0.5 if scaling is None else scaling)
    packed = query[0].transpose(0, 1)  # (tokens, heads, head_dim)
    kv = KeyValue(key[0].transpose(0, 1), value[0].transpose(0, 1))
    own = step.own.attend(layer, packed, kv, scale, sliding_window)
    if step.prefix is None:
        return own.out[None], None
    shared = attend_prefix(packed, step.prefix.layers[layer], scale, step.prefix_mask(sliding_window))
    weight = torch.sigmoid(shared.lse - own.lse).to(own.out.dtype)  # (tokens, heads), the prefix's share
    return torch.lerp(own.out, shared.out, weight[..., None])[None], None


def attend_prefix(query: Tensor, kv: KeyValue, scale: float, mask: Tensor | None) -> Attended:
    """query (tokens, heads, head_dim) over keys that all tokens see."""
    batched = query.transpose(0, 1)[None]  # (1, heads, tokens, head_dim)
    keys, values = kv.keys.transpose(0, 1)[None], kv.values.transpose(0, 1)[None]
    if query.device.type == "cpu" and query.shape[-1] == values.shape[-1]:
        # torch's own flash attention, called below `scaled_dot_product_attention` for its log-sum-exp
        flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        out, lse = flash(batched, keys, values, attn_mask=mask, scale=scale)
    else:
        out, lse = attend_dense(batched, keys, values, scale, mask)
    return Attended(out[0].transpose(0, 1), lse[0].transpose(0, 1))


def attend_dense(
    query: Tensor,  # (batch, heads, tokens, head_dim)
    key: Tensor,  # (batch, kv_heads, keys, head_dim)
    value: Tensor,
    scale: float,
    mask: Tensor | None,  # additive, (batch or 1, tokens or 1, keys)
) -> tuple[Tensor, Tensor]:
    """Softmax attention by two products -> (batch, heads, tokens, head_dim) and its log-sum-exp in float32."""
    batch, heads, tokens, width = query.shape
    groups = heads // key.shape[1]
    folded = query.reshape(batch, key.shape[1], groups * tokens, width)
    scores = torch.matmul(folded, key.transpose(2, 3)).float().mul_(scale)
    scores = scores.view(batch, heads, tokens, key.shape[2])
    if mask is not None:
        scores += mask[..., None, :, :]
    lse = scores.logsumexp(-1)  # (batch, heads, tokens)
    shares = scores.sub_(lse[..., None]).exp_().to(value.dtype)
    out = torch.matmul(shares.view(batch, key.shape[1], groups * tokens, -1), value)
    return out.view(batch, heads, tokens, value.shape[-1]), lse


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
