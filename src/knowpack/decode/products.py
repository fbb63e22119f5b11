"""The matrix products of linear layers by oneDNN, on CPUs where torch's own choice is slower.

model -> the same model whose float32 linear layers multiply by oneDNN inside the block. torch hands float32 products
to MKL, which on AMD's AVX-512 cores uses half of their width (measured: docs/LOG.md, Speed); oneDNN is in every torch
build for x86, behind the operator that torch's compiler uses. On Intel's cores MKL is as fast or faster, and keeps no
code for each shape it has met: there nothing is changed. Same float32 arithmetic, another order of summation.
Inference only: the operator has no gradient.
"""

import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path

import torch
from torch import Tensor, nn
from typing_extensions import TypeIs

FEW_ROWS = 8  # below this torch's own product is faster


@contextmanager
def fast_products(model: nn.Module) -> Iterator[None]:
    """Within, linear layers on the CPU multiply by oneDNN where it helps; weights are neither copied nor changed."""
    changed = [module for module in model.modules() if _can_change(module)] if onednn_is_faster() else []
    with replaced({module: partial(_linear, module) for module in changed}):
        yield


@contextmanager
def replaced(forwards: Mapping[nn.Module, Callable[..., object]]) -> Iterator[None]:
    """Within, these modules have these forwards; after, those they had before."""
    before = {module: module.__dict__.get("forward") for module in forwards}
    for module, forward in forwards.items():
        module.forward = forward
    try:
        yield
    finally:
        for module, earlier in before.items():
            del module.forward  # the class's own stands behind it
            if earlier is not None:
                module.forward = earlier


@cache
def onednn_is_faster() -> bool:
    """Whether the operator is there and the CPU one where it helps. No timing decides: results stay the same."""
    return has_onednn() and "GenuineIntel" not in _processor()


def has_onednn() -> bool:
    """Whether oneDNN's product can be called, at full width."""
    return torch.backends.cpu.get_cpu_capability() == "AVX512" and hasattr(torch.ops.mkldnn, "_linear_pointwise")


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
    return weight.device.type == "cpu" and weight.dtype == torch.float32 and weight.is_contiguous()


def by_onednn(layer: nn.Module, x: Tensor) -> bool:
    """Whether this layer multiplies this input by oneDNN: inside the block, and large enough."""
    changed = layer.__dict__.get("forward")
    return isinstance(changed, partial) and changed.func is _linear and not _is_ordinary(x)


def gated(gate: nn.Module, up: nn.Module, x: Tensor) -> Tensor:
    """SiLU(gate x) * up x, both done at the end of oneDNN's products."""
    pointwise = torch.ops.mkldnn._linear_pointwise
    gate_out = pointwise(x, gate.weight, gate.bias, "swish", [], "")
    out: Tensor = pointwise.binary(x, gate_out, up.weight, up.bias, "mul")
    return out


def _is_ordinary(x: Tensor) -> bool:
    return x.dtype != torch.float32 or x.numel() < FEW_ROWS * x.shape[-1] or torch.is_grad_enabled()


def _linear(layer: nn.Linear, x: Tensor) -> Tensor:
    if _is_ordinary(x):
        return nn.functional.linear(x, layer.weight, layer.bias)
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, layer.weight, layer.bias, "none", [], "")
    return out
