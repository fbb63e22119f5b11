"""Attention in float32 beside weights in half precision, while an adapter trains on the CPU.

model -> the same model whose attention, inside the block, is torch's own in float32: queries, keys and values are
widened, what comes out is rounded again. The way back through it takes a third of what it takes in bfloat16. Only where
transformers would call torch's scaled_dot_product_attention.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import PreTrainedModel

IMPLEMENTATION = "knowpack_float32"


@contextmanager
def in_float32(model: nn.Module) -> Iterator[None]:
    """Within, attention is computed in float32; other implementations than "sdpa" and other devices are left alone."""
    core = cast(PreTrainedModel, model.get_base_model() if isinstance(model, PeftModel) else model)
    config = core.config
    half = core.dtype in (torch.bfloat16, torch.float16)
    if not half or core.device.type != "cpu" or config._attn_implementation != "sdpa":
        yield
        return
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(IMPLEMENTATION, _widened)
    AttentionMaskInterface.register(IMPLEMENTATION, sdpa_mask)
    config._attn_implementation = IMPLEMENTATION
    try:
        yield
    finally:
        config._attn_implementation = "sdpa"


def _widened(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **others: Any
) -> tuple[Tensor, None]:
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if mask is not None and mask.is_floating_point():
        mask = mask.float()
    out, _ = sdpa_attention_forward(module, query.float(), key.float(), value.float(), mask, **others)
    return out.to(query.dtype), None
