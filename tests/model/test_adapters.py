"""Adapters that rewrite the base, sit on tied weights, lack tensors or come from elsewhere; plain peft decides."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

from architectures import build
from knowpack.errors import ModelError
from knowpack.model.adapter import read_adapter, write_made_on
from knowpack.model.loaded import Loaded, weights_hash
from knowpack.model.locations import MADE_ON
from knowpack.model.merge import merged

IDS = torch.tensor([[1, 30, 31, 32, 90, 17, 5, 9]])
MLP = ["gate_proj", "up_proj", "down_proj"]
NEOX = ["dense_h_to_4h"]

CASES: dict[str, tuple[str, dict[str, object]]] = {
    "pissa": ("llama", {"init_lora_weights": "pissa", "target_modules": MLP}),
    "olora": ("llama", {"init_lora_weights": "olora", "target_modules": MLP}),
    "bias_all": ("gpt_neox", {"bias": "all", "target_modules": NEOX}),
    "bias_lora_only": ("gpt_neox", {"bias": "lora_only", "target_modules": NEOX}),
    "trainable_tokens": ("llama", {"trainable_token_indices": [5, 9], "target_modules": MLP}),
    "trainable_tokens_tied": ("llama_tied", {"trainable_token_indices": [5, 9], "target_modules": MLP}),
    "modules_to_save_head": ("llama", {"modules_to_save": ["lm_head"], "target_modules": MLP}),
    "modules_to_save_embeddings": ("llama", {"modules_to_save": ["embed_tokens"], "target_modules": MLP}),
    "head": ("llama", {"target_modules": ["lm_head"]}),
    "embeddings": ("llama", {"target_modules": ["embed_tokens"]}),
    "head_tied": ("llama_tied", {"target_modules": ["lm_head", *MLP]}),
    "embeddings_tied": ("llama_tied", {"target_modules": ["embed_tokens"]}),
    "both_tied": ("llama_tied", {"target_modules": ["embed_tokens", "lm_head"]}),
}


def logits(model: torch.nn.Module) -> torch.Tensor:
    model.eval()
    with torch.no_grad():
        found: torch.Tensor = model(IDS).logits
    return found


def plain(name: str, folder: Path) -> torch.Tensor:
    """What plain peft says with the adapter, unmerged, on a fresh base."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft's, on tied weights
        return logits(PeftModel.from_pretrained(build(name).model, str(folder)))


