"""Layers in fewer passes give what transformers' own give, and only inside the block."""

import copy
from dataclasses import replace

import pytest
import torch
import transformers
from torch import nn
from transformers.models.gemma.modeling_gemma import GemmaRMSNorm
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from architectures import build
from knowpack.decode.forward import Forward
from knowpack.decode.kernels import KeyValue
from knowpack.decode.passes import fewer_passes, highest
from knowpack.decode.products import fast_products
from knowpack.decode.rows import Tree, pack, rounded


def llama(act: str = "silu", *, bias: bool = False) -> transformers.LlamaForCausalLM:
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=90,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        hidden_act=act,
        mlp_bias=bias,
    )
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


def test_norm_in_bfloat16_is_transformers_own() -> None:
    torch.manual_seed(0)
    norm, x = LlamaRMSNorm(24, eps=1e-2).to(torch.bfloat16), torch.randn(2, 150, 24).to(torch.bfloat16)
    with torch.no_grad():
        norm.weight.copy_(torch.randn(24))
    before, expected = x.clone(), norm(x).detach()
    with torch.inference_mode(), fewer_passes(norm):
        assert "forward" in norm.__dict__
        assert torch.equal(norm(x), expected)
    assert torch.equal(x, before)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("tokens", [3, 20])
def test_mlp_in_bfloat16_rounds_no_more_than_its_own(tokens: int, bias: bool) -> None:
    mlp, x = llama(bias=bias).model.layers[0].mlp.to(torch.bfloat16), torch.randn(1, tokens, 32).to(torch.bfloat16)
    full = copy.deepcopy(mlp).double()
    with torch.inference_mode():
        exact, own = full(x.double()), mlp(x).double()
        with fast_products(mlp), fewer_passes(mlp):
            found = mlp(x).double()
    assert (found - exact).norm() < 1.2 * (own - exact).norm()


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
    model = nn.ModuleList([llama("gelu").model.layers[0].mlp, GemmaRMSNorm(8), LlamaRMSNorm(8).to(torch.float16)])
    with fewer_passes(model):
        assert all("forward" not in module.__dict__ for module in model.modules())


def test_layers_come_back() -> None:
    model = llama()
    with fewer_passes(model):
        assert "forward" in model.model.layers[0].self_attn.__dict__
    assert all("forward" not in module.__dict__ for module in model.modules())


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("name", ["llama", "qwen2"])
@pytest.mark.parametrize("prefix", [(), (7, 8, 9)])
def test_the_last_layer_computes_only_what_is_read(name: str, prefix: tuple[int, ...]) -> None:
    loaded = build(name)
    rows, wanted = [[3, 4, 5, 6], [9, 8], [5, 1]], [[1, 3], [1], []]
    with torch.no_grad():
        whole = [loaded.model(input_ids=torch.tensor([[*prefix, *row]])).logits[0, len(prefix) :] for row in rows]
    expected = torch.cat([logits[places] for logits, places in zip(whole, wanted, strict=True)])
    seen: list[int] = []
    layers = loaded.model.model.layers
    for layer in layers:
        layer.mlp.down_proj.register_forward_hook(lambda _, given, __: seen.append(given[0].shape[-2]))
    forward = Forward(loaded)
    with forward.session():
        before = forward.prefix(prefix)
        seen.clear()
        found = forward.rows(before, [Tree(row) for row in rows], wanted).logits
    assert seen == [8] * (len(layers) - 1) + [rounded(3)]  # 8 tokens, 3 places
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-4)


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("kv_heads", [2, 4])
def test_chains_by_length_attend_as_padded_ones(kv_heads: int) -> None:
    torch.manual_seed(0)
    rows = pack([Tree(range(n)) for n in (5, 3, 3, 3, 1, 5)], torch.device("cpu"))
    tokens = len(rows.ids)
    query = torch.randn(tokens, 4, 8)
    kv = KeyValue(torch.randn(tokens, kv_heads, 8), torch.randn(tokens, kv_heads, 8))
    assert [(run.n, run.length) for run in rows.runs or []] == [(1, 5), (3, 3), (1, 1), (1, 5)]
    found = rows.attend(0, query, kv, 0.3, None)
    padded = replace(rows, runs=None).attend(0, query, kv, 0.3, None)
    assert padded.share is not None  # the other way was taken
    n = 20  # behind them stand tokens that nobody reads
    torch.testing.assert_close(found.out[:n], (padded.out * padded.share[..., None])[:n], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.lse[:n], padded.lse[:n], atol=1e-5, rtol=1e-5)
    assert bool(found.out.isfinite().all())


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
