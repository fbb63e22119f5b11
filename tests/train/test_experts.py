"""Mixtures of experts: where `auto` puts an adapter, and what plain peft says of it afterwards."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model

import tiny
from architectures import build
from knowpack import records
from knowpack.config import ModelConfig, PlainRecipe, TrainConfig
from knowpack.errors import ModelError
from knowpack.model.load import load
from knowpack.model.loaded import weights_hash
from knowpack.model.merge import merged
from knowpack.probe.prompts import Prompter
from knowpack.records import Example
from knowpack.train import lora, target_modules
from knowpack.train.train import train

IDS = torch.tensor([[1, 30, 31, 32, 90, 17, 5, 9], [4, 8, 15, 16, 23, 42, 77, 99]])
FUSED = ["experts.down_proj", "experts.gate_up_proj"]
SHARED = ["down_proj", "gate_proj", "up_proj"]
CHOSEN: dict[str, tuple[list[str], list[str]]] = {
    "mixtral": ([], FUSED),
    "qwen3_moe": ([], FUSED),
    "qwen2_moe": (SHARED, FUSED),
    "olmoe": ([], FUSED),
    "gpt_oss": ([], FUSED),
    "granitemoe": ([], FUSED),
    "llama4": (SHARED, FUSED),
    "llama": (SHARED, []),
}


def logits(model: torch.nn.Module) -> torch.Tensor:
    model.eval()
    with torch.no_grad():
        found: torch.Tensor = model(IDS).logits
    return found


@pytest.mark.parametrize("name", sorted(CHOSEN))
def test_auto_takes_experts_and_shared_experts_and_no_router(name: str) -> None:
    model = build(name).model
    found = target_modules.targets(model, ("auto",))
    assert (found.modules, found.parameters) == CHOSEN[name]
    expected = target_modules.n_parameters(model, TrainConfig(rank=2))
    with lora.adapted(model, TrainConfig(rank=2, alpha=4), 1) as wrapped:
        trained = [key for key, weight in wrapped.named_parameters() if weight.requires_grad]
        assert not [key for key in trained if {"router", "gate", "shared_expert_gate"} & set(key.split("."))]
        assert expected == sum(weight.numel() for weight in lora.weights(wrapped))


def test_auto_reaches_nearly_all_weights_of_the_mlps() -> None:
    model = build("qwen2_moe").model
    found = target_modules.targets(model, ("auto",))
    inside = {key: weight.numel() for key, weight in model.named_parameters() if ".mlp." in key}
    names = [*(f"{one}.weight" for one in found.modules), *found.parameters]
    reached = sum(n for key, n in inside.items() if key.endswith(tuple(names)))
    assert reached / sum(inside.values()) > 0.95, "all but the routers"


def test_towers_for_pictures_are_left_alone() -> None:
    parts = {"vision_tower": torch.nn.ModuleDict({"mlp": torch.nn.ModuleDict({"fc1": torch.nn.Linear(2, 2)})})}
    text = {"layers": torch.nn.ModuleDict({"mlp": torch.nn.ModuleDict({"up_proj": torch.nn.Linear(2, 2)})})}
    assert target_modules.targets(torch.nn.ModuleDict({**parts, **text}), ("auto",)) == (["up_proj"], [])


def test_an_adapter_on_experts_is_trained_saved_and_merged_as_plain_peft_says(tmp_path: Path) -> None:
    loaded = build("qwen2_moe")
    before = logits(loaded.model)
    with lora.adapted(loaded.model, TrainConfig(rank=2, alpha=4), 1) as wrapped:
        torch.manual_seed(3)
        for weight in lora.weights(wrapped):
            torch.nn.init.normal_(weight, std=0.1)
        trained = logits(wrapped)
        lora.save(wrapped, tmp_path / "adapter")
    assert torch.equal(logits(loaded.model), before)
    expected = logits(PeftModel.from_pretrained(build("qwen2_moe").model, str(tmp_path / "adapter")))
    torch.testing.assert_close(trained, expected)
    for _ in range(2):
        with merged(loaded, tmp_path / "adapter") as tuned:
            assert logits(tuned.model) == pytest.approx(expected, abs=1e-3, rel=1e-4)
        assert weights_hash(loaded.model) == loaded.weights_hash
        assert torch.equal(logits(loaded.model), before)


@pytest.mark.parametrize("name", ["mixtral", "gpt_oss", "llama4", "deepseek_v3"])
def test_an_adapter_of_target_parameters_is_measured_as_plain_peft_answers(name: str, tmp_path: Path) -> None:
    settings = LoraConfig(r=2, lora_alpha=4, target_modules=[], target_parameters=FUSED, task_type="CAUSAL_LM")
    wrapped = get_peft_model(build(name).model, settings)
    torch.manual_seed(5)
    with torch.no_grad():
        for weight in wrapped.parameters():
            if weight.requires_grad:
                weight.copy_(0.1 * torch.randn(weight.shape))
    wrapped.save_pretrained(tmp_path)
    expected = logits(PeftModel.from_pretrained(build(name).model, str(tmp_path)))
    loaded = build(name)
    with merged(loaded, tmp_path) as tuned:
        assert logits(tuned.model) == pytest.approx(expected, abs=1e-3, rel=1e-4)
        assert (tuned.largest_logit_change or 0) > 0.01
    assert weights_hash(loaded.model) == loaded.weights_hash


def test_only_the_experts_of_the_chosen_layers_get_an_adapter() -> None:
    model = build("qwen3_moe").model
    with lora.adapted(model, TrainConfig(rank=2, alpha=4, from_layer=0.5), 1) as wrapped:
        trained = [key for key, weight in wrapped.named_parameters() if weight.requires_grad]
    assert trained
    assert all(".layers.1." in key for key in trained)


def test_dropout_with_experts_is_one_line() -> None:
    with (
        pytest.raises(ModelError, match=r"set train\.dropout=0"),
        lora.adapted(build("mixtral").model, TrainConfig(dropout=0.1), 1),
    ):
        pass


@pytest.mark.filterwarnings("ignore:The following .*_pattern keys:RuntimeWarning")
def test_an_adapter_that_peft_puts_elsewhere_is_refused_with_a_setting_that_works() -> None:
    """DeepSeek-V3: peft takes gate_proj of the dense layers for the experts', and leaves the dense layers alone."""
    model = build("deepseek_v3").model
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    told = r"experts\.gate_up_proj\] adapts the experts alone$"
    with pytest.raises(ModelError, match=told), lora.adapted(model, TrainConfig(rank=2), 1):
        pass
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    alone = TrainConfig(rank=2, target_modules=("experts.down_proj", "experts.gate_up_proj"))
    expected = target_modules.n_parameters(model, alone)
    with lora.adapted(model, alone, 1) as wrapped:
        assert sum(weight.numel() for weight in lora.weights(wrapped)) == expected > 0


class Stages:
    """A Progress that keeps what it was told."""

    def __init__(self) -> None:
        self.labels: list[str] = []

    @contextmanager
    def stage(self, label: str, total: int | None) -> Iterator[Callable[[int], None]]:
        self.labels.append(label)
        yield lambda _: None


def test_what_auto_chose_is_printed(tmp_path: Path) -> None:
    seen = Stages()
    loaded = load(ModelConfig(name=str(tiny.save_model(tmp_path / "model"))))
    examples = records.table([Example("e", "f", "unknown", "Where is Mira?", "Branvel")], Example)
    prompter, recipe = Prompter(loaded.tokenizer), PlainRecipe(epochs=1, lr=1e-2)
    train(loaded, examples, recipe, 1, tmp_path / "adapter", prompter=prompter, progress=seen)
    assert "adapter on down_proj, gate_proj, up_proj; weights" in seen.labels
    assert target_modules.summary(build("mixtral").model, TrainConfig()) == f"adapter on {', '.join(FUSED)}; weights"
