"""Training against transformers' Trainer with peft, and what an adapter must leave as it was."""

import json
import math
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from unittest.mock import Mock, create_autospec

import peft
import polars as pl
import pytest
import torch
import transformers
import yaml
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

import tiny
from knowpack.config import ModelConfig, PlainRecipe
from knowpack.errors import ModelError
from knowpack.model.load import load
from knowpack.model.loaded import Loaded
from knowpack.probe.prompts import Prompter
from knowpack.records import Example, table
from knowpack.seeds import seed_of, stream
from knowpack.train import card, lora, target_modules
from knowpack.train.batch import NO_LOSS, Row, collate, encode
from knowpack.train.train import train

SIZE = {"vocab_size": 64, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4}
WIDE = {**SIZE, "intermediate_size": 32, "max_position_embeddings": 64}


def random_model(kind: str) -> PreTrainedModel:
    torch.manual_seed(0)
    match kind:
        case "llama":
            config = transformers.LlamaConfig(**WIDE, num_key_value_heads=2)
        case "mistral":
            config = transformers.MistralConfig(**WIDE, num_key_value_heads=2, sliding_window=8)
        case "qwen":
            config = transformers.Qwen2Config(**WIDE, num_key_value_heads=2)
        case "neox":
            config = transformers.GPTNeoXConfig(**WIDE)
        case _:
            config = transformers.GPT2Config(
                vocab_size=64, n_embd=16, n_layer=2, n_head=4, n_positions=64, bos_token_id=1, eos_token_id=1
            )
    return transformers.AutoModelForCausalLM.from_config(config).eval()


def words() -> PreTrainedTokenizerFast:
    names = ["<pad>", "</s>", "?", ".", ":", *["Answer", "the", "following", "question", "Question"]]
    names += [f"w{index}" for index in range(64 - len(names))]
    core = Tokenizer(models.WordLevel({name: index for index, name in enumerate(names)}, unk_token="."))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>", pad_token="<pad>", unk_token=".")


def loaded(kind: str = "llama") -> Loaded:
    return Loaded(random_model(kind), words(), f"random-{kind}", torch.device("cpu"), "0" * 16)


def some_examples(n: int = 11) -> pl.DataFrame:
    picks = stream(5, "test").integers(0, 40, size=(n, 6))
    return table(
        [
            Example(f"e{i}", f"f{i}", "unknown", " ".join(f"w{w}" for w in row[: 2 + i % 3]), f"w{row[4]} w{row[5]}")
            for i, row in enumerate(picks)
        ],
        Example,
    )


def all_weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in model.state_dict().items()}


class InOurOrder(transformers.Trainer):
    """The Trainer, its batches in the order of our stream."""

    def _get_train_sampler(self, *args: object, **kwargs: object) -> torch.utils.data.Sampler[int]:
        size = len(self.train_dataset)

        class Ours(torch.utils.data.Sampler[int]):
            epoch = 0

            def __len__(self) -> int:
                return size

            def __iter__(self):
                order = stream(7, "order", self.epoch).permutation(size)
                self.epoch += 1
                return iter(order.tolist())

        return Ours()


