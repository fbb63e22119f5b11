"""Every architecture of tests/architectures.py: where `auto` puts an adapter, and what plain peft says of it."""

import warnings
from pathlib import Path

import pytest
import torch
from peft import PeftModel

from architectures import CONFIGS, MORE, build
from knowpack.config import TrainConfig
from knowpack.errors import ModelError
from knowpack.model.loaded import weights_hash
from knowpack.model.merge import merged
from knowpack.train import lora, target_modules

IDS = torch.tensor([[1, 30, 31, 32, 90, 17, 5, 9], [4, 8, 15, 16, 23, 42, 77, 99]])
RECIPE = TrainConfig(rank=2, alpha=4)


def logits(model: torch.nn.Module) -> torch.Tensor:
    model.eval()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # transformers' advice on faster kernels
        found: torch.Tensor = model(IDS, use_cache=False).logits
    return found


@pytest.mark.parametrize("name", sorted(CONFIGS | MORE))
def test_an_adapter_of_auto_is_merged_as_plain_peft_answers_or_refused_in_one_line(name: str, tmp_path: Path) -> None:
    loaded, refusal = build(name), ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with lora.adapted(loaded.model, RECIPE, 1) as wrapped:
                trained = [key for key, weight in wrapped.named_parameters() if weight.requires_grad]
                torch.manual_seed(3)
                for weight in lora.weights(wrapped):
                    torch.nn.init.normal_(weight, std=0.05)
                lora.save(wrapped, tmp_path / "adapter")
    except ModelError as error:
        refusal = str(error)
    assert weights_hash(loaded.model) == loaded.weights_hash
    if refusal:
        assert "\n" not in refusal
        assert "target_modules" in refusal, "says what to set"
        return
    assert trained
    assert not [key for key in trained if target_modules.ROUTERS & set(key.split("."))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = logits(PeftModel.from_pretrained(build(name).model, str(tmp_path / "adapter")))
        with merged(loaded, tmp_path / "adapter") as tuned:
            size = float(expected.abs().max())
            assert float((logits(tuned.model) - expected).abs().max()) <= 2e-3 * size
            assert tuned.largest_logit_change
    assert weights_hash(loaded.model) == loaded.weights_hash
