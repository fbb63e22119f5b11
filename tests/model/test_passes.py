"""Layers in fewer passes give what transformers' own give, and only inside the block."""

import pytest
import torch
import transformers
from torch import nn
from transformers.models.gemma.modeling_gemma import GemmaRMSNorm
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from knowpack.model.passes import fewer_passes, highest
from knowpack.model.products import fast_products


def llama(act: str = "silu", *, bias: bool = False) -> transformers.LlamaForCausalLM:
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=90, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, hidden_act=act, mlp_bias=bias,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config).eval()


def test_norm_equals_float64_by_the_formula() -> None:
    torch.manual_seed(0)
    norm, x = LlamaRMSNorm(24, eps=1e-2), torch.randn(2, 5, 24)
    with torch.no_grad():
        norm.weight.copy_(torch.randn(24))
    wide = x.double()
    expected = norm.weight.double() * wide / (wide.pow(2).mean(-1, keepdim=True) + 1e-2).sqrt()
    before = x.clone()
    with torch.inference_mode(), fewer_passes(norm):
        assert torch.allclose(norm(x).double(), expected, atol=1e-5)
    assert torch.equal(x, before)  # nothing is done in place on what the caller still needs


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("tokens", [3, 20])  # below and above the rows from which oneDNN multiplies
def test_mlp_equals_its_own(tokens: int, bias: bool) -> None:
    mlp, x = llama(bias=bias).model.layers[0].mlp, torch.randn(1, tokens, 32)
    with torch.inference_mode():
        expected = mlp(x)
        with fast_products(mlp), fewer_passes(mlp):
            found = mlp(x)
        with fewer_passes(mlp):
            plain = mlp(x)
    assert torch.allclose(found, expected, atol=1e-6)
    assert torch.allclose(plain, expected, atol=1e-6)


def test_other_activations_and_gemmas_norm_are_left_alone() -> None:
    model = nn.ModuleList([llama("gelu").model.layers[0].mlp, GemmaRMSNorm(8), LlamaRMSNorm(8).to(torch.bfloat16)])
    with fewer_passes(model):
        assert all("forward" not in module.__dict__ for module in model.modules())


def test_layers_come_back() -> None:
    model = llama()
    with fewer_passes(model):
        assert "forward" in model.model.layers[0].self_attn.__dict__
    assert all("forward" not in module.__dict__ for module in model.modules())


@pytest.mark.parametrize("width", [1, 63, 64, 65, 128, 150, 400])
def test_highest_is_the_first_of_the_highest(width: int) -> None:
    torch.manual_seed(0)
    for logits in (
        torch.randn(40, width),
        torch.randint(0, 3, (40, width)).float(),
        torch.randn(40, 2 * width)[:, ::2],
    ):
        expected = [row.index(max(row)) for row in logits.tolist()]
        assert highest(logits).tolist() == expected
    assert highest(torch.empty(0, width)).tolist() == []
