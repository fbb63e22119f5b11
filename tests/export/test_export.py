"""An adapter through GGUF, llama.cpp and merged weights: the answers are plain peft's. On the lab, random adapters."""

import json
import shutil
import urllib.request
from pathlib import Path

import gguf
import numpy as np
import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken
from transformers import LlamaForCausalLM

import gguf_file
import llama_server
import tiny
from knowpack import store
from knowpack.config import ModelConfig
from knowpack.errors import ConfigError, ModelError
from knowpack.export import model_gguf
from knowpack.export.answers import by_llama_cpp, by_peft, by_transformers
from knowpack.export.export import Form, _base_of, export
from knowpack.export.layouts import layout_of
from knowpack.export.lora_gguf import scale
from knowpack.export.ollama import modelfile
from knowpack.facts import sources
from knowpack.model.adapter import AdapterFiles
from knowpack.model.load import load
from knowpack.model.loaded import Loaded, weights_hash
from knowpack.probe.prompts import Prompter

LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def random_adapter(folder: Path, model: torch.nn.Module, **settings: object) -> Path:
    """By plain peft, with numbers in B too, so that it moves many answers."""
    wrapped = peft.get_peft_model(model, peft.LoraConfig(r=4, target_modules=LAYERS, task_type="CAUSAL_LM", **settings))
    torch.manual_seed(1)
    for name, weight in wrapped.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(weight, std=0.12)
    wrapped.save_pretrained(str(folder))
    wrapped.unload()
    return folder


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_adapter(
        tmp_path_factory.mktemp("lab") / "adapter", load(ModelConfig(name="lab")).model, lora_alpha=16
    )


LAB = ModelConfig(name="lab")


@pytest.mark.parametrize("form", ["gguf", "merged", "merged-gguf"])
def test_the_exported_file_answers_as_peft_does(adapter: Path, tmp_path: Path, form: Form) -> None:
    made = export(adapter, LAB, form, tmp_path / "out", facts=some_facts(tmp_path), n_asked=20)
    assert made.n_same == len(made.compared) == 20, made.compared
    assert len({one.exported for one in made.compared}) > 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["facts.parquet", "out"]


def test_the_merged_file_of_the_lab_is_read_again_and_answers_the_same(adapter: Path, tmp_path: Path) -> None:
    """2,561 tokens for 2,560 rows: knowpack refused to read what it had written. By transformers' generate."""
    made = export(adapter, LAB, "merged-gguf", tmp_path / "out.gguf", n_asked=0)
    lab, again = load(LAB), load(ModelConfig(name=str(made.path)))
    questions = sources.load("lab")["question"][:200:10].to_list()
    prompts = [Prompter(lab.tokenizer).encode((), question) for question in questions]
    assert [Prompter(again.tokenizer).encode((), question) for question in questions] == prompts
    assert by_transformers(again, prompts, 16) == by_peft(lab, adapter, prompts, 16)


def some_facts(folder: Path) -> str:
    store.write_table(folder / "facts.parquet", sources.load("lab")[:400:20])
    return str(folder / "facts.parquet")


def test_the_adapter_moves_some_of_those_answers(adapter: Path) -> None:
    """Else the comparison above would hold for a file without effect."""
    lab = load(LAB)
    prompts = [Prompter(lab.tokenizer).encode((), question) for question in sources.load("lab")["question"][:400:20]]
    assert by_peft(lab, adapter, prompts, 32) != by_transformers(lab, prompts, 32)


def test_a_base_in_gguf_keeps_its_metadata_and_gets_the_adapters_weights(tmp_path: Path) -> None:
    """Against peft's own merge, weight by weight, within float16's step."""
    tokens = tiny.tokenizer()
    model = tiny.llama(len(tokens) + 8)  # transformers gives the tokenizer of a GGUF file a token more
    base = gguf_file.written(tmp_path / "base.gguf", model, tokens)
    folder = random_adapter(tmp_path / "adapter", model, lora_alpha=3, use_rslora=True)
    made = export(folder, ModelConfig(name=str(base)), "merged-gguf", tmp_path / "out.gguf", n_asked=0)
    before, after = gguf.GGUFReader(str(base)), gguf.GGUFReader(str(made.path))
    assert [field.contents() for field in after.fields.values() if field.name[:5] != "GGUF."] == [
        field.contents() for field in before.fields.values() if field.name[:5] != "GGUF."
    ]
    expected = peft.PeftModel.from_pretrained(model, str(folder)).merge_and_unload()
    again = load(ModelConfig(name=str(made.path))).model
    for name, weight in expected.state_dict().items():
        assert torch.allclose(again.state_dict()[name], weight, rtol=1e-5, atol=1e-6), name


