"""A random Llama and a small fact table, in a folder: what a test needs where what the model knows does not matter."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from knowpack import records, store
from knowpack.config import FactsConfig, ModelConfig, RunConfig
from knowpack.measure.grading import grade_table
from knowpack.probe.askers import Generated
from knowpack.records import Fact, fact_id_of
from knowpack.settings import override

CHAT = (
    "{{ bos_token }}{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
WORDS = (
    "Answer the following question. Question: Who wrote the book of Mira Solen? Where is the city of Branvel? "
    "What company does Tavin Okro lead? Answer: University of Branvel, Tavin Okro, Orlen Works. I do not know."
)


def tokenizer(chat: bool = True) -> PreTrainedTokenizerFast:
    """A byte-level BPE of a few hundred entries."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    special = ["<s>", "<|end|>", "<pad>", "<|system|>", "<|user|>", "<|assistant|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator([WORDS] * 3, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<s>",
        eos_token="<|end|>",
        pad_token="<pad>",
        additional_special_tokens=special[3:],
    )
    if chat:
        fast.chat_template = CHAT
    return fast


def llama(vocab_size: int, seed: int = 0) -> LlamaForCausalLM:
    """Two layers of 32; random, the same for the same seed."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
        tie_word_embeddings=True,
        initializer_range=0.2,
    )
    return LlamaForCausalLM(config).eval()


def save_model(folder: Path, chat: bool = True) -> Path:
    """The random Llama with its tokenizer, in the transformers layout."""
    tokens = tokenizer(chat)
    llama(len(tokens)).save_pretrained(folder)
    tokens.save_pretrained(folder)
    return folder


def facts(n: int = 30) -> pl.DataFrame:
    """n made-up facts in three relations, two wordings each."""
    made = []
    for i in range(n):
        subject, relation, obj = f"Mira Solen {i}", f"relation{i % 3}", f"Branvel {i}"
        question = f"Where is {subject}?"
        fact_id = fact_id_of("tiny", subject, relation, obj, question)
        wordings = (f"What is the place of {subject}?", f"In which city is {subject}?", f"{subject} is where?")
        made.append(
            Fact(
                fact_id, question, (obj, f"B. {i}"), wordings, subject, relation, obj, "Person", "City", "head", "tiny"
            )
        )
    return records.table(made, Fact)


def save_facts(path: Path, n: int = 30) -> Path:
    """The facts as parquet."""
    store.write_table(path, facts(n))
    return path


def save_shots(path: Path, n: int = 30) -> Path:
    """A pool of few-shot examples about other entities, as CSV."""
    rows = {"question": [f"Who leads Orlen Works {i}?" for i in range(n)], "answer": [f"Tavin {i}" for i in range(n)]}
    pl.DataFrame(rows).write_csv(path)
    return path


def save_all(folder: Path, n: int = 12) -> Path:
    """model/, facts.parquet with n facts, shots.csv."""
    save_model(folder / "model")
    save_facts(folder / "facts.parquet", n)
    save_shots(folder / "shots.csv")
    return folder


def save_tuned(folder: Path) -> Path:
    """tuned/: another model of the same shape, with the same tokenizer."""
    tokens = tokenizer()
    llama(len(tokens), seed=1).save_pretrained(folder / "tuned")
    tokens.save_pretrained(folder / "tuned")
    return folder


def run_config(folder: Path, settings: Sequence[str]) -> RunConfig:
    """A run of what `save_all` left in the folder, its work beside; settings as key=value."""
    base = RunConfig(
        model=ModelConfig(name=str(folder / "model")),
        facts=FactsConfig(path=str(folder / "facts.parquet")),
        work=str(folder / "work"),
    )
    return override(base, [*settings, f"probe.shots={folder / 'shots.csv'}"])


class OnePromptAtATime:
    """generate_each of a made-up backend that has `generate`."""

    def generate_each(self, asked, *, max_new_tokens, until=None, finished=None):  # type: ignore[no-untyped-def]
        each = [self.generate(one[0], one[1], max_new_tokens=max_new_tokens, drafts=one[2]) for one in asked]
        return [[Generated(ids, None) for ids in rows] for rows in each]


def as_responses(frame: pl.DataFrame, facts: pl.DataFrame) -> pl.DataFrame:
    """Texts with their prompts -> a Response table; what was not measured is null."""
    kinds = records.schema(records.Response)
    graded = grade_table(frame, facts)
    missing = {name: pl.lit(None, dtype=kind) for name, kind in kinds.items() if name not in graded.columns}
    return graded.with_columns(**missing).select(list(kinds))
