"""Adapters with a LoRA for each expert, as peft wrote them under transformers 4, on today's models of fused experts.

Expected weights are W + s B A, added expert by expert by hand.
"""

import copy
import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from architectures import build
from knowpack.errors import ModelError
from knowpack.model.adapter import read_adapter, refuse_beyond
from knowpack.model.loaded import Loaded, weights_hash
from knowpack.model.merge import merged, put_on

from .test_adapters import logits

NAMES = {  # the block's name in transformers 4; gate, up, down
    "mixtral": ("block_sparse_moe", ("w1", "w3", "w2")),
    "qwen3_moe": ("mlp", ("gate_proj", "up_proj", "down_proj")),
}
RANK, SCALE = 2, 2.0
Pair = tuple[torch.Tensor, torch.Tensor]


def pairs(n_out: int, n_in: int) -> Pair:
    return torch.randn(RANK, n_in) * 0.3, torch.randn(n_out, RANK) * 0.3


def made(kind: str, folder: Path) -> tuple[Path, torch.Tensor]:
    """The adapter, and the logits of the model with it added by hand."""
    torch.manual_seed(0)
    block, names = NAMES[kind]
    model = copy.deepcopy(build(kind).model)
    tensors: dict[str, torch.Tensor] = {}

    def stored(place: str, pair: Pair) -> torch.Tensor:
        for letter, tensor in zip("AB", pair, strict=True):
            tensors[f"base_model.model.model.layers.{place}.lora_{letter}.weight"] = tensor
        return SCALE * pair[1] @ pair[0]

    with torch.no_grad():
        for number, layer in enumerate(model.model.layers):
            experts, query = layer.mlp.experts, layer.self_attn.q_proj
            query.weight += stored(f"{number}.self_attn.q_proj", pairs(*query.weight.shape))
            n_experts, hidden, width = experts.down_proj.shape
            for expert in range(n_experts):
                at = f"{number}.{block}.experts.{expert}"
                gate, up = (stored(f"{at}.{name}", pairs(width, hidden)) for name in names[:2])
                experts.gate_up_proj[expert] += torch.cat([gate, up])
                experts.down_proj[expert] += stored(f"{at}.{names[2]}", pairs(hidden, width))
    settings = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": RANK,
        "lora_alpha": SCALE * RANK,
        "target_modules": [*names, "q_proj"],
        "base_model_name_or_path": ".",
    }
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    save_file(tensors, folder / "adapter_model.safetensors")
    return folder, logits(model)


@pytest.fixture(params=sorted(NAMES))
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def test_a_lora_for_each_expert_is_measured_as_it_was_made(kind: str, tmp_path: Path) -> None:
    """Refused before: "the model has no such layer", where plain peft puts it on."""
    folder, expected = made(kind, tmp_path)
    loaded = build(kind)
    before = logits(loaded.model)
    for way in (merged, put_on):
        with way(loaded, folder) as tuned:
            assert logits(tuned.model) == pytest.approx(expected, abs=1e-4)
        assert torch.equal(logits(loaded.model), before)
        assert weights_hash(loaded.model) == loaded.weights_hash
    assert (expected - before).abs().max() > 0.05


def test_in_bfloat16_too(kind: str, tmp_path: Path) -> None:
    folder, expected = made(kind, tmp_path)
    loaded = build(kind)
    far = (logits(loaded.model) - expected).abs().max()
    loaded.model.to(torch.bfloat16)
    half: Loaded = dataclasses.replace(loaded, weights_hash=weights_hash(loaded.model))
    with put_on(half, folder) as tuned:
        assert (logits(tuned.model).float() - expected).abs().max() < 0.2 * far


@pytest.mark.parametrize("lost", ["lora_B", "an expert"])
def test_an_expert_without_its_part_is_refused(kind: str, lost: str, tmp_path: Path) -> None:
    folder, _ = made(kind, tmp_path)
    tensors = load_file(folder / "adapter_model.safetensors")
    name = next(key for key in tensors if ".experts.1." in key)
    stem = name.partition(".lora_")[0]
    gone = [key for key in tensors if key.startswith(f"{stem}.lora_B" if lost == "lora_B" else f"{stem}.")]
    assert gone
    save_file({key: one for key, one in tensors.items() if key not in gone}, folder / "adapter_model.safetensors")
    loaded = build(kind)
    before = logits(loaded.model)
    with pytest.raises(ModelError) as caught, put_on(loaded, folder):
        pass
    assert "\n" not in str(caught.value)
    assert torch.equal(logits(loaded.model), before)


def test_nothing_is_trained_onto_it(tmp_path: Path) -> None:
    folder, _ = made("mixtral", tmp_path)
    with pytest.raises(ModelError, match="uses a LoRA for each expert, which this training does not"):
        refuse_beyond(read_adapter(folder))


def test_a_layer_that_no_model_has_is_refused_beside_experts(tmp_path: Path) -> None:
    folder, _ = made("qwen3_moe", tmp_path)
    tensors = load_file(folder / "adapter_model.safetensors")
    odd = "base_model.model.model.layers.0.mlp.odd_proj.lora_A.weight"
    save_file(tensors | {odd: torch.ones(2, 2)}, folder / "adapter_model.safetensors")
    with (
        pytest.raises(ModelError, match=r"has a tensor that peft does not read: .*odd_proj"),
        put_on(build("qwen3_moe"), folder),
    ):
        pass