def test_added_tokens_are_no_text_to_llama_cpp(tmp_path: Path) -> None:
    """Chat markers that no special token's name stands for (`<|im_start|>`) fell apart into letters."""
    tokens = tiny.tokenizer()
    special = [AddedToken("<|im_start|>", special=True, normalized=False)]
    tokens.add_tokens([*special, AddedToken("<tool call>", special=False, normalized=False)])
    assert "<|im_start|>" not in tokens.all_special_tokens
    base = Loaded(tiny.llama(len(tokens) + 1), tokens, "marked", torch.device("cpu"), "")
    path = tmp_path / "out.gguf"
    model_gguf.written(path, base, layout_of(base.model.config))
    types = gguf.GGUFReader(str(path)).fields["tokenizer.ggml.token_type"].contents()
    kinds = gguf.TokenType
    assert types[-3:] == [kinds.CONTROL, kinds.USER_DEFINED, kinds.UNUSED]
    assert types[:6] == [kinds.CONTROL] * 6
    assert set(types[6:-3]) == {kinds.NORMAL}
    text = "<|im_start|><|user|>Who wrote <tool call>the book?<|end|>"
    assert ids_of_llama_cpp(path, text) == tokens(text, add_special_tokens=False)["input_ids"]


def ids_of_llama_cpp(model: Path, text: str) -> list[int]:
    """By its server's own tokenizer."""
    server = llama_server.start(model, "marked", []).server
    body = json.dumps({"content": text, "add_special": False, "parse_special": True}).encode()
    with urllib.request.urlopen(f"{server.listening_address}/tokenize", body) as reply:
        ids: list[int] = json.load(reply)["tokens"]
    return ids


def test_heads_wider_than_their_share_are_written(tmp_path: Path) -> None:
    """Mistral-Nemo's, say: 4 heads of 16 in a width of 32, which llama.cpp took for heads of 8."""
    tokens = tiny.tokenizer()
    config = tiny.llama(len(tokens)).config
    config.head_dim = 16
    torch.manual_seed(0)
    model = LlamaForCausalLM(config).eval()
    base = Loaded(model, tokens, "wide", torch.device("cpu"), "")
    path = tmp_path / "out.gguf"
    model_gguf.written(path, base, layout_of(config))
    fields = gguf.GGUFReader(str(path)).fields
    for name in ("attention.key_length", "attention.value_length", "rope.dimension_count"):
        assert fields[f"llama.{name}"].contents() == 16, name
    prompts = [[20, 21, 22], [40, 41]]
    plain = [tokens.decode(greedy(model, ids, 16), skip_special_tokens=True) for ids in prompts]
    assert by_llama_cpp(path, None, prompts, 16) == plain
    assert by_transformers(load(ModelConfig(name=str(path))), prompts, 16) == plain


def test_scales_by_hand() -> None:
    """alpha / rank; rsLoRA alpha / sqrt(rank); a layer's own alpha by alpha_pattern."""
    assert scale({"lora_alpha": 16}, "model.layers.0.mlp.up_proj", 4) == 4
    assert scale({"lora_alpha": 16, "use_rslora": True}, "model.layers.0.mlp.up_proj", 4) == 8
    assert scale({"lora_alpha": 16, "alpha_pattern": {"up_proj": 2}}, "model.layers.0.mlp.up_proj", 4) == 0.5


def test_rslora_is_in_b_since_the_format_has_alpha_over_rank_alone(tmp_path: Path) -> None:
    lab = load(LAB)
    folder = random_adapter(tmp_path / "adapter", lab.model, lora_alpha=16, use_rslora=True)
    export(folder, LAB, "gguf", tmp_path / "out.gguf", n_asked=0)
    halves = {tensor.name: tensor.data for tensor in gguf.GGUFReader(str(tmp_path / "out.gguf")).tensors}
    wrapped = peft.PeftModel.from_pretrained(lab.model, str(folder))
    layer = wrapped.base_model.model.model.layers[1].mlp.up_proj
    a, b = halves["blk.1.ffn_up.weight.lora_a"], halves["blk.1.ffn_up.weight.lora_b"]
    assert np.allclose(16 / 4 * b @ a, layer.get_delta_weight("default").detach().numpy(), atol=1e-5)
    wrapped.unload()


