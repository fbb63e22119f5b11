"""Where an adapter is put: in which layers of a model that sees pictures too, and on whose device it is read back."""

from pathlib import Path

import pytest
import test_train
import transformers

from knowpack.config import KeepRecipe, PlainRecipe
from knowpack.probe.prompts import Prompter
from knowpack.train import lora
from knowpack.train.train import train


def test_the_upper_half_of_a_model_that_sees_pictures_is_that_of_its_text() -> None:
    text = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 4, "head_dim": 8}
    sight = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2}
    config = transformers.Gemma3Config(
        text_config={**text, "num_attention_heads": 4, "num_key_value_heads": 2},
        vision_config={**sight, "image_size": 28, "patch_size": 14},
        mm_tokens_per_image=4,
    )
    model = transformers.AutoModelForCausalLM.from_config(config)
    assert "ConditionalGeneration" in type(model).__name__  # what a hub name of Gemma 3 from 4B up gives
    with lora.adapted(model, KeepRecipe(rank=2, alpha=2, from_layer=0.5), 1) as tuned:
        named = [name for name, weight in tuned.named_parameters() if "lora_A" in name]
    assert len(named) == 2 * 3  # gate, up and down of layers 2 and 3
    assert all("language_model" in name and (".layers.2." in name or ".layers.3." in name) for name in named)


def test_an_adapter_is_read_back_on_the_models_device_and_not_on_the_first_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked() -> str:
        raise AssertionError("peft takes the first GPU that there is")

    monkeypatch.setattr("peft.peft_model.infer_device", asked)
    monkeypatch.setattr("peft.utils.save_and_load.infer_device", asked)
    ours = test_train.loaded()
    config = PlainRecipe(rank=2, epochs=2, batch_size=4, lr=1e-2)
    assert train(ours, test_train.some_examples(), config, 7, tmp_path, prompter=Prompter(ours.tokenizer)).effect > 0
