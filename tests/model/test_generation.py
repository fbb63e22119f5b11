"""Generation configs: what is left out is said once and recorded; the window; tokenizers without a fast half."""

import warnings
from pathlib import Path

import pytest
import torch
import transformers

import tiny
from knowpack.config import ModelConfig, ProbeConfig, RunConfig
from knowpack.decode.decoder import Decoder
from knowpack.decode.transformers_asker import TransformersAsker, left_out
from knowpack.errors import ModelError
from knowpack.model import generation
from knowpack.model.load import load
from knowpack.model.loaded import Loaded
from knowpack.probe.prompts import Prompter


def test_sampling_and_penalties_are_named_and_what_changes_nothing_is_not() -> None:
    model = tiny.llama(400)
    assert generation.left_out(model) == {}
    model.generation_config.temperature = 0.6  # read by sampling only
    assert generation.left_out(model) == {}
    model.generation_config.update(do_sample=True, top_p=0.9, top_k=0, repetition_penalty=1.1, num_beams=1)
    expected = {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "repetition_penalty": 1.1}
    assert generation.left_out(model) == expected


def test_a_penalty_is_said_once_when_the_model_is_loaded_and_recorded(tmp_path: Path) -> None:
    folder = tiny.save_model(tmp_path / "model")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(ModelConfig(name=str(folder)))
    config = transformers.GenerationConfig.from_pretrained(folder)
    config.repetition_penalty = 1.1
    config.save_pretrained(folder)
    with pytest.warns(UserWarning, match=r"asks for repetition_penalty=1\.1, which is not done") as said:
        loaded = load(ModelConfig(name=str(folder)))
    assert len(said) == 1
    assert left_out(TransformersAsker(loaded)) == {"repetition_penalty": 1.1}


def test_a_prompt_longer_than_the_window_is_one_line_with_both_numbers(llama: Loaded) -> None:
    llama.model.config.max_position_embeddings = 20
    decoder = Decoder(llama)
    decoder.generate([1, 5, 6], [[7]], max_new_tokens=16)  # 4 and 16
    with pytest.raises(ModelError, match="has 4 tokens and 17 are to follow, and llama has a window of 20; ask with"):
        decoder.generate([1, 5, 6], [[7]], max_new_tokens=17)
    with pytest.raises(ModelError, match="has 21 tokens, and llama has a window of 20"):
        decoder.logprobs([1], [[7] * 10], [[8] * 10])


def test_a_model_without_places_has_no_window() -> None:
    model = transformers.AutoModelForCausalLM.from_config(
        transformers.BloomConfig(vocab_size=50, hidden_size=16, n_layer=1, n_head=2)
    )
    assert Loaded(model, tiny.tokenizer(), "bloom", model.device, "").window is None


def test_a_tokenizer_in_python_only_is_probed(tmp_path: Path) -> None:
    from knowpack.base import probe_into

    tokens = transformers.ByT5Tokenizer()
    model = tiny.llama(len(tokens))
    model.save_pretrained(tmp_path / "model")
    tokens.save_pretrained(tmp_path / "model")
    tiny.save_facts(tmp_path / "facts.parquet", 5)
    tiny.save_shots(tmp_path / "shots.csv")
    config = RunConfig.model_validate(
        {
            "model": {"name": str(tmp_path / "model")},
            "facts": {"path": str(tmp_path / "facts.parquet")},
            "probe": ProbeConfig(
                shots=str(tmp_path / "shots.csv"), n_prompts=2, n_shots=1, noise=False, max_new_tokens=4
            ),
            "work": str(tmp_path / "work"),
        }
    )
    base = probe_into(config, tmp_path / "out")
    assert base.responses.collect().height == 10
    end = tokens("é\nAnswer:", add_special_tokens=False)["input_ids"]
    assert Prompter(base.asker.tokenizer).encode([], "é")[-len(end) :] == end


def test_a_vision_config_without_a_vocabulary_of_its_own_is_asked() -> None:
    tokens = tiny.tokenizer()
    text = {"vocab_size": len(tokens), "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 512}
    vision = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.Gemma3Config(
        text_config=text | heads, vision_config={**vision, "image_size": 28, "patch_size": 14}, mm_tokens_per_image=4
    )
    assert not hasattr(config, "vocab_size")
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    loaded = Loaded(model, tokens, "gemma3", model.device, "")
    assert (loaded.n_vocabulary, loaded.window) == (len(tokens), 512)
    prefix, tails = [0, 20, 21, 22], [[30, 31], [40]]
    found = Decoder(loaded).generate(prefix, tails, max_new_tokens=5, stop_ids=())
    for tail, answer in zip(tails, found, strict=True):
        told = model.generate(
            torch.tensor([prefix + tail]), max_new_tokens=5, min_new_tokens=5, do_sample=False, eos_token_id=None
        )
        assert answer == told[0, len(prefix + tail) :].tolist()
