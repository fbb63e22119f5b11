"""Adapters by other people's software: measured as plain peft has them, refused in one line, or measured with a word.

Expected logits are plain peft's; which adapters cannot be merged is peft's own documentation of LoraConfig.
"""

import dataclasses
import json
import warnings
from pathlib import Path

import pytest
import torch
from peft import PeftModel, PeftType
from peft.tuners.lora.config import BdLoraConfig, KasaConfig
from safetensors.torch import save_file

import tiny
from architectures import build
from knowpack.errors import ModelError
from knowpack.model.adapter import read_adapter, refuse_beyond
from knowpack.model.loaded import Loaded, weights_hash
from knowpack.model.locations import adapter_folder
from knowpack.model.merge import merged, put_on

from .test_adapters import MLP, logits, made, plain, rewritten

BLOCKS = BdLoraConfig(target_modules_bd_a=["down_proj"], target_modules_bd_b=["up_proj", "gate_proj"], nblocks=2)
MEASURED: dict[str, dict[str, object]] = {
    "block_diagonal": {"use_bdlora": BLOCKS},
    "kasa": {"kasa_config": KasaConfig()},
    "eva": {"init_lora_weights": "eva"},
    "regular_expression": {"target_modules": r".*\.(up|down)_proj"},
    "excluded": {"exclude_modules": ["layers.1.mlp.up_proj"]},
}


def edited(folder: Path, **settings: object) -> Path:
    """The adapter with other settings."""
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))
    return folder


def measured(loaded: Loaded, folder: Path, expected: torch.Tensor) -> None:
    """As plain peft has it, the base afterwards as it was."""
    before, config = logits(loaded.model), loaded.model.config.to_dict()
    with merged(loaded, folder) as tuned:
        assert logits(tuned.model) == pytest.approx(expected, abs=1e-3, rel=1e-4)
        assert (tuned.largest_logit_change or 0) > 0.1
    assert torch.equal(logits(loaded.model), before)
    assert loaded.model.config.to_dict() == config


def refused(loaded: Loaded, folder: Path, what: str) -> None:
    before, config = logits(loaded.model), loaded.model.config.to_dict()
    with pytest.raises(ModelError, match=what) as caught, put_on(loaded, folder):
        pass
    assert "\n" not in str(caught.value)
    assert torch.equal(logits(loaded.model), before)
    assert loaded.model.config.to_dict() == config
    assert weights_hash(loaded.model) == loaded.weights_hash


@pytest.mark.parametrize("case", sorted(MEASURED))
def test_kinds_of_lora_that_are_measured_as_peft_has_them(case: str, llama: Loaded, tmp_path: Path) -> None:
    folder = made("llama", tmp_path, **{"target_modules": MLP, **MEASURED[case]})
    measured(llama, folder, plain("llama", folder))


def test_tensors_under_pefts_name_of_the_adapter_are_read_as_peft_reads_them(llama: Loaded, tmp_path: Path) -> None:
    """lora_A.default.weight, as a state dict is that was saved without peft: "lacks 18 of its 18 tensors"."""
    folder = made("llama", tmp_path, target_modules=MLP)
    expected = plain("llama", folder)

    def with_its_name(tensors: dict[str, torch.Tensor]) -> None:
        for key in list(tensors):
            tensors[key.replace(".weight", ".default.weight")] = tensors.pop(key)

    measured(llama, rewritten(folder, with_its_name), expected)


def test_numbers_of_8_bits_are_looked_at_and_read(llama: Loaded, tmp_path: Path) -> None:
    folder = made("llama", tmp_path, target_modules=MLP)
    rewritten(folder, lambda tensors: tensors.update({k: v.to(torch.float8_e4m3fn) for k, v in tensors.items()}))
    measured(llama, folder, plain("llama", folder))
    rewritten(folder, lambda tensors: tensors.update({k: v.float().fill_(float("nan")) for k, v in tensors.items()}))
    rewritten(folder, lambda tensors: tensors.update({k: v.to(torch.float8_e4m3fn) for k, v in tensors.items()}))
    refused(llama, folder, "NaN or infinite")


