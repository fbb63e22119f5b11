"""Attention over one set of keys, with its log-sum-exp: torch's flash attention, or two products.

queries + keys + values -> `Attended` or `Dense`. Two parts with their log-sum-exps are merged to one softmax over both
(attention.py).
"""

from typing import NamedTuple

import torch
from torch import Tensor

SCORES_AT_ONCE = 1 << 26  # numbers in one block of scores
HIDDEN = -1e30  # a masked score; finite, so that a query that sees none of the prefix gets weight 0 and no NaN


class Attended(NamedTuple):
    """Attention over one part of the keys."""

    out: Tensor  # (tokens, heads, head_dim), to be multiplied by share
    lse: Tensor  # (tokens, heads), log of the sum of the exponentials of the scores
    share: Tensor | None = None  # (tokens, heads); None: one


class KeyValue(NamedTuple):
    """The keys and values of one layer."""

    keys: Tensor  # (tokens, kv_heads, head_dim)
    values: Tensor  # (tokens, kv_heads, head_dim)


def has_flash(query: Tensor, kv: KeyValue) -> bool:
    """Whether `flash` can be called: on the CPU, without gradients (there is none for the log-sum-exp)."""
    return query.device.type == "cpu" and query.shape[-1] == kv.values.shape[-1] and not query.requires_grad


def flash(
    query: Tensor, keys: Tensor, values: Tensor, scale: float, mask: Tensor | None = None, *, causal: bool = False
) -> Attended:
    """All (rows, tokens, heads or kv_heads, head_dim), each row over its own keys.

    torch's own flash attention, called below `scaled_dot_product_attention` for its log-sum-exp.
    """
    by_head = (x.transpose(1, 2) for x in (query, keys, values))
    kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    out, lse = kernel(*by_head, is_causal=causal, attn_mask=mask, scale=scale)
    return Attended(out.transpose(1, 2), lse.transpose(1, 2))


class Dense(NamedTuple):
    """Attention by two products, before the division by the sum."""

    out: Tensor  # (batch, queries, head_dim), to be multiplied by share
    lse: Tensor  # (batch, queries), float32
    share: Tensor  # (batch, queries), one by the sum


def attend_dense(query: Tensor, key: Tensor, value: Tensor, scale: float, mask: Tensor | None) -> Dense:
    """query (batch, queries, head_dim), key and value (batch, keys, head_dim), mask additive, broadcast to scores."""
    at_once = max(1, SCORES_AT_ONCE // (query.shape[0] * key.shape[1]))
    if query.shape[1] <= at_once:
        return _dense(query, key, value, scale, mask)
    parts = []
    for i in range(0, query.shape[1], at_once):
        some = mask if mask is None or mask.shape[1] == 1 else mask[:, i : i + at_once]
        parts.append(_dense(query[:, i : i + at_once], key, value, scale, some))
    return Dense(*(torch.cat(part, 1) for part in zip(*parts, strict=True)))


def _dense(query: Tensor, key: Tensor, value: Tensor, scale: float, mask: Tensor | None) -> Dense:
    if query.requires_grad or key.requires_grad:
        return _dense_with_gradients(query, key, value, scale, mask)
    # in float32 whatever the weights' type: q.k itself would be rounded to 8 bits, and in float16 end at 65,504
    query, key = query.float(), key.float()
    if mask is not None:
        scores = torch.baddbmm(mask, query, key.transpose(1, 2), alpha=scale)  # (batch, queries, keys)
    else:
        scores = torch.bmm(query, key.transpose(1, 2)).mul_(scale)
    most = scores.amax(-1, keepdim=True)
    # clamped, since exponentials that underflow are seven times slower; e^-80 is nothing beside e^0
    shares = scores.sub_(most).clamp_min_(-80.0).exp_()
    total = shares.sum(-1)
    out = torch.bmm(shares.to(value.dtype), value)
    return Dense(out, total.log().add_(most[..., 0]), total.reciprocal())


def _dense_with_gradients(query: Tensor, key: Tensor, value: Tensor, scale: float, mask: Tensor | None) -> Dense:
    """The same without changing in place what the way back needs."""
    scores = torch.bmm(query.float() * scale, key.float().transpose(1, 2))
    if mask is not None:
        scores = scores + mask
    most = scores.detach().amax(-1, keepdim=True)
    shares = (scores - most).exp()
    total = shares.sum(-1)
    return Dense(torch.bmm(shares.to(value.dtype), value), total.log() + most[..., 0], total.reciprocal())
