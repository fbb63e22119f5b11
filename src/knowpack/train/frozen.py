"""Frozen linear layers and attention in fewer passes while an adapter trains on the CPU.

model -> the same model whose frozen linear layers multiply by the faster library (see products: the same for
inference), forwards and backwards, inside the block; beside weights in half precision, attention in float32. A frozen
layer needs the gradient of its input only: one more product, with the transposed weight, which oneDNN wants copied
once. A layer with a LoRA on it is one function: W x + s B (A x), the second part added by the product itself, where
peft writes three more tensors as wide as the output. Beside weights in bfloat16 the adapter's own stay in float32 and
enter products rounded, as under torch's autocast.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import cast

import torch
from peft.tuners.lora import Linear as LoraLinear
from torch import Tensor, nn
from typing_extensions import TypeIs

from knowpack.decode import products
from knowpack.decode.products import FEW_ROWS, product
from knowpack.train.float32_attention import in_float32

DTYPES = (torch.float32, torch.bfloat16)
MOST_WEIGHTS = 500_000_000  # transposed copies double a model's memory: only where that is small


@contextmanager
def fast_training(model: nn.Module) -> Iterator[None]:
    """Within, frozen linear layers on the CPU work so; weights are not changed."""
    layers = [module for module in model.modules() if _can_change(module)]
    transposed = {layer: layer.weight.detach().t() for layer in layers}
    if products.onednn_is_faster():
        copied = {layer: weight for layer, weight in transposed.items() if weight.dtype == torch.float32}
        if sum(weight.numel() for weight in copied.values()) > MOST_WEIGHTS:
            transposed = {layer: weight for layer, weight in transposed.items() if layer not in copied}
        else:
            transposed |= {layer: weight.contiguous() for layer, weight in copied.items()}
    forwards: dict[nn.Module, Callable[..., Tensor]] = {x: partial(_linear, x, t) for x, t in transposed.items()}
    for module in model.modules():
        if isinstance(module, LoraLinear) and module.base_layer in transposed and _is_plain(module):
            forwards[module] = partial(_adapted, module, transposed[module.base_layer])
    with products.replaced(forwards), in_float32(model):
        yield


def transposed_weight(layer: nn.Linear) -> Tensor:
    """The layer's weight as (in, out): the copy that `fast_training` holds, where it does."""
    forward = layer.__dict__.get("forward")
    if isinstance(forward, partial) and forward.func is _linear:
        return cast(Tensor, forward.args[1])
    return layer.weight.detach().t()


def _can_change(module: nn.Module) -> TypeIs[nn.Linear]:
    if type(module) is not nn.Linear or "forward" in module.__dict__ or module.bias is not None:
        return False
    weight = module.weight
    plain = weight.device.type == "cpu" and weight.dtype in DTYPES and weight.is_contiguous()
    return plain and not weight.requires_grad


def _is_plain(layer: LoraLinear) -> bool:
    """One adapter, W x + s B (A x) with or without dropout of x, no DoRA, no bias, its weights float32."""
    if len(layer.active_adapters) != 1 or layer.lora_variant:
        return False
    name = layer.active_adapters[0]
    if name not in layer.lora_A or type(layer.lora_dropout[name]) not in (nn.Identity, nn.Dropout):
        return False
    a, b = layer.lora_A[name], layer.lora_B[name]
    return a.bias is None and b.bias is None and a.weight.dtype == b.weight.dtype == torch.float32


def _linear(layer: nn.Linear, transposed: Tensor, x: Tensor) -> Tensor:
    if x.dtype != layer.weight.dtype or x.numel() < FEW_ROWS * x.shape[-1]:
        return nn.functional.linear(x, layer.weight)
    out: Tensor = _Product.apply(x, layer.weight, transposed)  # type: ignore[no-untyped-call]
    return out


