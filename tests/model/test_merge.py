"""An adapter in the weights answers as peft does, and the base comes back bit for bit."""

import json
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model

from architectures import build
from knowpack.errors import ModelError
from knowpack.model.loaded import Loaded, weights_hash
from knowpack.model.merge import merged

IDS = torch.tensor([[1, 30, 31, 32, 90, 17]])
LLAMA_MLP = ["gate_proj", "up_proj", "down_proj"]


def adapter(loaded: Loaded, folder: Path, **settings: object) -> torch.Tensor:
    """Save a random adapter; returns the logits that plain peft gives with it. The base is left clean."""
    config = LoraConfig(**{"r": 2, "lora_alpha": 4, "target_modules": LLAMA_MLP, "task_type": "CAUSAL_LM", **settings})  # type: ignore[arg-type]
    wrapped = get_peft_model(loaded.model, config)
    torch.manual_seed(5)
    with torch.no_grad():
        for name, weight in wrapped.named_parameters():
            if "lora_" in name:
                weight.normal_(0, 0.3)
    wrapped.save_pretrained(folder)
    wrapped.unload()
    for weight in loaded.model.parameters():
        weight.requires_grad_(True)
    fresh = build(loaded.name)
    return logits(PeftModel.from_pretrained(fresh.model, str(folder)))


def logits(model: torch.nn.Module) -> torch.Tensor:
    model.eval()
    with torch.no_grad():
        found: torch.Tensor = model(IDS).logits
    return found


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"use_rslora": True, "r": 4},
        {"use_dora": True},
        {"rank_pattern": {"up_proj": 3}, "alpha_pattern": {"down_proj": 9}},
        {"target_modules": ["q_proj", "o_proj"], "modules_to_save": ["norm"]},
    ],
    ids=["lora", "rslora", "dora", "patterns", "saved_modules"],
)
def test_merged_equals_peft_and_the_base_returns_bit_for_bit(
    llama: Loaded, tmp_path: Path, settings: dict[str, object]
) -> None:
    expected = adapter(llama, tmp_path, **settings)
    names = [name for name, _ in llama.model.named_modules()]
    before = logits(llama.model)
    with merged(llama, tmp_path) as tuned:
        assert logits(tuned.model) == pytest.approx(expected, abs=2e-4)
        assert tuned.weights_hash not in ("", llama.weights_hash)
        assert not any("lora" in name for name, _ in tuned.model.named_modules())
    assert weights_hash(llama.model) == llama.weights_hash
    assert [name for name, _ in llama.model.named_modules()] == names
    assert all(weight.requires_grad for weight in llama.model.parameters())
    assert torch.equal(logits(llama.model), before)
    assert not hasattr(llama.model, "peft_config")


def test_the_base_returns_after_an_error_inside(llama: Loaded, tmp_path: Path) -> None:
    adapter(llama, tmp_path)
    with pytest.raises(KeyError), merged(llama, tmp_path):
        raise KeyError("probe failed")
    assert weights_hash(llama.model) == llama.weights_hash


def test_an_adapter_of_another_base_is_one_clear_line(llama: Loaded, tmp_path: Path) -> None:
    adapter(llama, tmp_path)
    other = build("gpt_neox")
    with pytest.raises(ModelError, match=r"does not fit gpt_neox.*no such layer"), merged(other, tmp_path):
        pass
    import transformers

    config = transformers.LlamaConfig(
        vocab_size=50, hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4
    )
    small = transformers.LlamaForCausalLM(config)
    other = Loaded(small, llama.tokenizer, "small", llama.device, weights_hash(small))
    with pytest.raises(ModelError, match=r"does not fit small.*takes 80 inputs.*\(32, 64\)"), merged(other, tmp_path):
        pass
    assert weights_hash(small) == other.weights_hash


def test_pickled_missing_torn_and_foreign_adapters(llama: Loaded, tmp_path: Path) -> None:
    def refused(what: str) -> None:
        with pytest.raises(ModelError, match=what) as caught, merged(llama, tmp_path / "a"):
            pass
        assert "\n" not in str(caught.value)
        assert weights_hash(llama.model) == llama.weights_hash

    refused("no adapter folder")
    (tmp_path / "a").mkdir()
    refused("no adapter_config.json")
    adapter(llama, tmp_path / "a")
    weights = tmp_path / "a" / "adapter_model.safetensors"
    torn = weights.read_bytes()[:200]
    weights.rename(tmp_path / "a" / "adapter_model.bin")
    refused("pickled")
    weights.write_bytes(torn)
    refused("cannot be read")
    config = json.loads((tmp_path / "a" / "adapter_config.json").read_text())
    adapter(llama, tmp_path / "a")
    (tmp_path / "a" / "adapter_config.json").write_text(json.dumps({**config, "peft_type": "IA3"}))
    refused("type IA3; expected LORA")


def test_an_adapter_with_nan_is_refused(llama: Loaded, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    adapter(llama, tmp_path)
    tensors = load_file(tmp_path / "adapter_model.safetensors")
    tensors[next(iter(tensors))][0] = float("nan")
    save_file(tensors, tmp_path / "adapter_model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="NaN or infinite numbers in base_model"), merged(llama, tmp_path):
        pass
    assert weights_hash(llama.model) == llama.weights_hash
