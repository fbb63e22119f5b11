"""What makes a step of training fast on the CPU changes none of its sums: each part against torch's or peft's own."""

import copy
from contextlib import nullcontext

import pytest
import torch
import transformers
from torch import nn
from transformers import PreTrainedModel

from knowpack.config import TrainConfig
from knowpack.train import batch, frozen, head, lora
from knowpack.train.batch import NO_LOSS, Row, collate
from knowpack.train.float32_attention import in_float32
from knowpack.train.frozen import fast_training

SIZE = {"vocab_size": 64, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4}
WIDE = {**SIZE, "intermediate_size": 32, "max_position_embeddings": 64, "num_key_value_heads": 2}
ROWS = [Row((1, 2, 3, 4, 5), 3), Row((9, 8, 7), 1), Row((6, 6, 2, 1, 0, 3, 4), 2)]


def model_of(config: transformers.PretrainedConfig | None = None) -> PreTrainedModel:
    torch.manual_seed(0)
    return transformers.AutoModelForCausalLM.from_config(config or transformers.LlamaConfig(**WIDE))


def moved(tuned: nn.Module) -> None:
    """Away from B = 0, where A would have no gradient."""
    torch.manual_seed(1)
    for name, weight in tuned.named_parameters():
        if "lora_B" in name:
            weight.data.normal_(0, 0.1)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("at_once", [64, 200, 1 << 24])  # a token, three tokens, all of them
def test_the_loss_in_blocks_is_torchs_cross_entropy_with_its_gradients(
    at_once: int, fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head, "NUMBERS_AT_ONCE", at_once)
    some = collate(ROWS, torch.device("cpu"))
    with lora.adapted(model_of(), TrainConfig(rank=3, alpha=6), 1) as tuned:
        assert head.can_split(tuned.get_base_model())
        moved(tuned)
        expected = nn.functional.cross_entropy(
            batch.logits(tuned, some).flatten(0, 1), some.targets.flatten(), ignore_index=NO_LOSS
        )
        of_weights = torch.autograd.grad(expected, lora.weights(tuned))
        with fast_training(tuned) if fast else nullcontext():
            loss = head.cross_entropy(tuned, some)
        torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-6)
        for ours, theirs in zip(torch.autograd.grad(loss, lora.weights(tuned)), of_weights, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", [transformers.MambaConfig, transformers.Mamba2Config, transformers.FalconMambaConfig])
def test_logits_that_the_model_makes_float32_beside_weights_in_bfloat16_are_split(kind: type) -> None:
    heads = {"num_heads": 4, "head_dim": 8, "n_groups": 1} if kind is transformers.Mamba2Config else {}
    half = model_of(kind(vocab_size=64, hidden_size=16, num_hidden_layers=2, state_size=8, **heads)).to(torch.bfloat16)
    some = collate(ROWS, torch.device("cpu"))
    with lora.adapted(half, TrainConfig(rank=3, alpha=6, target_modules=("in_proj",)), 1) as tuned:
        assert head.can_split(tuned.get_base_model())
        moved(tuned)
        plain = batch.logits(tuned, some).flatten(0, 1)
        assert plain.dtype == torch.float32
        expected = nn.functional.cross_entropy(plain, some.targets.flatten(), ignore_index=NO_LOSS)
        of_weights = torch.autograd.grad(expected, lora.weights(tuned))
        loss = head.cross_entropy(tuned, some)
        torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)
        for ours, theirs in zip(torch.autograd.grad(loss, lora.weights(tuned)), of_weights, strict=True):
            assert (ours - theirs).norm() < 0.02 * theirs.norm()  # rounded to 8 bits on the way back, each otherwise


