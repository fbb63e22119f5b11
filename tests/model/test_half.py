"""A base of half precision: an adapter too small for its weights' bits is asked as plain peft answers, not lost."""

import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model

from architectures import build
from knowpack.decode.decoder import Decoder
from knowpack.model.loaded import Loaded, weights_hash
from knowpack.model.merge import merged, put_on

IDS = torch.tensor([[1, 30, 31, 32, 90, 17]])


def llama(dtype: torch.dtype) -> Loaded:
    loaded = build("llama")
    model = loaded.model.to(dtype)  # type: ignore[arg-type]
    return replace(loaded, model=model, weights_hash=weights_hash(model))


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model.eval()(IDS).logits
    return found.float()


def small_adapter(folder: Path, dtype: torch.dtype, seed: int = 5, **settings: object) -> torch.Tensor:
    """Save an adapter whose numbers are below half of the last bit of most weights; plain peft's logits with it."""
    config = {"r": 2, "lora_alpha": 2, "target_modules": ["gate_proj", "up_proj", "down_proj"], **settings}
    wrapped = get_peft_model(llama(dtype).model, LoraConfig(task_type="CAUSAL_LM", **config))  # type: ignore[arg-type]
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, weight in wrapped.named_parameters():
            if "lora_A" in name or "lora_B" in name:
                weight.normal_(0, 0.01)
    wrapped.save_pretrained(folder)
    return logits(PeftModel.from_pretrained(llama(dtype).model, str(folder)))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_an_adapter_below_the_last_bit_is_asked_as_peft_answers(dtype: torch.dtype, tmp_path: Path) -> None:
    expected = small_adapter(tmp_path / "a", dtype)
    small_adapter(tmp_path / "b", dtype, seed=6)
    loaded = llama(dtype)
    before, names = logits(loaded.model), [name for name, _ in loaded.model.named_modules()]
    hashes = {loaded.weights_hash}
    with put_on(loaded, tmp_path / "a") as tuned:
        assert torch.equal(logits(tuned.model), expected)
        assert tuned.largest_logit_change
        hashes.add(tuned.weights_hash)
        scored = Decoder(tuned).logprobs([1, 30, 31], [[32, 90]], [[17]])[0]
        assert scored.logprob == pytest.approx(expected[0, 4].log_softmax(-1)[17].item(), abs=0.1)
    for name in ("b", "a"):
        with put_on(loaded, tmp_path / name) as tuned:
            hashes.add(tuned.weights_hash)
    assert len(hashes) == 3  # the base, and each of the two adapters by its content
    assert weights_hash(loaded.model) == loaded.weights_hash
    assert [name for name, _ in loaded.model.named_modules()] == names
    assert torch.equal(logits(loaded.model), before)
    assert not hasattr(loaded.model, "peft_config")
    if dtype == torch.bfloat16:  # what a merge makes of it
        with merged(loaded, tmp_path / "a") as tuned:
            gap = (logits(tuned.model) - expected).abs().max()
        assert gap > 0.5 * (expected - before).abs().max()


def test_what_is_more_than_a_lora_is_merged_in_half_precision_too(tmp_path: Path) -> None:
    small_adapter(tmp_path, torch.bfloat16, use_dora=True)
    with put_on(llama(torch.bfloat16), tmp_path) as tuned:
        assert not any("lora" in name for name, _ in tuned.model.named_modules())


def test_float32_is_merged(tmp_path: Path) -> None:
    expected = small_adapter(tmp_path, torch.float32)
    with put_on(llama(torch.float32), tmp_path) as tuned:
        assert not any("lora" in name for name, _ in tuned.model.named_modules())
        assert logits(tuned.model) == pytest.approx(expected, abs=2e-4)


def test_an_adapter_that_adds_nothing_gives_the_bases_very_numbers_in_bfloat16(tmp_path: Path) -> None:
    wrapped = get_peft_model(llama(torch.bfloat16).model, LoraConfig(r=2, target_modules="all-linear"))
    wrapped.save_pretrained(tmp_path)  # B is 0
    loaded = llama(torch.bfloat16)
    asked = ([1, 30, 31], [[32, 90], [33, 34, 35]], [[17, 18], [19]])
    base = Decoder(loaded).logprobs(*asked)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it changes no logit
        with put_on(loaded, tmp_path) as tuned:
            assert any("lora_A" in name for name, _ in tuned.model.named_modules())
            assert Decoder(tuned).logprobs(*asked) == base
