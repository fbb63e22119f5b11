"""Llama-like layers with less work between and beside the matrix products; and the highest logit's place.

model -> the same model whose norms, gated MLPs and attention layers do less between their matrix products inside the
block. What is saved are copies and temporaries, SiLU and its product where oneDNN does them at the end of its own,
and in the last layer all that would be computed for tokens whose logits nobody reads. The same arithmetic up to its
order, norms in float32 whatever the weights' type. Inference only; other layers are left alone.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn

from knowpack.decode.attention import Step, attend_packed
from knowpack.decode.products import by_onednn, gated, replaced

# Classes of transformers that share Llama's formulas (others of the same idea differ: Gemma's norm adds one)
NORMS = {"LlamaRMSNorm", "MistralRMSNorm", "Qwen2RMSNorm", "Qwen3RMSNorm"}
MLPS = {"LlamaMLP", "MistralMLP", "Qwen2MLP", "Qwen3MLP"}
ATTENTIONS = {"LlamaAttention", "Qwen2Attention"}
LAYERS = {"LlamaDecoderLayer", "Qwen2DecoderLayer"}
DTYPES = {torch.float32, torch.bfloat16}  # both in one layer too: a LoRA in float32 beside weights in bfloat16
NORM_ROWS = 128  # of a norm in half precision at once: what it writes in float32 stays near the processor
BLOCK = 64  # logits whose maximum is found at once


@contextmanager
def fewer_passes(model: nn.Module) -> Iterator[bool]:
    """Within, Llama-like layers on the CPU work in fewer passes; to be entered inside `attached`.

    Yields whether the last layer gives the hidden states of the step's places only.
    """
    replacements = {module: _replacement(module) for module in model.modules()}
    last = _last_layer(model, replacements)
    if last is not None:
        replacements[last] = partial(_layer, last=True)
    with replaced({module: partial(forward, module) for module, forward in replacements.items() if forward}):
        yield last is not None


def _last_layer(model: nn.Module, replacements: Mapping[nn.Module, Callable[..., object] | None]) -> nn.Module | None:
    """The last decoder layer, where it is one of ours."""
    n_layers = getattr(getattr(model, "config", None), "num_hidden_layers", 0)
    layers = [module for module, forward in replacements.items() if forward is _layer]
    ours = [layer for layer in layers if getattr(layer.self_attn, "layer_idx", None) == n_layers - 1]
    return ours[0] if len(ours) == 1 else None


def _replacement(module: nn.Module) -> Callable[..., object] | None:
    kind = type(module)
    if not kind.__module__.startswith("transformers.models.") or "forward" in module.__dict__:
        return None
    if not all(w.device.type == "cpu" and w.dtype in DTYPES for w in module.parameters()):
        return None
    if kind.__name__ in NORMS:
        return _norm
    if kind.__name__ in MLPS:
        return _mlp if type(module.act_fn).__name__ in ("SiLU", "SiLUActivation") else None
    if kind.__name__ in LAYERS and type(module.self_attn).__name__ in ATTENTIONS:
        return _layer
    return _attention if kind.__name__ in ATTENTIONS else None


class _Norm(Protocol):
    weight: Tensor
    variance_epsilon: float


class _Mlp(Protocol):
    gate_proj: nn.Module
    up_proj: nn.Module
    down_proj: nn.Module


class _Attention(Protocol):
    q_proj: nn.Module
    k_proj: nn.Module
    v_proj: nn.Module
    o_proj: nn.Module
    head_dim: int
    layer_idx: int
    scaling: float


class _Layer(Protocol):
    self_attn: nn.Module
    mlp: nn.Module
    input_layernorm: nn.Module
    post_attention_layernorm: nn.Module


def _layer(
    module: _Layer, hidden_states: Tensor, *, knowpack_step: Step, last: bool = False, **others: object
) -> Tensor:
    """hidden_states (1, tokens, hidden) -> the same after attention and MLP; its input stays as it was.

    last: (1, places, hidden), only what is read of it. The other tokens' keys and values are all that is left to do.
    """
    places = knowpack_step.places if last else None
    normed = module.input_layernorm(hidden_states)
    inner, _ = module.self_attn(hidden_states=normed, knowpack_step=knowpack_step, places=places, **others)
    inner += hidden_states if places is None else hidden_states.index_select(1, places)
    out: Tensor = module.mlp(module.post_attention_layernorm(inner))
    return out.add_(inner)


def _norm(module: _Norm, x: Tensor) -> Tensor:
    """RMSNorm (Zhang and Sennrich, 2019) -> x weight / sqrt(mean(x^2) + eps)."""
    if x.dtype != torch.float32:
        return _norm_of_half(module, x)
    size: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)  # (..., 1): nothing as wide as x is written
    share = size.square_().mul_(1 / x.shape[-1]).add_(module.variance_epsilon).rsqrt_()
    return (x * share).mul_(module.weight)


def _norm_of_half(module: _Norm, x: Tensor) -> Tensor:
    """The same with its sums and the division in float32, rounded before the weight as transformers rounds it."""
    normed = torch.empty_like(x)
    parts = (torch.split(wide.view(-1, x.shape[-1]), NORM_ROWS) for wide in (x.contiguous(), normed))
    for some, out in zip(*parts, strict=True):
        wide = some.float()
        share = wide.square().mean(-1, keepdim=True).add_(module.variance_epsilon).rsqrt_()
        torch.mul(wide, share, out=out)
    return normed.mul_(module.weight)


def _mlp(module: _Mlp, x: Tensor) -> Tensor:
    """down(SiLU(gate x) * up x)."""
    gate, up = module.gate_proj, module.up_proj
    if by_onednn(gate, x) and by_onednn(up, x):
        inner = gated(gate, up, x)
    else:
        inner = nn.functional.silu(gate(x), inplace=True).mul_(up(x))
    out: Tensor = module.down_proj(inner)
    return out


def _attention(
    module: _Attention,
    hidden_states: Tensor,  # (1, tokens, hidden)
    position_embeddings: tuple[Tensor, Tensor],
    attention_mask: Tensor | None = None,
    *,
    knowpack_step: Step,
    places: Tensor | None = None,
    **others: object,
) -> tuple[Tensor, None]:
    """Attention from the packed tokens to the packed tokens: no head is moved before its tokens and back.

    places: give these tokens only.
    """
    if attention_mask is not None:
        raise NotImplementedError("shared-prefix attention does not know masks")
    tokens, width = hidden_states.shape[1], module.head_dim
    query, key, value = (
        layer(hidden_states).view(tokens, -1, width) for layer in (module.q_proj, module.k_proj, module.v_proj)
    )
    cos, sin = (x[0, :, None] for x in position_embeddings)  # (tokens, 1, head_dim)
    query, key = (_rotated(x, cos, sin) for x in (query, key))
    window = getattr(module, "sliding_window", None)
    out = attend_packed(knowpack_step, module.layer_idx, query, key, value, module.scaling, window, places)
    return module.o_proj(out.reshape(1, len(out), -1)), None


def _rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions (Su et al., 2021), halves against each other."""
    (first, second), (of_first, of_second) = x.chunk(2, -1), sin.chunk(2, -1)
    out = x * cos
    turned_first, turned_second = out.chunk(2, -1)
    turned_first.addcmul_(second, of_first, value=-1)
    turned_second.addcmul_(first, of_second)
    return out


def highest(logits: Tensor) -> Tensor:
    """(places, vocabulary) -> the first of the highest in each place, as argmax; on the CPU ten times faster."""
    n, width = logits.shape
    n_blocked = width - width % BLOCK
    if logits.device.type != "cpu" or n_blocked == 0 or n == 0:
        return logits.argmax(-1)
    blocks = logits[:, :n_blocked].reshape(n, -1, BLOCK)  # (places, blocks, 64)
    most = blocks.amax(-1)  # vectorized, which argmax is not
    block, place = most.argmax(-1), torch.arange(n)
    best: Tensor = block * BLOCK + blocks[place, block].argmax(-1)
    if n_blocked == width:
        return best
    rest = logits[:, n_blocked:]
    return torch.where(rest.amax(-1) > most[place, block], n_blocked + rest.argmax(-1), best)