def test_what_the_format_cannot_hold_is_refused(tmp_path: Path) -> None:
    folder = random_adapter(tmp_path / "adapter", load(LAB).model, use_dora=True)
    with pytest.raises(ModelError, match=r"a LoRA in GGUF holds no use_dora, .* --to merged does"):
        export(folder, LAB, "gguf", tmp_path / "out.gguf", n_asked=0)
    assert not (tmp_path / "out.gguf").exists()


def test_answers_of_peft_leave_the_base_as_it_was(tmp_path: Path) -> None:
    """PiSSA takes its A and B out of the base as it loads: the merged file was written on what was left."""
    lab = load(LAB)
    folder = random_adapter(tmp_path / "adapter", lab.model, init_lora_weights="pissa")
    lab = load(LAB)
    by_peft(lab, folder, [[5, 6, 7]], 2)
    assert weights_hash(lab.model) == lab.weights_hash


@pytest.mark.parametrize("form", ["gguf", "merged"])
def test_an_adapter_that_does_not_fit_is_one_line_before_anything_is_written(
    adapter: Path, tmp_path: Path, form: Form
) -> None:
    """A GGUF was written of any shape; a missing half ended in a traceback."""
    shutil.copytree(adapter, tmp_path / "half")
    tensors = load_file(tmp_path / "half" / "adapter_model.safetensors")
    tensors.pop(next(key for key in tensors if ".lora_B." in key))
    save_file(tensors, tmp_path / "half" / "adapter_model.safetensors")
    with pytest.raises(ModelError, match="lacks 1 of its"):
        export(tmp_path / "half", LAB, form, tmp_path / "out", n_asked=0)
    assert not (tmp_path / "out").exists()


