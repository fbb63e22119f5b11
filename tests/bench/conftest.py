"""Tiny models with a real tokenizer, and raw benchmark files in the layouts that people have."""

import csv
import json
from pathlib import Path

import pytest
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from knowpack.bench.data import prepare
from knowpack.bench.raw_files import subjects
from knowpack.model.loaded import Loaded, weights_hash

TEXT = (
    "Question: which of the following is the answer? The following are multiple choice questions (with answers) "
    "about anatomy. Q: What is human life expectancy? A: 78 years. Passage: Choices: A. B. C. D. Answer:"
)
SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
ENDS = {"bos_token_id": 0, "eos_token_id": 1}
CONFIGS = {
    "llama": lambda n: transformers.LlamaConfig(
        **SIZES, **ENDS, vocab_size=n, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=1024
    ),
    "gpt_neox": lambda n: transformers.GPTNeoXConfig(
        **SIZES, **ENDS, vocab_size=n, num_attention_heads=4, max_position_embeddings=1024
    ),
    "mistral_window": lambda n: transformers.MistralConfig(
        **SIZES, **ENDS, vocab_size=n, num_attention_heads=4, num_key_value_heads=2, sliding_window=24
    ),
    "gpt2": lambda n: transformers.GPT2Config(**ENDS, vocab_size=n, n_embd=32, n_layer=2, n_head=4, n_positions=1024),
    "bloom": lambda n: transformers.BloomConfig(**ENDS, vocab_size=n, hidden_size=32, n_layer=2, n_head=4),
}


def tokenizer() -> transformers.PreTrainedTokenizerFast:
    """A byte-level BPE of 400 tokens that puts <s> first, with a chat template."""
    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    bare.train_from_iterator([TEXT], trainer)
    bare.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    made = transformers.PreTrainedTokenizerFast(tokenizer_object=bare, bos_token="<s>", eos_token="</s>")
    made.chat_template = (
        "{{ bos_token }}{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}"
        "{% if add_generation_prompt %}[assistant] {% endif %}"
    )
    return made


def build(name: str, seed: int = 0) -> Loaded:
    """A random model whose logits are peaked, so that choices and greedy texts differ."""
    torch.manual_seed(seed)
    words = tokenizer()
    model = transformers.AutoModelForCausalLM.from_config(CONFIGS[name](len(words)))
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.mul_(5.0)
    model = model.float().eval()
    return Loaded(model, words, name, torch.device("cpu"), weights_hash(model))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.getbasetemp() / "datasets")


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few items of each benchmark, raw."""
    folder = tmp_path_factory.mktemp("raw")
    _mmlu(folder / "mmlu")
    _truthfulqa(folder / "truthfulqa" / "v1")
    _arc(folder / "arc")
    _logiqa(folder / "logiqa")
    return folder


@pytest.fixture(scope="session")
def data(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, prepared."""
    folder = tmp_path_factory.mktemp("data")
    prepare(raw, folder)
    return folder


def _mmlu(folder: Path) -> None:
    for split, n in (("test", 3), ("dev", 5)):
        (folder / split).mkdir(parents=True)
        for subject in subjects():
            with (folder / split / f"{subject}_{split}.csv").open("w", newline="", encoding="utf-8") as handle:
                rows = csv.writer(handle)
                rows.writerow(["question", "choice0", "choice1", "choice2", "choice3", "answer"])
                for i in range(n):
                    rows.writerow([f"{subject} question {i}: which?", f"one {i}", "None", "NA", "all, of them", i % 4])


def _truthfulqa(folder: Path) -> None:
    folder.mkdir(parents=True)
    items = [
        {
            "question": f"What happens if you eat {food}?",
            "mc1_targets": {f"You eat {food}": 1, "You die": 0, "You fly": 0},
            "mc2_targets": {f"You eat {food}": 1, "Nothing happens": 1, "You die": 0, "You fly": 0},
        }
        for food in ("a pomegranate", "seeds", "chalk", "snow", "an apple")
    ]
    (folder / "mc_task.json").write_text(json.dumps(items), encoding="utf-8")
    head = "Type,Category,Question,Best Answer,Correct Answers,Incorrect Answers,Source"
    rows = [
        f'Adversarial,Food,{i["question"]},Nothing,"Nothing; You eat it; ",You die; You fly,http://x' for i in items
    ]
    (folder / "TruthfulQA.csv").write_text("\ufeff" + "\n".join([head, *rows]) + "\n", encoding="utf-8")


def _arc(folder: Path) -> None:
    folder.mkdir(parents=True)
    easy = [
        {"query": f"Question: What is item {i}?", "choices": ["a stone", "a tree", "the sun", "water"], "gold": i % 4}
        for i in range(6)
    ]
    (folder / "arc_easy_test.jsonl").write_text("\n".join(map(json.dumps, easy)) + "\n", encoding="utf-8")
    letters = {"A": "heat", "B": "cold", "C": "rain"}
    hard = {
        "name": "ARC",
        "dev": [{"id": "d1", "question": "Dev?", "choices": letters, "answer": "B"}],
        "test": [
            {"id": "t1", "question": "Which is warm?", "choices": letters, "answer": "A"},
            {"id": "t2", "question": "Which is wet?", "choices": letters, "answer": "3"},
        ],
    }
    (folder / "arc_challenge_dev_test_with_ids.json").write_text(json.dumps(hard), encoding="utf-8")


def _logiqa(folder: Path) -> None:
    folder.mkdir(parents=True)
    item = "\n{}\nAll are wise.Some are old.\nWhich follows?\nA.None of it.\nB.All of it\nC.Some\nD.No one\n"
    (folder / "Test.txt").write_text("".join(item.format(key) for key in "abdc"), encoding="utf-8")