def _adapted(layer: LoraLinear, transposed: Tensor, x: Tensor) -> Tensor:
    weight = layer.base_layer.weight
    if layer.disable_adapters or layer.merged or x.dtype != weight.dtype or x.numel() < FEW_ROWS * x.shape[-1]:
        plain: Tensor = type(layer).forward(layer, x)
        return plain
    name = layer.active_adapters[0]
    a, b = (weights[name].weight.to(x.dtype) for weights in (layer.lora_A, layer.lora_B))
    scale, kept = layer.scaling[name], None
    dropout = layer.lora_dropout[name]
    if isinstance(dropout, nn.Dropout) and dropout.training and 0 < dropout.p < 1:
        scale, kept = scale / (1 - dropout.p), _kept(x, dropout.p)
    out: Tensor = _Adapted.apply(x, weight, transposed, a, b, scale, kept)  # type: ignore[no-untyped-call]
    return out


def _kept(x: Tensor, p: float) -> Tensor:
    """True with probability 1 - p, to 2^-16: 16 random bits a number, where torch's dropout draws 32 one by one."""
    n = x.numel()
    bits = torch.empty((n + 3) // 4, dtype=torch.int64).random_(torch.iinfo(torch.int64).min, None).view(torch.int16)
    return (bits[:n] >= round(p * 2**16) - 2**15).view(-1, x.shape[-1])


class _Product(torch.autograd.Function):
    """x (..., in) times weight (out, in), both ways by the faster library; the weight gets no gradient."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor, weight: Tensor, transposed: Tensor) -> Tensor:
        ctx.save_for_backward(transposed)
        return product(x, weight)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> tuple[Tensor, None, None]:
        (transposed,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return product(grads[0].contiguous(), transposed), None, None


class _Adapted(torch.autograd.Function):
    """x (..., in), weight (out, in), a (rank, in), b (out, rank) -> W x + scale B (A x); gradients of x, a and b.

    With the n tokens as rows, X (n, in), Y (n, out), M (n, in) what dropout keeps (all ones without it), o the product
    by element, U = (M o X) A^T (n, rank), s the scale and G = dL/dY (n, out):
        Y  = X W^T + s U B^T
        dU = s G B                     (n, rank)
        dX = G W + M o (dU A)          (n, in)    the only product with W: it is kept transposed, as `product` wants
        dA = dU^T (M o X)              (rank, in)
        dB = s G^T U                   (out, rank)
    W is frozen and gets none. Beside X only U is kept for the way back, rank numbers a token instead of peft's three
    tensors as wide as Y, and M as bytes; the second summands of Y and dX are added inside the product (addmm).
    """

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        x: Tensor,
        weight: Tensor,
        transposed: Tensor,
        a: Tensor,
        b: Tensor,
        scale: float,
        kept: Tensor | None,
    ) -> Tensor:
        flat = x.reshape(-1, x.shape[-1])
        inner = (flat if kept is None else flat * kept) @ a.t()  # (tokens, rank)
        ctx.save_for_backward(flat, inner, transposed, a, b, kept)  # type: ignore[arg-type]  # None may stand there
        ctx.scale = scale  # type: ignore[attr-defined]
        return product(flat, weight).addmm_(inner, b.t(), alpha=scale).view(*x.shape[:-1], -1)

    @staticmethod
    def backward(
        ctx: torch.autograd.function.FunctionCtx, *grads: Tensor
    ) -> tuple[Tensor | None, None, None, Tensor, Tensor, None, None]:
        flat, inner, transposed, a, b, kept = ctx.saved_tensors  # type: ignore[attr-defined]
        scale: float = ctx.scale  # type: ignore[attr-defined]
        out = grads[0].reshape(-1, grads[0].shape[-1]).contiguous()
        of_inner = (out @ b).mul_(scale)  # (tokens, rank)
        of_x = None
        if ctx.needs_input_grad[0]:  # type: ignore[attr-defined]  # not below the first adapter
            of_x = product(out, transposed)
            of_x = of_x.addmm_(of_inner, a) if kept is None else of_x.add_((of_inner @ a).mul_(kept))
            of_x = of_x.view(*grads[0].shape[:-1], flat.shape[-1])
        of_a = of_inner.t() @ (flat if kept is None else flat * kept)
        return of_x, None, None, of_a, (out.t() @ inner).mul_(scale), None, None