def test_blocks_hold_no_more_numbers_than_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """16 rows of 60 tokens at 152,000 words took 10 GB: the logits of all tokens in float32, several times."""
    monkeypatch.setattr(head, "NUMBERS_AT_ONCE", 3 * 64)
    widest = []
    real = head.product

    def watched(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        widest.append(len(x) if x.dim() == 2 else 0)
        return real(x, weight)

    monkeypatch.setattr(head, "product", watched)
    with lora.adapted(model_of(), TrainConfig(rank=1, alpha=2), 1) as tuned:
        head.cross_entropy(tuned, collate(ROWS, torch.device("cpu"))).backward()
    assert max(widest) == 3


def test_logits_that_are_capped_after_the_product_are_not_split() -> None:
    capped = transformers.Gemma2Config(**WIDE, head_dim=4, final_logit_softcapping=0.5)
    with lora.adapted(model_of(capped), TrainConfig(rank=1, alpha=2), 1) as tuned:
        assert not head.can_split(tuned.get_base_model())
        some = collate(ROWS, torch.device("cpu"))
        logits = batch.logits(tuned, some).flatten(0, 1)
        expected = nn.functional.cross_entropy(logits, some.targets.flatten(), ignore_index=NO_LOSS)
        torch.testing.assert_close(head.cross_entropy(tuned, some), expected)


@pytest.mark.parametrize(
    "config",
    [
        transformers.Gemma2Config(**WIDE, head_dim=4, final_logit_softcapping=30.0),
        transformers.CohereConfig(**WIDE, logit_scale=0.99),
        transformers.GraniteConfig(**WIDE, logits_scaling=1.01),
    ],
    ids=["cap", "scale", "divisor"],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_cap_or_scale_too_small_to_show_at_small_logits_is_seen(
    config: transformers.PretrainedConfig, dtype: torch.dtype
) -> None:
    """A cap of 30 changes logits of 10 by 4%: less than rounding in bfloat16 is allowed, and at 50 by a third."""
    assert not head.can_split(model_of(config).to(dtype).requires_grad_(False))
    assert head.can_split(model_of().to(dtype).requires_grad_(False))


@pytest.mark.parametrize("trained", ["lm_head", "bias"])
def test_an_output_layer_that_is_trained_or_has_a_bias_is_not_split(trained: str) -> None:
    model = model_of()
    model.requires_grad_(False)
    assert head.can_split(model)
    if trained == "bias":
        model.lm_head.bias = nn.Parameter(torch.zeros(64), requires_grad=False)
    else:
        model.lm_head.weight.requires_grad_(True)
    assert not head.can_split(model)


class _Given(nn.Dropout):
    """Dropout of given masks, by the input's width."""

    def __init__(self, p: float, masks: dict[int, torch.Tensor]) -> None:
        super().__init__(p)
        self.masks = masks

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.masks[x.shape[-1]].view(x.shape) / (1 - self.p)


def test_with_dropout_of_the_same_numbers_gradients_are_pefts(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = torch.randint(0, 64, (4, 8))
    masks = {width: torch.rand(32, width) < 0.7 for width in (16, 32)}
    monkeypatch.setattr(frozen, "_kept", lambda x, _: masks[x.shape[-1]])
    found = []
    with lora.adapted(model_of(), TrainConfig(rank=3, alpha=6, dropout=0.3), 1) as tuned:
        moved(tuned)
        tuned.train()
        for fast in (True, False):
            if not fast:
                for module in [module for module in tuned.modules() if hasattr(module, "lora_dropout")]:
                    module.lora_dropout["default"] = _Given(0.3, masks)
            with fast_training(tuned) if fast else nullcontext():
                loss = tuned(input_ids=ids).logits.square().sum()
            found.append((loss, *torch.autograd.grad(loss, lora.weights(tuned))))
    for ours, by_peft in zip(*found, strict=True):
        torch.testing.assert_close(ours, by_peft, rtol=1e-4, atol=1e-5)


def test_dropout_keeps_its_share_of_the_numbers_and_draws_from_torchs_seed() -> None:
    x = torch.zeros(2, 1000, 333)
    torch.manual_seed(0)
    kept = frozen._kept(x, 0.1)
    assert kept.shape == (2000, 333)
    assert abs(kept.double().mean().item() - 0.9) < 4 * (0.9 * 0.1 / kept.numel()) ** 0.5  # four standard errors
    together = (kept[:, 1:] & kept[:, :-1]).double().mean().item()
    assert abs(together - 0.81) < 4 * (0.81 * 0.19 / kept.numel()) ** 0.5, "neighbours are not independent"
    assert not torch.equal(frozen._kept(x, 0.1), kept)
    torch.manual_seed(0)
    assert torch.equal(frozen._kept(x, 0.1), kept)


def test_dropout_is_left_out_where_the_model_is_only_asked() -> None:
    ids = torch.randint(0, 64, (4, 8))
    with lora.adapted(model_of(), TrainConfig(rank=3, alpha=6, dropout=0.5), 1) as tuned:
        moved(tuned)
        tuned.eval()
        with torch.no_grad():
            expected = tuned(input_ids=ids).logits
            with fast_training(tuned):
                torch.testing.assert_close(tuned(input_ids=ids).logits, expected, rtol=1e-4, atol=1e-5)
        tuned.train()
        with fast_training(tuned):
            assert not torch.allclose(tuned(input_ids=ids).logits, expected, atol=1e-3)


def test_attention_beside_weights_in_bfloat16_is_float32s() -> None:
    """Against torch's own attention in float32 of the same rounded queries, keys and values; the mask is kept."""
    from transformers import AttentionInterface

    half = model_of().to(torch.bfloat16)
    query, key, value = (torch.randn(2, n, 7, 4).to(torch.bfloat16) for n in (4, 2, 2))
    layer = half.model.layers[0].self_attn
    attend = nn.functional.scaled_dot_product_attention
    exact = attend(
        query.float(), key.float().repeat_interleave(2, 1), value.float().repeat_interleave(2, 1), is_causal=True
    )
    with in_float32(half):
        ours, _ = AttentionInterface()[half.config._attn_implementation](layer, query, key, value, None)
    assert half.config._attn_implementation == "sdpa"
    torch.testing.assert_close(ours, exact.transpose(1, 2).to(torch.bfloat16), rtol=0, atol=0)


def test_with_attention_in_float32_gradients_are_no_farther_from_the_exact_ones_and_padding_stays_hidden() -> None:
    half = model_of().to(torch.bfloat16)
    full = copy.deepcopy(half).float()
    ids, mask = torch.randint(0, 64, (4, 16)), torch.ones(4, 16, dtype=torch.long)
    mask[1, :9] = 0
    found = []
    for model, widened in ((full, False), (half, False), (half, True)):
        model.zero_grad()
        with in_float32(model) if widened else nullcontext():
            logits = model(input_ids=ids, attention_mask=mask).logits
        (logits.float().square() * mask[..., None]).sum().backward()
        found.append(torch.cat([weight.grad.float().flatten() for weight in model.parameters()]))
    exact, narrow, ours = found
    assert not torch.equal(ours, narrow)
    assert (ours - exact).norm() < 1.1 * (narrow - exact).norm() < 0.1 * exact.norm()


def test_float32_and_other_attention_are_left_alone() -> None:
    full = model_of()
    with in_float32(full):
        assert full.config._attn_implementation == "sdpa"
    half = transformers.AutoModelForCausalLM.from_config(
        transformers.LlamaConfig(**WIDE), attn_implementation="eager"
    ).to(torch.bfloat16)
    with in_float32(half):
        assert half.config._attn_implementation == "eager"


@pytest.mark.parametrize("in_cache", [1, 14, 1 << 19])  # a row at a time, two, all
def test_log_probabilities_of_some_tokens_are_torchs_with_their_gradients(
    in_cache: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head, "IN_CACHE", in_cache)
    logits = (10 * torch.randn(5, 7, dtype=torch.float64)).requires_grad_()
    ids = torch.tensor([[0, 3], [6, 1], [2, 2], [4, 5], [5, 0]])  # one row asks for a token twice
    expected = nn.functional.log_softmax(logits, -1).gather(1, ids)
    torch.testing.assert_close(head.logprobs_at(logits, ids), expected)
    assert torch.autograd.gradcheck(lambda z: head.logprobs_at(z, ids), logits)
    assert head.logprobs_at(logits[:0], ids[:0]).shape == (0, 2)