def by_trainer(base: PreTrainedModel, rows: list[Row], config: PlainRecipe, out: Path) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed_of(7, "init"))
    model = peft.get_peft_model(
        base,
        peft.LoraConfig(
            task_type="CAUSAL_LM",
            r=config.rank,
            lora_alpha=config.alpha,
            use_rslora=config.rslora,
            target_modules=["gate_proj", "up_proj", "down_proj"],
        ),
    )

    def pad(items: list[dict[str, Row]]) -> dict[str, torch.Tensor]:
        width = max(len(item["row"].ids) for item in items)
        ids = torch.zeros(len(items), width, dtype=torch.long)
        mask, labels = torch.zeros_like(ids), torch.full_like(ids, -100)
        for index, item in enumerate(items):
            row = item["row"]
            ids[index, : len(row.ids)] = torch.tensor(row.ids)
            mask[index, : len(row.ids)] = 1
            labels[index, row.n_prompt : len(row.ids)] = torch.tensor(row.ids[row.n_prompt :])
        return {"input_ids": ids, "attention_mask": mask, "labels": labels}

    steps = config.epochs * math.ceil(len(rows) / config.batch_size)
    schedule = {"constant": "constant_with_warmup"}.get(config.schedule, config.schedule)
    arguments = transformers.TrainingArguments(
        output_dir=str(out),
        use_cpu=True,
        num_train_epochs=config.epochs,
        learning_rate=config.lr,
        per_device_train_batch_size=config.batch_size,
        lr_scheduler_type=schedule,
        warmup_steps=math.ceil(steps * config.warmup_ratio),
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_grad_norm,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
        remove_unused_columns=False,
        logging_strategy="no",
    )
    InOurOrder(model, arguments, data_collator=pad, train_dataset=[{"row": row} for row in rows]).train()
    return peft.get_peft_model_state_dict(model)


@pytest.mark.parametrize(
    "config",
    [
        PlainRecipe(rank=2, alpha=4, lr=1e-2, epochs=3, batch_size=4, loss="all"),
        PlainRecipe(rank=3, lr=1e-2, epochs=3, batch_size=4, rslora=True, schedule="cosine", warmup_ratio=0.3),
        PlainRecipe(rank=1, lr=3e-2, epochs=2, batch_size=3, schedule="constant", weight_decay=0.1, max_grad_norm=0.3),
    ],
)
def test_adapter_equals_trainer_with_peft(config: PlainRecipe, tmp_path: Path) -> None:
    ours = loaded()
    prompter = Prompter(ours.tokenizer)
    result = train(ours, some_examples(), config, 7, tmp_path / "ours", prompter=prompter)
    theirs = by_trainer(random_model("llama"), encode(some_examples(), prompter, config.loss), config, tmp_path / "t")
    got = peft.utils.save_and_load.load_peft_weights(str(result.adapter_dir), device="cpu")
    assert got.keys() == theirs.keys()
    moved = 0.0
    for name, weight in theirs.items():
        torch.testing.assert_close(got[name], weight, atol=1e-4, rtol=0)
        moved = max(moved, float(weight.abs().max()) if "lora_B" in name else 0.0)
    assert moved > 1e-2  # they agree on something


@pytest.mark.parametrize(
    ("kind", "layers"),
    [
        ("llama", ["down_proj", "gate_proj", "up_proj"]),
        ("mistral", ["down_proj", "gate_proj", "up_proj"]),
        ("qwen", ["down_proj", "gate_proj", "up_proj"]),
        ("neox", ["dense_4h_to_h", "dense_h_to_4h"]),
        ("gpt2", ["c_fc", "mlp.c_proj"]),  # the attention has a c_proj too
    ],
)
def test_plain_peft_gives_the_same_logits_and_the_base_is_bit_for_bit(
    kind: str, layers: list[str], tmp_path: Path
) -> None:
    ours = loaded(kind)
    before, names = all_weights(ours.model), [name for name, _ in ours.model.named_modules()]
    wants = [weight.requires_grad for weight in ours.model.parameters()]
    ids = torch.tensor([[5, 9, 30, 31, 2]])
    plain = ours.model(input_ids=ids).logits.detach()
    config = PlainRecipe(rank=2, lr=1e-2, epochs=2, batch_size=4)
    train(ours, some_examples(), config, 7, tmp_path, prompter=Prompter(ours.tokenizer))
    after = all_weights(ours.model)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert names == [name for name, _ in ours.model.named_modules()]
    assert wants == [weight.requires_grad for weight in ours.model.parameters()]
    assert not hasattr(ours.model, "peft_config")
    modules = json.loads((tmp_path / "adapter_config.json").read_text())["target_modules"]
    assert modules == sorted(modules), "peft writes a set, in another order in each process"
    assert modules
    assert target_modules.targets(ours.model, ("auto",)).modules == layers
    reread = peft.PeftModel.from_pretrained(random_model(kind), str(tmp_path)).eval()
    with lora.reloaded(ours.model, tmp_path) as tuned:
        tuned.eval()
        torch.testing.assert_close(reread(input_ids=ids).logits, tuned(input_ids=ids).logits, atol=1e-5, rtol=0)
    assert (reread(input_ids=ids).logits - plain).abs().max() > 1e-3


