"""The layers below the adapter, computed once: what enters the ones above, and what refuses the short way."""

import pytest
import torch
import transformers
from transformers import PreTrainedModel

from architectures import build
from knowpack.config import TrainConfig
from knowpack.train import lora
from knowpack.train.batch import Row
from knowpack.train.lower import Logits

SIZE = {"vocab_size": 97, "hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4}
ENDS = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 0}
IDS = tuple((7 * i * i + 3) % 97 for i in range(200))
N_BEFORE, N_PROMPT = 60, 100  # tokens of the context; of the row before its targets


def gemma3() -> PreTrainedModel:
    """Layers of two types: each turns queries and keys by its own base, 10,000 or 1,000,000."""
    torch.manual_seed(0)
    types = ["sliding_attention", "sliding_attention", "full_attention"] * 2
    heads = {"num_key_value_heads": 2, "head_dim": 16, "query_pre_attn_scalar": 16}
    return transformers.AutoModelForCausalLM.from_config(
        transformers.Gemma3TextConfig(
            **SIZE,
            **ENDS,
            **heads,
            num_hidden_layers=6,
            layer_types=types,
            sliding_window=512,
            initializer_range=0.1,
            tie_word_embeddings=False,
        )
    )


@pytest.mark.parametrize("first", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(
    ("dtype", "limit"), [(torch.float32, 1e-5), (torch.bfloat16, 0.05)], ids=["float32", "bfloat16"]
)
def test_each_layer_above_keeps_the_positions_of_its_own_type(dtype: torch.dtype, limit: float, first: int) -> None:
    """Against transformers' own forward. The layers above were given the positions of the lowest ones: off by .16."""
    model = gemma3().to(dtype)
    row = Row(IDS[N_BEFORE:], N_PROMPT)
    with lora.adapted(model, TrainConfig(rank=2, alpha=4, from_layer=(first + 0.5) / 6), 1) as tuned, torch.no_grad():
        tuned.eval()
        whole = tuned(input_ids=torch.tensor([IDS]), use_cache=False).logits[0].float()
        expected = whole[N_BEFORE + N_PROMPT - 1 : -1]  # each target, by the position before it
        once = Logits(tuned, first)
        actual = once(IDS[:N_BEFORE], [row])
    assert once.skips
    assert len(model.model.layers) == len(model.config.layer_types) == 6
    assert ((actual - expected).std(-1) / expected.std(-1)).max() < limit


@pytest.mark.parametrize("name", ["biogpt", "modernbert-decoder"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_what_is_done_to_embeddings_refuses_the_short_way_in_half_precision_too(dtype: torch.dtype, name: str) -> None:
    """BioGPT scales what its embedding gives, ModernBERT's decoder normalizes it: at the few tokens of the check off by
    .03 of the logits' spread, less than rounding in bfloat16 is allowed elsewhere."""
    model = build(name).model.to(dtype)
    with lora.adapted(model, TrainConfig(rank=2, alpha=4, from_layer=0.5), 1) as tuned:
        assert not Logits(tuned, first=1).skips


def test_an_adapter_on_the_output_layer_too_gets_the_gradients_of_the_whole_model() -> None:
    model = gemma3()
    config = TrainConfig(rank=2, alpha=4, target_modules=("lm_head", "down_proj"), from_layer=0.5)
    row, of_weights = Row(IDS[N_BEFORE : N_BEFORE + 20], 10), []
    with lora.adapted(model, config, 1) as tuned:
        for name, weight in tuned.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.1)
        once = Logits(tuned, first=3)
        assert once.skips
        whole = tuned(input_ids=torch.tensor([IDS[: N_BEFORE + 20]]), use_cache=False).logits[0]
        for logits in (whole[N_BEFORE + 9 : -1], once(IDS[:N_BEFORE], [row])):
            of_weights.append([logits, *torch.autograd.grad(logits.square().sum(), lora.weights(tuned))])
        assert any("lm_head" in name for name, weight in tuned.named_parameters() if weight.requires_grad)
    for plain, ours in zip(*of_weights, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-3, atol=1e-4 * plain.abs().max().item())