def made(name: str, folder: Path, save_embeddings: bool = False, **settings: object) -> Path:
    """An adapter with random weights wherever peft would train, on a base that is thrown away."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft's, on tied weights
        config = LoraConfig(**{"r": 2, "lora_alpha": 4, "task_type": "CAUSAL_LM", **settings})  # type: ignore[arg-type]
        wrapped = get_peft_model(build(name).model, config)
        torch.manual_seed(5)
        with torch.no_grad():
            for weight in wrapped.parameters():
                if weight.requires_grad:
                    weight.add_(0.2 * torch.randn(weight.shape))
        wrapped.save_pretrained(folder, save_embedding_layers=save_embeddings)
    return folder


def rewritten(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> Path:
    """The adapter with its tensors changed."""
    tensors = load_file(folder / "adapter_model.safetensors")
    change(tensors)
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    return folder


def refused(loaded: Loaded, folder: Path, what: str) -> None:
    with pytest.raises(ModelError, match=what) as caught, merged(loaded, folder):
        pass
    assert "\n" not in str(caught.value)
    assert weights_hash(loaded.model) == loaded.weights_hash


@pytest.mark.parametrize("case", sorted(CASES))
def test_an_adapter_that_rewrites_the_base_answers_as_peft_and_the_base_returns(case: str, tmp_path: Path) -> None:
    name, settings = CASES[case]
    folder = made(name, tmp_path, **settings)
    expected = plain(name, folder)
    loaded = build(name)
    before, tied = logits(loaded.model), _tied(loaded)
    for _ in range(2):  # the second time a base that was not brought back would show
        with merged(loaded, folder) as tuned:
            assert logits(tuned.model) == pytest.approx(expected, abs=1e-3, rel=1e-4)
            assert tuned.largest_logit_change is not None
            assert tuned.largest_logit_change > 0.01
        assert weights_hash(loaded.model) == loaded.weights_hash
        assert torch.equal(logits(loaded.model), before)
        assert _tied(loaded) == tied


def _tied(loaded: Loaded) -> bool:
    model = loaded.model
    return model.get_input_embeddings().weight is model.get_output_embeddings().weight


def test_saved_embeddings_that_overwrite_lm_head_do_not_stay_in_the_base(llama: Loaded, tmp_path: Path) -> None:
    folder = made("llama", tmp_path, save_embeddings=True, target_modules=MLP)

    def other_head(tensors: dict[str, torch.Tensor]) -> None:
        (key,) = [key for key in tensors if "lm_head" in key]
        tensors[key] = tensors[key] + 1.0

    rewritten(folder, other_head)
    expected = plain("llama", folder)
    with merged(llama, folder) as tuned:
        assert logits(tuned.model) == pytest.approx(expected, abs=1e-3)
    assert weights_hash(llama.model) == llama.weights_hash


def test_an_adapter_without_tensors_or_with_some_missing_or_unknown_is_refused(llama: Loaded, tmp_path: Path) -> None:
    folder = made("llama", tmp_path, target_modules=MLP)
    whole = (folder / "adapter_model.safetensors").read_bytes()
    rewritten(folder, lambda tensors: tensors.clear())
    refused(llama, folder, "has no tensors")
    (folder / "adapter_model.safetensors").write_bytes(whole)
    rewritten(folder, lambda tensors: [tensors.pop(key) for key in sorted(tensors)[:5]])
    refused(llama, folder, r"lacks 5 of its 18 tensors, for example base_model\.model")
    (folder / "adapter_model.safetensors").write_bytes(whole)
    rewritten(folder, lambda tensors: tensors.update({"base_model.model.model.norm.weight": torch.ones(48)}))
    refused(llama, folder, r"peft does not read: base_model\.model\.model\.norm\.weight")


@pytest.mark.parametrize("alpha", [1e30, float("inf"), float("nan"), "8", None])
def test_an_alpha_that_no_training_gives_is_refused(llama: Loaded, tmp_path: Path, alpha: object) -> None:
    folder = made("llama", tmp_path, target_modules=MLP)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**config, "lora_alpha": alpha}))
    refused(llama, folder, "lora_alpha=.*no training gives that scale")


def test_infinite_weights_and_weights_that_overflow_are_refused(llama: Loaded, tmp_path: Path) -> None:
    folder = made("llama", tmp_path, target_modules=MLP)
    whole = (folder / "adapter_model.safetensors").read_bytes()
    rewritten(folder, lambda tensors: next(iter(tensors.values())).fill_(float("inf")))
    refused(llama, folder, "NaN or infinite numbers in")
    (folder / "adapter_model.safetensors").write_bytes(whole)
    rewritten(folder, lambda tensors: [tensor.fill_(1e20) for tensor in tensors.values()])
    refused(llama, folder, "logits are NaN or infinite")


def test_a_config_nested_too_deep_is_one_line(llama: Loaded, tmp_path: Path) -> None:
    folder = made("llama", tmp_path, target_modules=MLP)
    (folder / "adapter_config.json").write_text("[" * 100_000)
    refused(llama, folder, "cannot be read")


def test_an_adapter_that_changes_nothing_is_said(llama: Loaded, tmp_path: Path) -> None:
    folder = made("llama", tmp_path, target_modules=MLP)
    rewritten(folder, lambda tensors: [tensor.zero_() for key, tensor in tensors.items() if "lora_B" in key])
    with pytest.warns(UserWarning, match="changes no logit"), merged(llama, folder) as tuned:
        assert tuned.largest_logit_change == 0.0


def test_a_same_shape_adapter_of_another_base_is_said(llama: Loaded, tmp_path: Path) -> None:
    folder = made("llama", tmp_path, target_modules=MLP)
    write_made_on(folder, llama)
    with merged(llama, folder):
        pass  # its own base: nothing is said
    other = build("llama", seed=1)
    with pytest.warns(UserWarning, match=f"trained on weights {llama.weights_hash}"), merged(other, folder):
        pass
    (folder / MADE_ON).unlink()
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": "someone/else"}))
    with pytest.warns(UserWarning, match="made for someone/else, and is put on llama"), merged(llama, folder):
        pass
    (folder / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": "meta/Llama"}))
    assert read_adapter(folder).base_name == "meta/Llama"
    with merged(llama, folder):
        pass  # the same name behind another owner or folder