def test_same_seed_same_bytes_other_seed_other_weights(tmp_path: Path) -> None:
    ours = loaded()
    config = PlainRecipe(rank=2, dropout=0.2, lr=1e-2, epochs=1, batch_size=4)
    files = []
    for index, seed in enumerate((7, 7, 8)):
        torch.rand(index)  # the global stream must not matter
        train(ours, some_examples(), config, seed, tmp_path / str(index), prompter=Prompter(ours.tokenizer))
        files.append((tmp_path / str(index) / "adapter_model.safetensors").read_bytes())
    assert files[0] == files[1]
    assert files[0] != files[2]


def test_loss_only_on_the_answer_and_its_end() -> None:
    batch = collate([Row((5, 6, 7, 8), 2), Row((5, 6, 6, 6, 9), 4)], torch.device("cpu"))
    # first loss: token 2 of row 0, predicted at position 1; so positions 1.. are kept
    assert batch.n_keep == 4
    assert batch.targets.tolist() == [[7, 8, NO_LOSS, NO_LOSS], [NO_LOSS, NO_LOSS, 9, NO_LOSS]]


def test_card_is_yaml_headed_and_names_the_base_and_the_hash(tmp_path: Path) -> None:
    ours = loaded()
    config = PlainRecipe(lr=1e-2, epochs=1)
    train(ours, some_examples(), config, 7, tmp_path, prompter=Prompter(ours.tokenizer))
    _, head, body = (tmp_path / "README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(head)["base_model"] == "random-llama"
    assert yaml.safe_load(head)["library_name"] == "peft"
    assert "unknown: 11 examples of 11 facts" in body
    assert "sha256" in body
    assert f"knowpack {version('knowpack')}, seed 7." in body


def test_a_card_names_the_hub_and_the_licence_and_no_path_of_this_machine(tmp_path: Path) -> None:
    """base_model is read as a hub name by whoever loads or lists the adapter; of a folder there is none to give."""
    typed = "knowpack pack /home/me/secret/facts.csv --model smollm2 --out /home/me/real"
    card.write(tmp_path, "smollm2", "0a1b", some_examples(), PlainRecipe(), 7, {"harm": "0.010"}, typed)
    _, head, body = (tmp_path / "README.md").read_text().split("---\n", 2)
    told = yaml.safe_load(head)
    assert told["base_model"] == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert told["license"] == "apache-2.0"
    assert "base_model:adapter:HuggingFaceTB/SmolLM2-135M-Instruct" in told["tags"]
    assert "    knowpack pack facts.csv --model smollm2 --out real\n" in body
    assert "| harm | 0.010 |" in body
    mine = tiny.save_model(tmp_path / "mine")
    card.write(tmp_path, str(mine), "0a1b", some_examples(), PlainRecipe(), 7)
    text = (tmp_path / "README.md").read_text()
    assert text.count("mine") == 2
    assert str(tmp_path) not in text
    assert "base_model" not in yaml.safe_load(text.split("---\n")[1])


def test_the_adapters_config_names_the_hub_or_a_name_without_folders(tmp_path: Path) -> None:
    """peft writes the folder that the model was loaded from, from the root."""
    folder = tiny.save_model(tmp_path / "model")
    for hub, expected in ((None, "model"), ("owner/tiny", "owner/tiny")):
        told = json.loads((folder / "config.json").read_text()) | {"_name_or_path": hub}
        (folder / "config.json").write_text(json.dumps(told))
        ours, out = load(ModelConfig(name=str(folder))), tmp_path / "out" / expected
        train(ours, some_examples(), PlainRecipe(lr=1e-2, epochs=1), 7, out, prompter=Prompter(ours.tokenizer))
        settings = json.loads((out / "adapter_config.json").read_text())
        assert settings["base_model_name_or_path"] == expected
        assert json.loads((out / "knowpack.json").read_text())["base"] == str(folder)
        plain = transformers.AutoModelForCausalLM.from_pretrained(folder)
        assert peft.PeftModel.from_pretrained(plain, str(out)).peft_config["default"].r == PlainRecipe().rank


def test_the_revision_of_the_base_stands_beside_the_adapter_as_peft_reads_it(tmp_path: Path) -> None:
    """Whoever loaded it by its own words got the newest base."""
    recipe = PlainRecipe(lr=1e-2, epochs=1, checkpoint_each_epoch=True)
    for revision in (None, "v1"):
        ours, out = replace(loaded(), revision=revision), tmp_path / str(revision)
        train(ours, some_examples(), recipe, 7, out, prompter=Prompter(ours.tokenizer))
        for folder in (out, out / "epoch-01"):
            assert peft.PeftConfig.from_pretrained(str(folder)).revision == revision
        assert json.loads((out / "knowpack.json").read_text()).get("revision") == revision


def test_log_has_a_line_a_step_and_lr_decays_to_the_last(tmp_path: Path) -> None:
    ours = loaded()
    config = PlainRecipe(lr=1e-2, epochs=2, batch_size=4)
    train(ours, some_examples(), config, 7, tmp_path, prompter=Prompter(ours.tokenizer))
    lines = [json.loads(line) for line in (tmp_path / "train_log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]  # 2 epochs x ceil(11 / 4)
    assert [line["lr"] for line in lines] == pytest.approx([1e-2 * (6 - step) / 6 for step in range(6)])


def test_checkpoints_each_epoch_are_adapters(tmp_path: Path) -> None:
    ours = loaded()
    config = PlainRecipe(lr=1e-2, epochs=2, checkpoint_each_epoch=True)
    train(ours, some_examples(), config, 7, tmp_path, prompter=Prompter(ours.tokenizer))
    first, last = (
        peft.utils.save_and_load.load_peft_weights(str(tmp_path / name), device="cpu")
        for name in ("epoch-01", "epoch-02")
    )
    final = peft.utils.save_and_load.load_peft_weights(str(tmp_path), device="cpu")
    assert all(torch.equal(last[name], final[name]) for name in final)
    assert any(not torch.equal(first[name], final[name]) for name in final)


def test_tensorboard_by_its_own_library(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    ours = loaded()
    config = PlainRecipe(lr=1e-2, epochs=1, track="tensorboard")
    train(ours, some_examples(), config, 7, tmp_path, prompter=Prompter(ours.tokenizer))
    assert list((tmp_path / "tensorboard").glob("events*"))


def test_trackio_by_its_own_library_which_prints_nothing_where_a_json_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where it is installed; it needs no account. The file is its own: a database of what was logged."""
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))  # read when it is imported
    pytest.importorskip("trackio")
    ours = loaded()
    config = PlainRecipe(lr=1e-2, epochs=1, track="trackio")
    train(ours, some_examples(), config, 7, tmp_path / "run" / "adapter", prompter=Prompter(ours.tokenizer))
    assert list((tmp_path / "trackio").rglob("knowpack*"))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("library", ["trackio", "wandb"])
def test_a_tracker_is_given_the_settings_every_step_and_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    """The three calls that both libraries have, by a double; the run is named for its folder, not for a file half
    written."""
    module = create_autospec(ModuleType(library), instance=True)
    module.init, module.log, module.finish = Mock(), Mock(), Mock()
    monkeypatch.setitem(sys.modules, library, module)
    ours = loaded()
    config = PlainRecipe(lr=1e-2, epochs=1, batch_size=4, track=library)
    out = tmp_path / "fifty-0a1b" / ".adapter.machine-7.part"
    train(ours, some_examples(), config, 7, out, prompter=Prompter(ours.tokenizer))
    (started,) = module.init.call_args_list
    assert started.kwargs["project"] == "knowpack"
    assert started.kwargs["name"] == "fifty-0a1b, seed 7"
    assert started.kwargs["config"]["lr"] == 1e-2
    assert [call.kwargs["step"] for call in module.log.call_args_list] == [1, 2, 3]  # ceil(11 / 4) steps
    assert all({"loss", "lr"} <= set(call.args[0]) for call in module.log.call_args_list)
    module.finish.assert_called_once_with()


def test_a_tracker_that_is_not_installed_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    ours = loaded()
    with pytest.raises(ModelError, match=r"train\.track needs wandb, which is not installed: pip install wandb"):
        train(ours, some_examples(), PlainRecipe(track="wandb"), 7, tmp_path, prompter=Prompter(ours.tokenizer))


def test_diverged_training_is_one_line_and_the_base_comes_back(tmp_path: Path) -> None:
    ours = loaded()
    before = all_weights(ours.model)
    config = PlainRecipe(lr=1e30, max_grad_norm=1e30, epochs=20, batch_size=2, schedule="constant")
    with pytest.raises(ModelError, match=r"train\.lr"):
        train(ours, some_examples(), config, 7, tmp_path, prompter=Prompter(ours.tokenizer))
    assert all(torch.equal(before[name], weight) for name, weight in all_weights(ours.model).items())


@pytest.mark.parametrize("way", ["fresh", "from disk"])
def test_where_peft_raises_half_way_no_layer_of_it_stays_on_the_base(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of six layers had a LoRA for good, and the hash of the base leaves LoRA weights out."""
    model, n_layers = random_model("llama"), 0
    with lora.adapted(model, PlainRecipe(), 1) as tuned:
        lora.save(tuned, tmp_path)
    before, modules, settings = all_weights(model), dict(model.named_modules()), model.config.to_dict()
    replace = peft.tuners.lora.LoraModel._create_and_replace

    def failing(self: peft.tuners.lora.LoraModel, *given: object, **named: object) -> None:
        nonlocal n_layers
        n_layers += 1
        if n_layers == 3:
            raise MemoryError("no room for a third")
        replace(self, *given, **named)

    monkeypatch.setattr(peft.tuners.lora.LoraModel, "_create_and_replace", failing)
    on = lora.adapted(model, PlainRecipe(), 1) if way == "fresh" else lora.reloaded(model, tmp_path)
    with pytest.raises(MemoryError, match="third"), on:
        pass
    assert n_layers == 3
    after = all_weights(model)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], weight) for name, weight in after.items())
    assert [(name, id(one)) for name, one in model.named_modules()] == [(n, id(one)) for n, one in modules.items()]
    assert (model.config.to_dict(), model.training) == (settings, False)
    assert all(weight.requires_grad for weight in model.parameters())
    assert not hasattr(model, "peft_config")


def test_a_training_that_diverges_ends_at_that_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It went on to its last step, and was found to be nothing after it."""
    step, n_steps = torch.optim.AdamW.step, 0

    def counted(self: torch.optim.AdamW, *given: object) -> object:
        nonlocal n_steps
        n_steps += 1
        return step(self, *given)

    monkeypatch.setattr(torch.optim.AdamW, "step", counted)
    ours, config = loaded(), PlainRecipe(lr=1e30, max_grad_norm=1e30, epochs=20, batch_size=2, schedule="constant")
    with pytest.raises(ModelError, match=r"the loss is \w+: training diverged; lower train\.lr"):
        train(ours, some_examples(), config, 7, tmp_path, prompter=Prompter(ours.tokenizer))
    assert n_steps <= 4, "of 120"


def test_a_step_that_does_not_fit_into_memory_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr("knowpack.train.plain.cross_entropy", full)
    ours = loaded()
    before = all_weights(ours.model)
    with pytest.raises(ModelError, match=r"does not fit into memory: lower train.batch_size \(4\)"):
        train(ours, some_examples(), PlainRecipe(batch_size=4), 7, tmp_path, prompter=Prompter(ours.tokenizer))
    assert all(torch.equal(weight, before[name]) for name, weight in all_weights(ours.model).items())


def test_unknown_target_module_names_those_there_are() -> None:
    with pytest.raises(ModelError, match="gate_proj"):
        target_modules.targets(random_model("llama"), ("gate_prj",))


def test_nothing_to_train_on_is_one_line(tmp_path: Path) -> None:
    ours = loaded()
    with pytest.raises(ModelError, match="no facts"):
        train(ours, some_examples()[:0], PlainRecipe(), 7, tmp_path, prompter=Prompter(ours.tokenizer))


def test_an_example_longer_than_the_window_is_one_line(tmp_path: Path) -> None:
    ours = loaded()
    ours.model.config.max_position_embeddings = 8
    with pytest.raises(ModelError, match=r"the longest prompt has \d+ tokens, and .* has a window of 8"):
        train(ours, some_examples(), PlainRecipe(), 7, tmp_path, prompter=Prompter(ours.tokenizer))


def test_n_parameters_by_hand() -> None:
    # 2 layers x 3 matrices of 16 x 32: rank 4 x (16 + 32) each
    assert target_modules.n_parameters(random_model("llama"), PlainRecipe(rank=4)) == 2 * 3 * 4 * 48
    with lora.adapted(random_model("llama"), PlainRecipe(rank=4), 0) as model:
        assert sum(weight.numel() for weight in lora.weights(model)) == 2 * 3 * 4 * 48


@pytest.mark.parametrize("kind", ["llama", "neox"])
def test_adapters_begin_at_a_share_of_the_depth(kind: str) -> None:
    model, config = random_model(kind), PlainRecipe(rank=4, from_layer=0.5)  # two layers: the second only
    with lora.adapted(model, config, 0) as tuned:
        names = [name for name, weight in tuned.named_parameters() if weight.requires_grad]
        n = sum(weight.numel() for weight in lora.weights(tuned))
    assert names
    assert all("layers.1." in name for name in names)
    assert (
        target_modules.n_parameters(model, config) == n == target_modules.n_parameters(model, PlainRecipe(rank=4)) // 2
    )


@pytest.mark.parametrize("kind", ["llama", "neox"])
def test_the_output_layer_stands_above_every_layer_that_adapters_begin_at(kind: str) -> None:
    """peft puts it on whatever its layers are; it was refused as "reads down_proj, lm_head as other layers"."""
    model, mlp = random_model(kind), {"llama": "down_proj", "neox": "dense_4h_to_h"}[kind]
    config = PlainRecipe(rank=4, from_layer=0.5, target_modules=("lm_head", mlp))
    # rank 4 x (16 in + 64 words out), and 4 x (32 + 16) in the second of two layers
    assert target_modules.n_parameters(model, config) == 4 * 80 + 4 * 48
    with lora.adapted(model, config, 0) as tuned:
        names = [name for name, weight in tuned.named_parameters() if weight.requires_grad]
        assert sum(weight.numel() for weight in lora.weights(tuned)) == 4 * 80 + 4 * 48
    assert sum("lm_head." in name for name in names) == sum("layers.1." in name for name in names) == 2  # A and B


@pytest.mark.parametrize(("below", "sides"), [("model.layers.0.mlp.down_proj", 32 + 16), ("project_in", 16 + 16)])
def test_what_stands_below_the_layer_that_adapters_begin_at_names_the_setting(below: str, sides: int) -> None:
    model = random_model("llama")
    model.model.project_in = nn.Linear(16, 16)  # as some models have one behind their embedding
    with pytest.raises(ModelError, match=rf"begin at layer 1, and .*{below} of .*; set train\.from_layer=0$") as error:
        target_modules.n_parameters(model, PlainRecipe(from_layer=0.5, target_modules=("up_proj", below)))
    assert "\n" not in str(error.value)
    assert target_modules.n_parameters(model, PlainRecipe(rank=4, target_modules=(below,))) == 4 * sides
