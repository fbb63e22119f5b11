"""Frozen linear layers by oneDNN while an adapter trains, on CPUs where torch's own product is slower.

model -> the same model whose frozen float32 linear layers multiply by oneDNN, forwards and backwards, inside the
block (see products: the same for inference). A frozen layer needs the gradient of its input only: one more product,
with the transposed weight, which is copied once.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from typing_extensions import TypeIs

from knowpack.model.products import FEW_ROWS, available

MOST_WEIGHTS = 500_000_000  # transposed copies double a model's memory: only where that is small


@contextmanager
def fast_training(model: nn.Module) -> Iterator[None]:
    """Within, frozen linear layers on the CPU multiply by oneDNN where it helps; weights are not changed."""
    layers = [module for module in model.modules() if _can_change(module)] if available() else []
    if sum(layer.weight.numel() for layer in layers) > MOST_WEIGHTS:
        layers = []
    for layer in layers:
        layer.forward = partial(_linear, layer, layer.weight.detach().t().contiguous())  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _can_change(module: nn.Module) -> TypeIs[nn.Linear]:
    if type(module) is not nn.Linear or "forward" in module.__dict__ or module.bias is not None:
        return False
    weight = module.weight
    plain = weight.device.type == "cpu" and weight.dtype == torch.float32 and weight.is_contiguous()
    return plain and not weight.requires_grad


def _linear(layer: nn.Linear, transposed: Tensor, x: Tensor) -> Tensor:
    if x.dtype != torch.float32 or x.numel() < FEW_ROWS * x.shape[-1]:
        return nn.functional.linear(x, layer.weight)
    found: Tensor = _Product.apply(x, layer.weight, transposed)  # type: ignore[no-untyped-call]
    return found


class _Product(torch.autograd.Function):
    """x (..., in) times weight (out, in), both ways by oneDNN; the weight gets no gradient."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor, weight: Tensor, transposed: Tensor) -> Tensor:
        ctx.save_for_backward(transposed)
        return _product(x, weight)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> tuple[Tensor, None, None]:
        (transposed,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return _product(grads[0].contiguous(), transposed), None, None


def _product(x: Tensor, weight: Tensor) -> Tensor:
    found: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")
    return found
