"""Loading: one clear line for everything that can be missing, float32 on a CPU, every end token respected."""

import contextlib
import json
import shutil
import time
from pathlib import Path
from typing import NoReturn

import pytest
import torch

import tiny
from architectures import build
from knowpack.config import ModelConfig
from knowpack.errors import ModelError, StoreError
from knowpack.model import precision
from knowpack.model.hash_cache import first_number
from knowpack.model.load import _read as read_by_transformers
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
    assert loaded.stop_ids == frozenset([1, *range(2, 211, 4)])  # the tokenizer's, and the generation config's
    assert not loaded.model.training
    assert loaded.weights_hash == build("llama").weights_hash


def test_bfloat16_checkpoint_is_float32_on_a_cpu_unless_asked(folder: Path) -> None:
    build("llama").model.to(torch.bfloat16).save_pretrained(folder)
    assert load(ModelConfig(name=str(folder), device="cpu")).model.dtype == torch.float32


@pytest.mark.parametrize(("times", "computed"), [(0.5, torch.bfloat16), (40.0, torch.float32)])
def test_bfloat16_is_computed_in_only_where_this_processor_is_faster_in_it(
    folder: Path, times: float, computed: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is not, a product takes up to hundreds of times as long: weights are rounded, arithmetic is float32."""
    monkeypatch.setattr(precision, "bfloat16_time", lambda: times)
    with pytest.warns(UserWarning, match="40.0 times float32") if times > 1 else contextlib.nullcontext():
        found = load(ModelConfig(name=str(folder), device="cpu", dtype="bfloat16"))
    rounded = build("llama").model.to(torch.bfloat16).get_input_embeddings().weight
    assert found.model.dtype == computed
    assert torch.equal(found.model.get_input_embeddings().weight.bfloat16(), rounded)


def test_two_workers_that_time_a_processor_otherwise_compute_in_one_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At .98 of float32's time one computed in bfloat16, at 1.02 another in float32: two hashes, two bases."""
    monkeypatch.setenv("KNOWPACK_CACHE", str(tmp_path))
    in_another_process = precision.bfloat16_time.__wrapped__  # what it remembers for itself is not asked
    for times in (0.98, 1.02):
        monkeypatch.setattr(precision, "_timed", lambda times=times: times)
        assert in_another_process() == 0.98
    monkeypatch.setattr(precision, "processor", lambda: "another one")
    assert in_another_process() == 1.02
    assert [path.suffix for path in (tmp_path / "numbers").iterdir()] == [".json", ".json"]


def test_of_two_that_time_at_once_the_first_to_end_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KNOWPACK_CACHE", str(tmp_path))
    assert first_number("time", lambda: 1.0 + first_number("time", lambda: 0.98)) == 0.98


@pytest.mark.parametrize("damage", ["", "{", '"0.5"'])
def test_a_number_that_cannot_be_remembered_is_worked_out(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KNOWPACK_CACHE", str(tmp_path))
    assert first_number("time", lambda: 0.98) == 0.98
    next((tmp_path / "numbers").iterdir()).write_text(damage)
    assert first_number("time", lambda: 1.02) == 1.02
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("KNOWPACK_CACHE", str(tmp_path / "file"))
    assert first_number("time", lambda: 1.02) == 1.02


def test_the_processor_is_timed_in_a_moment() -> None:
    begun = time.thread_time()
    assert 0.01 < precision._timed() < 10_000
    assert time.thread_time() - begun < 2


def test_the_end_tokens_of_generation_config_and_tokenizer_both_end(llama: Loaded) -> None:
    llama.model.generation_config.eos_token_id = None
    assert llama.stop_ids == {2}
    llama.model.generation_config.eos_token_id = 7
    assert llama.stop_ids == {2, 7}


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


def test_a_model_that_holds_an_adapter_is_refused_not_loaded_with_it(folder: Path, tmp_path: Path) -> None:
    """transformers puts it on in silence, and the hash was the bare base's: a merged model in its adapter's folder."""
    from .test_merge import adapter

    adapter(build("llama"), tmp_path / "a")
    (tmp_path / "a" / "adapter_config.json").rename(folder / "adapter_config.json")
    (tmp_path / "a" / "adapter_model.safetensors").rename(folder / "adapter_model.safetensors")
    refused(folder, "holds an adapter .adapter_config.json. beside a model.*give the base alone with --model")
    with pytest.raises(ModelError, match="is an adapter, or holds one"):  # as a hub's, whose files are not seen
        read_by_transformers(str(folder), ModelConfig(name="owner/model"), torch.device("cpu"))


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


def test_a_checkpoint_with_a_tensor_missing_is_refused_not_filled_with_random_numbers(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    refused(folder, r"lacks 1 tensors.*model\.layers\.1\.mlp\.up_proj\.weight")


def test_more_layers_declared_than_stored_and_a_config_of_another_architecture_are_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 50, "layer_types": None}))
    refused(folder, r"lacks 423 tensors.*model\.layers\.10")  # 47 layers of 9
    other = {"model_type": "gpt_neox", "architectures": ["GPTNeoXForCausalLM"], "num_attention_heads": 4}
    (folder / "config.json").write_text(json.dumps({**config, **other}))
    refused(folder, r"lacks \d+ tensors")