def test_the_config_of_a_tied_base_comes_back(tmp_path: Path) -> None:
    """peft writes tie_word_embeddings=False into it for good."""
    folder = made("llama_tied", tmp_path, target_modules=MLP, modules_to_save=["lm_head"])
    measured(build("llama_tied"), folder, plain("llama_tied", folder))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_adapter_that_waits_for_its_invocation_is_refused_and_not_measured_as_the_base(
    dtype: torch.dtype, llama: Loaded, tmp_path: Path
) -> None:
    """In bfloat16 it stood beside the weights, where nothing invokes it: "it is measured, and it is the base"."""
    folder = made("llama", tmp_path, target_modules=MLP, alora_invocation_tokens=[31, 32])
    llama.model.to(dtype)
    refused(dataclasses.replace(llama, weights_hash=weights_hash(llama.model)), folder, "alora_invocation_tokens")


def test_layers_stacked_anew_are_refused_and_the_base_keeps_its_own(llama: Loaded, tmp_path: Path) -> None:
    """Two of three layers: num_hidden_layers stayed at 2, and the base answered by two layers from then on."""
    folder = made("llama", tmp_path, target_modules=MLP, layer_replication=[[0, 2]])
    refused(llama, folder, "uses layer_replication: it stacks the base's layers anew")


def test_a_start_by_chance_is_refused_where_two_loads_differ(llama: Loaded, tmp_path: Path) -> None:
    folder = made("llama", tmp_path, target_modules=MLP, init_lora_weights="pissa_niter_1")
    by_seed = []
    for seed in (7, 8):
        base = build("llama").model
        torch.manual_seed(seed)
        by_seed.append(logits(PeftModel.from_pretrained(base, str(folder))))
    assert (by_seed[0] - by_seed[1]).abs().max() > 0.1  # plain peft with itself
    refused(llama, folder, "randomised SVD .* two loads by peft differ by")


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"target_modules": "(["}, "cannot be put on this model: unterminated"),
        ({"rank_pattern": {"([": 2}}, "cannot be put on this model: unterminated"),
        ({"alpha_pattern": {"([": 2}}, "cannot be put on this model: unterminated"),
        (
            {"trainable_token_indices": [5, 300]},
            "trained with 301 tokens, llama has 211: give as the model its base with",
        ),
        ({"arrow_config": {"top_k": 2}}, "the router among other adapters"),
    ],
)
def test_settings_that_ended_in_a_traceback_are_one_line(
    settings: dict[str, object], what: str, llama: Loaded, tmp_path: Path
) -> None:
    tokens = {"trainable_token_indices": [5, 9]} if "trainable_token_indices" in settings else {}
    refused(llama, edited(made("llama", tmp_path, target_modules=MLP, **tokens), **settings), what)


def test_a_tensor_without_a_shape_is_one_line(llama: Loaded, tmp_path: Path) -> None:
    folder = made("llama", tmp_path, target_modules=MLP)
    refused(
        llama, rewritten(folder, lambda tensors: tensors.update({min(tensors): torch.tensor(1.0)})), "size mismatch"
    )


def test_a_vocabulary_that_was_extended_is_said_by_its_number_of_tokens(llama: Loaded, tmp_path: Path) -> None:
    folder = made("llama", tmp_path, target_modules=MLP, modules_to_save=["embed_tokens", "lm_head"])

    def two_more(tensors: dict[str, torch.Tensor]) -> None:
        for key in tensors:
            if "embed_tokens" in key or "lm_head" in key:
                tensors[key] = torch.randn(213, 48)

    refused(llama, rewritten(folder, two_more), "was trained with 213 tokens, llama has 211")


