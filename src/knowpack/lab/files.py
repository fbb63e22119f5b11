"""What the package ships of the lab: facts, few-shot examples, names never seen, the model, the task files.

The world is made again from its seed (under a second) and kept in memory; model and benchmark items are files.
"""

from functools import cache
from pathlib import Path

import polars as pl

from knowpack.errors import ModelError
from knowpack.lab import benchmarks, names
from knowpack.lab.forms import as_question
from knowpack.lab.relations import of_domain
from knowpack.lab.world import FRAMED_SHARES, SPOKEN_FRAMES, World, build, in_frame
from knowpack.seeds import stream

SEED = 0
REFUSALS = names.REFUSALS
MODEL_FILES = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")


@cache
def world() -> World:
    """The shipped world."""
    return build(SEED)


def facts() -> pl.DataFrame:
    """Table of Fact: the facts to pack, in their fixed order."""
    return world().facts


def shots() -> pl.DataFrame:
    """question, answer: worked examples for few-shot prompts, about people of whom no fact is in `facts`.

    As many are in a frame as in the corpus, so that prompts differ in the kind of source they look like.
    """
    pool = world().guests.filter(pl.col("role") == "shot")
    drawn = stream(SEED, "shots", "frames").random(pool.height) * 2 / sum(FRAMED_SHARES)  # below 1: framed
    questions = [
        in_frame(SPOKEN_FRAMES[int(u * len(SPOKEN_FRAMES))], question) if u < 1 else question
        for question, u in zip(pool["question"], drawn, strict=True)
    ]
    return pl.DataFrame({"question": questions, "answer": pool["answers"].list.first()})


def never_seen() -> pl.DataFrame:
    """question: one about each name that occurs nowhere in corpus or facts. The right behaviour is to refuse."""
    rng = stream(SEED, "never")
    drawn = []
    for cls, name in world().never.iter_rows():
        relations = of_domain(cls)
        drawn.append(as_question(relations[int(rng.integers(len(relations)))], name))
    return pl.DataFrame({"question": drawn})


def model_dir() -> Path:
    """The folder of the shipped model, in the transformers layout. ModelError where the installation lacks it."""
    folder = Path(__file__).parent / "weights"
    missing = [name for name in MODEL_FILES if not (folder / name).is_file()]
    if missing:
        raise ModelError(f"the lab's model lacks {', '.join(missing)}; install knowpack again, or `knowpack lab build`")
    return folder


def task_dir() -> Path:
    """The folder of the lab's lm-eval task files, with their data."""
    return benchmarks.FOLDER