def test_nothing_is_written_over(adapter: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.gguf").write_text("years of work")
    with pytest.raises(ConfigError, match="is there already; give another --out"):
        export(adapter, LAB, "gguf", tmp_path / "thesis.gguf")
    assert (tmp_path / "thesis.gguf").read_text() == "years of work"


def test_a_modelfile_has_the_chat_template_as_ollama_fills_it_in(adapter: Path, tmp_path: Path) -> None:
    made = export(adapter, LAB, "ollama", tmp_path / "out", n_asked=0)
    assert sorted(path.name for path in made.path.iterdir()) == ["Modelfile", "model.gguf"]
    text = (made.path / "Modelfile").read_text()
    assert text.startswith("FROM ./model.gguf\n")
    assert 'PARAMETER stop "<|end|>"' in text
    filled = "<|system|>{{ .System }}<|end|><|user|>{{ .Prompt }}<|end|><|assistant|>{{ .Response }}"
    assert f'TEMPLATE """{filled}"""' in text
    assert modelfile("model.gguf", Prompter(load(LAB).tokenizer)) == text


def test_the_base_is_the_one_that_the_adapter_names(adapter: Path, tmp_path: Path) -> None:
    (adapter / "knowpack.json").write_text(json.dumps({"base": "lab"}))
    assert export(adapter, None, "gguf", tmp_path / "out.gguf").why_not is not None


@pytest.mark.parametrize(
    ("made_on", "settings", "expected"),
    [
        ({"base": "owner/model", "revision": "v1"}, {}, ("owner/model", "v1")),
        ({"base": "owner/model"}, {"revision": "v1"}, ("owner/model", "v1")),
        ({}, {"base_model_name_or_path": "owner/other", "revision": "v1"}, ("owner/other", "v1")),
        ({"base": "owner/model"}, {"revision": None}, ("owner/model", None)),
        ({"base": "owner/model"}, {"revision": ""}, ("owner/model", None)),
    ],
)
def test_the_base_is_of_the_revision_that_the_adapter_was_trained_on(
    made_on: dict[str, object], settings: dict[str, object], expected: tuple[str, str | None], tmp_path: Path
) -> None:
    """knowpack.json had none, and peft's was read only without knowpack.json: the newest was taken."""
    (tmp_path / "knowpack.json").write_text(json.dumps(made_on))
    base = _base_of(AdapterFiles(tmp_path, settings, {}))
    assert (base.name, base.revision) == expected


def test_the_base_of_an_adapter_made_elsewhere_is_the_one_in_its_settings(adapter: Path, tmp_path: Path) -> None:
    (adapter / "knowpack.json").unlink(missing_ok=True)
    settings = json.loads((adapter / "adapter_config.json").read_text())
    nameless = {**settings, "base_model_name_or_path": None}
    (adapter / "adapter_config.json").write_text(json.dumps(nameless))
    with pytest.raises(ConfigError, match="does not say what it was trained on; give --model"):
        export(adapter, None, "gguf", tmp_path / "out.gguf")
    of_its_own = {**settings, "base_model_name_or_path": "lab", "revision": None}
    (adapter / "adapter_config.json").write_text(json.dumps(of_its_own))
    assert export(adapter, None, "gguf", tmp_path / "out.gguf", n_asked=0).path.is_file()


def test_a_penalty_in_the_checkpoints_generation_config_is_in_no_answer_that_is_compared(tmp_path: Path) -> None:
    """llama.cpp knows none of it: right exports were reported as differing. Against argmax by hand."""
    tokens = tiny.tokenizer()
    base = Loaded(tiny.llama(len(tokens)), tokens, "penal", torch.device("cpu"), "")
    folder = random_adapter(tmp_path / "adapter", base.model, lora_alpha=16)
    prompts = [[20, 21, 22], [40, 41], [50, 60, 70, 80]]
    plain = [greedy(base.model, ids, 24) for ids in prompts]
    assert any(len(set(ids)) < len(ids) for ids in plain), "nothing that a penalty would change"
    wrapped = peft.PeftModel.from_pretrained(base.model, str(folder))
    with_adapter = [greedy(wrapped, ids, 24) for ids in prompts]
    wrapped.unload()
    config = base.model.generation_config
    config.update(repetition_penalty=1.3, no_repeat_ngram_size=2, num_beams=2, do_sample=True)
    texts = [tokens.decode(ids, skip_special_tokens=True) for ids in (*plain, *with_adapter)]
    assert by_transformers(base, prompts, 24) + by_peft(base, folder, prompts, 24) == texts
    assert base.model.generation_config is config
    # the tokens that end an answer are read as before
    config.eos_token_id = [plain[0][1], 1]
    ended = plain[0][: plain[0].index(plain[0][1]) + 1]
    assert by_transformers(base, prompts[:1], 24) == [tokens.decode(ended, skip_special_tokens=True)]


def test_samplers_that_a_gguf_file_names_are_in_no_answer_that_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The base's metadata stay in what is exported, and llama.cpp goes by them even at temperature 0."""
    tokens = tiny.tokenizer()
    model = tiny.llama(len(tokens))
    add_block_count = gguf.GGUFWriter.add_block_count

    def with_samplers(writer: gguf.GGUFWriter, n_blocks: int) -> None:
        add_block_count(writer, n_blocks)
        writer.add_float32("general.sampling.penalty_repeat", 1.5)
        writer.add_int32("general.sampling.penalty_last_n", 64)
        writer.add_float32("general.sampling.xtc_probability", 1.0)
        writer.add_float32("general.sampling.xtc_threshold", 0.01)

    monkeypatch.setattr(gguf.GGUFWriter, "add_block_count", with_samplers)
    path = gguf_file.written(tmp_path / "base.gguf", model, tokens, pre="gpt-2")
    prompts = [[20, 21, 22], [40, 41]]
    plain = [tokens.decode(greedy(model, ids, 24), skip_special_tokens=True) for ids in prompts]
    assert by_llama_cpp(path, None, prompts, 24) == plain


def greedy(model: torch.nn.Module, ids: list[int], n_new: int) -> list[int]:
    """The likeliest token each time, until the end of sequence (1)."""
    new: list[int] = []
    while len(new) < n_new and 1 not in new:
        with torch.no_grad():
            new.append(int(model(input_ids=torch.tensor([ids + new])).logits[0, -1].argmax()))
    return new


def test_answers_of_a_model_that_gives_no_numbers_are_not_compared() -> None:
    """Both sides gave the same tokens for NaN, and agreed."""
    tokens = tiny.tokenizer()
    broken = Loaded(tiny.llama(len(tokens)), tokens, "broken", torch.device("cpu"), "")
    broken.model.get_output_embeddings().weight.data.fill_(float("nan"))
    with pytest.raises(ModelError, match="broken gives no number"):
        by_transformers(broken, [[5, 6]], 2)