@pytest.mark.parametrize("kind", sorted(str(kind.value) for kind in PeftType if kind != PeftType.LORA))
def test_every_other_kind_that_peft_knows_is_refused(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / kind
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": kind}))
    save_file({"base_model.model.x": torch.ones(2)}, folder / "adapter_model.safetensors")
    with pytest.raises(ModelError, match=f"of type {kind}; expected LORA.*as --tuned"):
        read_adapter(folder)


def lines(loaded: Loaded, folder: Path) -> list[str]:
    """What is said while it is put on."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with merged(loaded, folder):
            pass
    return [str(one.message) for one in caught if one.category is UserWarning]


def test_settings_of_a_newer_peft_are_said_not_left_out_in_silence(llama: Loaded, tmp_path: Path) -> None:
    folder = made("llama", tmp_path, target_modules=MLP)
    assert lines(llama, folder) == []
    edited(folder, new_and_off=False, new_and_empty=None, runtime_config={"ephemeral_gpu_offload": False})
    assert lines(llama, folder) == []
    (line,) = lines(llama, edited(folder, use_newlora=True))
    assert "does not know and leaves out (use_newlora=True)" in line


def test_another_task_and_a_base_that_training_rewrote_are_said(llama: Loaded, tmp_path: Path) -> None:
    folder = made("llama", tmp_path, target_modules=MLP)
    (line,) = lines(llama, edited(folder, task_type="SEQ_CLS"))
    assert "was made for SEQ_CLS, and is asked as a language model" in line
    (line,) = lines(llama, edited(folder, task_type=None, init_lora_weights="lora_ga"))
    assert "trained on a base that LoRA-GA had rewritten" in line


def test_another_revision_of_the_base_is_said(llama: Loaded, tmp_path: Path) -> None:
    folder = edited(
        made("llama", tmp_path, target_modules=MLP), base_model_name_or_path="meta/llama", revision="step1000"
    )
    (line,) = lines(llama, folder)
    assert "made for meta/llama at revision step1000, and is put on llama at its newest" in line
    assert lines(dataclasses.replace(llama, revision="step1000"), folder) == []
    assert lines(llama, edited(folder, revision="main")) == []


def test_a_tokenizer_of_its_own_is_said(tmp_path: Path) -> None:
    """What trl, Unsloth, Axolotl and LLaMA-Factory leave beside an adapter: prompts are the base's all the same."""
    tokens = tiny.tokenizer()
    llama = dataclasses.replace(build("llama"), tokenizer=tokens)
    folder = made("llama", tmp_path, target_modules=MLP)
    tokens.save_pretrained(folder)
    assert lines(llama, folder) == []  # the same as the base's
    (folder / "chat_template.jinja").write_text("{{ messages[0].content }}")
    (line,) = lines(llama, folder)
    assert "its chat template is another one. Prompts are written by that of llama" in line
    llama.tokenizer.chat_template = None
    (line,) = lines(llama, folder)
    assert "it has a chat template, the model has none" in line
    (folder / "chat_template.jinja").unlink()
    tokens.add_tokens(["<|think|>"])
    tokens.save_pretrained(folder)
    llama = dataclasses.replace(llama, tokenizer=tiny.tokenizer(chat=False))
    (line,) = lines(llama, folder)
    assert "1 of its added tokens are not the model's, for example '<|think|>'" in line


def test_training_does_not_go_on_from_what_its_a_and_b_alone_do_not_say(tmp_path: Path) -> None:
    refuse_beyond(read_adapter(made("llama", tmp_path / "plain", target_modules=MLP)))
    for name, settings in {
        "init_lora_weights": {"init_lora_weights": "pissa"},
        "alpha_pattern": {"alpha_pattern": {"up_proj": 64}},
        "use_dora": {"use_dora": True},
    }.items():
        adapter = read_adapter(made("llama", tmp_path / name, target_modules=MLP, **settings))
        with pytest.raises(ModelError, match=f"uses {name}, which this training does not"):
            refuse_beyond(adapter)


def test_mlx_and_adapters_in_folders_below_are_named(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(
        json.dumps({"fine_tune_type": "lora", "lora_parameters": {"rank": 8}})
    )
    (tmp_path / "adapters.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match=r"is an adapter of MLX .*mlx_lm\.fuse"):
        adapter_folder(str(tmp_path))
    (tmp_path / "out" / "checkpoint-500").mkdir(parents=True)
    (tmp_path / "out" / "checkpoint-500" / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"no adapter_config\.json; .*its folders checkpoint-500 have one each"):
        adapter_folder(str(tmp_path / "out"))
