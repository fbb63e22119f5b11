"""Loading: one clear line for everything that can be missing, float32 on a CPU, every end token respected."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from architectures import build
from knowpack.config import ModelConfig
from knowpack.errors import ModelError
from knowpack.model.load import load
from knowpack.model.loaded import Loaded, weights_hash


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small model saved in transformers' layout, with a tokenizer of single characters."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    llama = build("llama")
    llama.model.save_pretrained(tmp_path / "m")
    words = Tokenizer(models.WordLevel({chr(33 + i): i for i in range(90)}, unk_token="!"))
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="!", eos_token='"').save_pretrained(tmp_path / "m")
    return tmp_path / "m"


def refused(name: object, what: str, **settings: object) -> None:
    with pytest.raises(ModelError, match=what) as caught:
        load(ModelConfig(name=str(name), **settings))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_a_folder_loads_in_float32_with_a_pad_token_and_all_end_tokens(folder: Path) -> None:
    loaded = load(ModelConfig(name=str(folder)))
    assert {weight.dtype for weight in loaded.model.parameters()} == {torch.float32}
    assert loaded.tokenizer.pad_token == '"'  # it had none
    assert loaded.stop_ids == frozenset(range(2, 211, 4))
    assert not loaded.model.training
    assert loaded.weights_hash == build("llama").weights_hash


def test_bfloat16_checkpoint_is_float32_on_a_cpu_unless_asked(folder: Path) -> None:
    build("llama").model.to(torch.bfloat16).save_pretrained(folder)
    assert load(ModelConfig(name=str(folder), device="cpu")).model.dtype == torch.float32
    assert load(ModelConfig(name=str(folder), device="cpu", dtype="bfloat16")).model.dtype == torch.bfloat16


def test_without_end_token_in_the_generation_config_the_tokenizers_ends(llama: Loaded) -> None:
    llama.model.generation_config.eos_token_id = None
    assert llama.stop_ids == {2}
    llama.model.generation_config.eos_token_id = 7
    assert llama.stop_ids == {7}


@pytest.mark.parametrize(
    ("files", "what"),
    [
        (["config.json"], "no config.json"),
        (["model.safetensors"], "no weights; expected model.safetensors"),
        (["tokenizer.json", "tokenizer_config.json"], "no tokenizer"),
    ],
)
def test_a_folder_that_lacks_a_file_is_one_clear_line(folder: Path, files: list[str], what: str) -> None:
    for file in files:
        (folder / file).unlink()
    refused(folder, what)


def test_names_that_are_no_model(folder: Path, tmp_path: Path) -> None:
    refused(tmp_path / "nothing", "no folder")
    refused(folder / "config.json", "is a file")
    refused(folder, "device 'tpu9'", device="tpu9")
    (folder / "config.json").rename(folder / "adapter_config.json")
    refused(folder, "is an adapter")


def test_pickled_weights_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    refused(folder, "only pickled weights")


def test_torn_files_are_one_clear_line(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    refused(folder, "cannot load")
    (folder / "config.json").write_text("{")
    refused(folder, "config.json cannot be read")


def test_a_tokenizer_of_another_model_is_refused(folder: Path) -> None:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({f"w{i}": i for i in range(300)}, unk_token="w0"))
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="w0").save_pretrained(folder)
    refused(folder, "300 tokens, the model 211")


def test_remote_code_is_off(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text("raise SystemExit('ran')")
    refused(folder, "cannot load|no tokenizer")


def test_hash_sees_one_changed_bit_and_not_the_folder(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "elsewhere")
    loaded = load(ModelConfig(name=str(tmp_path / "elsewhere")))
    assert loaded.weights_hash == load(ModelConfig(name=str(folder))).weights_hash
    weight = loaded.model.get_input_embeddings().weight
    with torch.no_grad():
        weight[3, 4] = torch.nextafter(weight[3, 4], torch.tensor(9.0))
    assert weights_hash(loaded.model) != loaded.weights_hash


def test_weights_stay_when_their_file_is_written_over(folder: Path) -> None:
    loaded = load(ModelConfig(name=str(folder), device="cpu"))
    weights = folder / "model.safetensors"
    with weights.open("r+b") as handle:  # in place, as a second build of the model would
        handle.seek(weights.stat().st_size // 2)
        handle.write(bytes(weights.stat().st_size - handle.tell()))
    assert weights_hash(loaded.model) == loaded.weights_hash


def test_an_adapter_in_the_config_is_merged(folder: Path, tmp_path: Path) -> None:
    from .test_merge import adapter, logits

    expected = adapter(build("llama"), tmp_path / "a")
    loaded = load(ModelConfig(name=str(folder), adapter=str(tmp_path / "a")))
    assert logits(loaded.model) == pytest.approx(expected, abs=2e-4)
    assert loaded.weights_hash != load(ModelConfig(name=str(folder))).weights_hash


def test_a_checkpoint_that_no_one_here_trained(shared: Path) -> None:
    from decode.test_decode import plain, same
    from knowpack.decode.decoder import Decoder

    if not (shared / "models" / "stories260K").is_dir():
        pytest.skip("stories260K is not in the public data")
    loaded = load(ModelConfig(name=str(shared / "models" / "stories260K")))
    texts = ["Once upon a time, Tim", "Lily had a big", "The dog"]
    ids = [loaded.tokenizer(text)["input_ids"] for text in texts]
    prefix, tails = ids[0], [row[1:] for row in ids[1:]]
    found = Decoder(loaded).generate(prefix, tails, max_new_tokens=32)
    for tail, answer in zip(tails, found, strict=True):
        assert same(loaded, prefix + tail, answer, plain(loaded, prefix + tail, 32))
