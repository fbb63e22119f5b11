"""A LoRA beside the weights of a linear layer, W x + s B (A x), as it stands in peft's own module.

peft module -> its A, B and scale, where it is that and nothing else; the way to add the second part with one product.
Found by its names, so that asking a model without an adapter does not load peft.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Beside(NamedTuple):
    """What is added to a layer's output."""

    a: Tensor  # (rank, in), in the adapter's own type
    b: Tensor  # (out, rank)
    scale: float


def is_plain(layer: nn.Module) -> bool:
    """Whether this is peft's linear layer with one adapter: no dropout now, no DoRA, no bias, its weights float32."""
    if type(layer).__name__ != "Linear" or not type(layer).__module__.startswith("peft.tuners.lora"):
        return False
    if len(layer.active_adapters) != 1 or layer.lora_variant:  # type: ignore[arg-type]
        return False
    name = layer.active_adapters[0]  # type: ignore[index]
    if name not in layer.lora_A:  # type: ignore[operator]
        return False
    dropout = layer.lora_dropout[name]  # type: ignore[index]
    if dropout.training and not isinstance(dropout, nn.Identity):
        return False
    a, b = layer.lora_A[name], layer.lora_B[name]  # type: ignore[index]
    return a.bias is None and b.bias is None and a.weight.dtype == b.weight.dtype == torch.float32


def beside(layer: nn.Module) -> Beside | None:
    """Of a layer that `is_plain`; None while its adapter is off or merged."""
    if layer.disable_adapters or layer.merged:
        return None
    name = layer.active_adapters[0]  # type: ignore[index]
    a, b = layer.lora_A[name].weight, layer.lora_B[name].weight  # type: ignore[index]
    return Beside(a, b, layer.scaling[name])  # type: ignore[index]


def with_lora(layer: nn.Module, x: Tensor) -> Tensor:
    """The forward of a layer that `is_plain`, without gradients: A and B enter products rounded to the type of x."""
    found = beside(layer)
    if found is None or torch.is_grad_enabled():
        forward: Callable[..., Tensor] = type(layer).forward
        return forward(layer, x)
    out: Tensor = layer.base_layer(x)  # type: ignore[operator]
    inner = x.reshape(-1, x.shape[-1]) @ found.a.to(x.dtype).t()  # (tokens, rank)
    out.view(-1, out.shape[-1]).addmm_(inner, found.b.to(x.dtype).t(), alpha=found.scale)
    return out
