"""The matrix products of linear layers by oneDNN, on CPUs where torch's own choice is slower.

model -> the same model whose linear layers multiply by oneDNN inside the block. torch hands float32 products to MKL,
which on AMD's AVX-512 cores uses half of their width (measured: docs/LOG.md, Speed); oneDNN is in every torch build for
x86, behind the operator that torch's compiler uses. On Intel's cores MKL is as fast or faster, and keeps no code for
each shape it has met: there float32 is left alone. Products in bfloat16 are oneDNN's everywhere, but torch rearranges
the weight for each of them, which takes as long as a few rows' product: here that is done once. A LoRA beside such
weights is added by one product more. Same arithmetic, another order of summation. Inference only: no gradients.
"""

import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path

import torch
from torch import Tensor, nn
from typing_extensions import TypeIs

from knowpack.decode.beside import is_plain, with_lora

FEW_ROWS = 8  # below this torch's own product is faster, in float32
MOST_ARRANGED = 1_000_000_000
"""Weights: arranged copies take as much memory again, so that larger models do without."""
ROWS_EXPECTED = 128  # of a product that a weight is arranged for; it serves others as well

Arranged = dict[nn.Module, Tensor]
"""Layers' weights as oneDNN wants them."""


@contextmanager
def fast_products(model: nn.Module, arranged: Arranged | None = None) -> Iterator[None]:
    """Within, linear layers on the CPU multiply by oneDNN where it helps; the model's weights are not changed.

    arranged: filled with weights in oneDNN's own order, where that helps, and read the next time; to be emptied when
    the model's weights have changed.
    """
    changed = [module for module in model.modules() if _can_change(module)]
    kept: Arranged = {} if arranged is None else arranged
    if sum(module.weight.numel() for module in changed) <= MOST_ARRANGED:
        kept |= {x: _arranged(x.weight) for x in changed if x.weight.dtype == torch.bfloat16 and x not in kept}
    forwards: dict[nn.Module, Callable[..., object]] = {x: partial(_linear, x, kept.get(x, x.weight)) for x in changed}
    halves = {x for x in changed if x.weight.dtype == torch.bfloat16}
    adapted = (x for x in model.modules() if is_plain(x) and x.base_layer in halves)
    with replaced(forwards | {x: partial(with_lora, x) for x in adapted}):
        yield


def _arranged(weight: Tensor) -> Tensor:
    """The same numbers in the order that oneDNN's products read."""
    out: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), ROWS_EXPECTED)
    return out


@contextmanager
def replaced(forwards: Mapping[nn.Module, Callable[..., object]]) -> Iterator[None]:
    """Within, these modules have these forwards instead of their class's; after, their class's again."""
    for module, forward in forwards.items():
        module.forward = forward
    try:
        yield
    finally:
        for module in forwards:
            del module.forward


@cache
def onednn_is_faster() -> bool:
    """Whether the operator is there and the CPU one where it helps. No timing decides: results stay the same."""
    return has_onednn() and "GenuineIntel" not in _processor()


def has_onednn() -> bool:
    """Whether oneDNN's product can be called, at full width."""
    return torch.backends.cpu.get_cpu_capability() == "AVX512" and hasattr(torch.ops.mkldnn, "_linear_pointwise")


@cache
def has_bfloat16() -> bool:
    """Whether oneDNN multiplies bfloat16 here, from weights that it has arranged."""
    return has_onednn() and hasattr(torch.ops.mkldnn, "_reorder_linear_weight") and bool(_bfloat16_supported())


def _bfloat16_supported() -> object:
    return torch.ops.mkldnn._is_mkldnn_bf16_supported()


def _processor() -> str:
    """What the system says of the processor, its maker among it."""
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor()  # as Windows has it; on a Mac there is no AVX-512


def product(x: Tensor, weight: Tensor) -> Tensor:
    """x (..., in) times weight (out, in) transposed, by the faster library; without a gradient."""
    if x.dtype != torch.float32 or not onednn_is_faster():
        return nn.functional.linear(x, weight)
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")
    return out


def _can_change(module: nn.Module) -> TypeIs[nn.Linear]:
    if type(module) is not nn.Linear or "forward" in module.__dict__:
        return False
    weight = module.weight
    helps = {torch.float32: onednn_is_faster, torch.bfloat16: has_bfloat16}.get(weight.dtype)
    return weight.device.type == "cpu" and weight.is_contiguous() and helps is not None and helps()


def can_gate(gate: nn.Module, up: nn.Module, x: Tensor) -> bool:
    """Whether both multiply by oneDNN here. Not in bfloat16: `gated` rounds once less than a layer with a LoRA beside
    it does, and an adapter that changes nothing is to give the base's very numbers."""
    forwards = [(layer, layer.__dict__.get("forward")) for layer in (gate, up)]
    return x.dtype == torch.float32 and all(
        isinstance(forward, partial) and forward.func is _linear and not _is_ordinary(layer, x)
        for layer, forward in forwards
    )


def gated(gate: nn.Module, up: nn.Module, x: Tensor) -> Tensor:
    """SiLU(gate x) * up x, both done at the end of oneDNN's products."""
    pointwise = torch.ops.mkldnn._linear_pointwise
    gate_out = pointwise(x, gate.weight, gate.bias, "swish", [], "")
    out: Tensor = pointwise.binary(x, gate_out, up.weight, up.bias, "mul")
    return out


def _is_ordinary(layer: nn.Module, x: Tensor) -> bool:
    if x.dtype != layer.weight.dtype or torch.is_grad_enabled():
        return True
    return x.dtype == torch.float32 and x.numel() < FEW_ROWS * x.shape[-1]


def _linear(layer: nn.Linear, weight: Tensor, x: Tensor) -> Tensor:
    if _is_ordinary(layer, x):
        return nn.functional.linear(x, layer.weight, layer.bias)
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, layer.bias, "none", [], "")
    return out