def test_fewer_layers_declared_than_stored_is_said(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 2, "layer_types": None}))
    with pytest.warns(UserWarning, match="9 tensors that its config does not use"):
        load(ModelConfig(name=str(folder)))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_in_the_weights_is_refused(folder: Path, value: float) -> None:
    llama = build("llama").model
    with torch.no_grad():
        llama.get_input_embeddings().weight[3, 4] = value
    llama.save_pretrained(folder)
    refused(folder, r"NaN or infinite numbers in model\.embed_tokens\.weight")


@pytest.mark.parametrize("change", [{"hidden_size": -1}, {"num_attention_heads": 0}, {"rope_parameters": 3}])
def test_a_config_that_makes_no_sense_is_one_line(folder: Path, change: dict[str, object]) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **change}))
    refused(folder, "cannot load|no tokenizer|lacks")


def test_weights_are_hashed_once_a_file_and_again_when_it_changes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from knowpack.model import load as loading

    monkeypatch.setenv("KNOWPACK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("knowpack.model.hash_cache.SETTLED_SECONDS", -1.0)
    hashed: list[str] = []

    def counted(model: torch.nn.Module) -> str:
        hashed.append(weights_hash(model))
        return hashed[-1]

    monkeypatch.setattr(loading, "weights_hash", counted)
    monkeypatch.setattr(precision, "bfloat16_time", lambda: 0.5)
    first = load(ModelConfig(name=str(folder))).weights_hash
    assert [load(ModelConfig(name=str(folder))).weights_hash, *hashed] == [first, first]
    assert load(ModelConfig(name=str(folder), dtype="bfloat16")).weights_hash != first  # other numbers in memory
    build("llama", seed=1).model.save_pretrained(folder)
    assert load(ModelConfig(name=str(folder))).weights_hash == build("llama", seed=1).weights_hash
    assert len(hashed) == 3


def test_a_file_written_a_moment_ago_is_not_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from knowpack.model.hash_cache import hash_once

    monkeypatch.setenv("KNOWPACK_CACHE", str(tmp_path / "cache"))
    (tmp_path / "f").write_text("a")
    assert hash_once([tmp_path / "f"], "x", lambda: "first") == "first"
    assert hash_once([tmp_path / "f"], "x", lambda: "second") == "second"  # it may have changed within one tick


def test_a_gguf_file_is_dequantized_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gguf_file import written
    from knowpack.model import converted

    from .test_gguf import llama

    monkeypatch.setenv("KNOWPACK_CACHE", str(tmp_path / "cache"))
    file = written(tmp_path / "tiny.gguf", llama(), tiny.tokenizer())
    first = load(ModelConfig(name=str(file)))
    assert converted.folder_for(file).is_dir()
    (converted.folder_for(file) / "model.safetensors").touch()
    monkeypatch.setattr(converted.store, "atomic", lambda path: pytest.fail("it was dequantized again"))
    again = load(ModelConfig(name=str(file)))
    assert again.weights_hash == first.weights_hash
    assert again.model.name_or_path == str(file)  # not a folder of the cache


def test_a_gguf_file_beside_other_weights_is_not_taken_for_them(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no room for it dequantized, its hash was that of the safetensors in its folder, as remembered."""
    from gguf_file import written
    from knowpack.model import converted, hash_cache

    from .test_gguf import llama

    def full(path: Path) -> NoReturn:
        raise StoreError(f"{path} cannot be written: No space left on device")

    monkeypatch.setenv("KNOWPACK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(hash_cache, "SETTLED_SECONDS", -1.0)
    file = written(folder / "tiny.gguf", llama(), tiny.tokenizer())
    other = load(ModelConfig(name=str(folder)))
    monkeypatch.setattr(converted.store, "atomic", full)
    loaded = load(ModelConfig(name=str(file)))
    assert loaded.weights_hash == weights_hash(loaded.model) != other.weights_hash


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gguf_file import written

    from .test_gguf import llama

    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("KNOWPACK_CACHE", str(tmp_path / "file"))
    loaded = load(ModelConfig(name=str(written(tmp_path / "tiny.gguf", llama(), tiny.tokenizer()))))
    assert loaded.quantization == "F32"
    assert not hasattr(loaded.model.config, "quantization_config")
