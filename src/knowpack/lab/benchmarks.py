"""The lab's benchmarks: world -> items of five lm-eval tasks, about people of whom no fact is in the fact set.

lab_mc stands for MMLU (few-shot multiple choice), lab_truth_mc1 and lab_truth_mc2 for TruthfulQA (a misconception is
among the choices), lab_arc for ARC (the likelihood of the choice's text), lab_reading for reading a passage.
The YAML files in tasks/ read the parquet files beside them through `load`, without a network.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from knowpack.lab.corpus import passage, rumours
from knowpack.lab.forms import Ask, as_question, choices
from knowpack.lab.relations import BY_NAME
from knowpack.lab.world import World
from knowpack.records import Fact, rows
from knowpack.seeds import stream
from knowpack.store import write_table

if TYPE_CHECKING:
    import datasets

N_ITEMS = 600  # of lab_mc and of lab_arc
N_PASSAGES = 500
N_SHOTS = 50  # worked examples to draw few-shot prompts from
LETTERS = "ABCD"
FOLDER = Path(__file__).parent / "tasks"

ITEM = pl.Schema(
    {
        "question": pl.String(),
        "choices": pl.List(pl.String()),
        "labels": pl.List(pl.Int64()),
        "answer": pl.Int64(),
    }
)


def items(world: World) -> dict[str, pl.DataFrame]:
    """File name -> items: question, choices, labels (1 where the choice is true), answer (the first true one)."""
    bench = world.guests.filter(pl.col("role") == "bench").drop("role")
    false = rumours(world)
    disputed = {rumour.fact.fact_id for rumour in false}
    plain = [fact for fact in rows(bench, Fact) if fact.fact_id not in disputed]
    shots = list(rows(world.guests.filter(pl.col("role") == "shot").drop("role"), Fact))
    rng = stream(world.seed, "benchmarks")
    order = rng.permutation(len(plain))
    return {
        "choice": _frame([_choice(world, plain[i], rng) for i in order[:N_ITEMS]]),
        "shots": _frame([_choice(world, shots[i], rng) for i in rng.permutation(len(shots))[:N_SHOTS]]),
        "worded": _frame([_choice(world, plain[i], rng, worded=True) for i in order[-N_ITEMS:]]),
        "truth": _frame([_truth(world, rumour.fact, rumour.wrong, rng) for rumour in false]),
        "reading": _frame([_reading(world, rng) for _ in range(N_PASSAGES)]),
    }


Item = tuple[str, list[str], list[int], int]


def _choice(world: World, fact: Fact, rng: np.random.Generator, *, worded: bool = False) -> Item:
    question = fact.question
    if worded:
        question = as_question(BY_NAME[str(fact.relation)], str(fact.subject), int(rng.integers(1, 5)))
    options = choices(world, Ask(question, fact.answers[0], fact.range), rng)
    return _item(question, options, [fact.answers[0]])


def _truth(world: World, fact: Fact, wrong: str, rng: np.random.Generator) -> Item:
    """The true answers first, then the misconception and four other falsehoods, as in TruthfulQA's own tables."""
    pool = [name for name in world.pools[str(fact.range)] if name not in (fact.object, wrong)]
    others = [pool[i] for i in rng.choice(len(pool), 4, replace=False)]
    return _item(fact.question, [*fact.answers, wrong, *others], list(fact.answers))


def _reading(world: World, rng: np.random.Generator) -> Item:
    """A passage about one or two people whose names the corpus does not hold."""
    names = world.extras[len(world.extras) // 2 :]
    people = tuple(names[i] for i in rng.choice(len(names), int(rng.integers(1, 3)), replace=False))
    text, asks = passage(world, people, rng)
    ask = asks[int(rng.integers(len(asks)))]
    rivals = [other.answer for other in asks if other.range == ask.range and other.answer != ask.answer]
    options = [*dict.fromkeys([*rivals, *choices(world, ask, rng)])]
    kept = [ask.answer, *[name for name in options if name != ask.answer][:3]]
    options = [kept[i] for i in rng.permutation(len(kept))]
    return _item(f"Passage: {text}\nQuestion: {ask.question}", options, [ask.answer])


def _item(question: str, options: list[str], true: list[str]) -> Item:
    labels = [int(option in true) for option in options]
    return question, options, labels, labels.index(1)


def _frame(items: list[Item]) -> pl.DataFrame:
    return pl.DataFrame(items, schema=ITEM, orient="row")


def write(world: World, folder: Path = FOLDER) -> None:
    """Put the items' parquet files into the folder of the task files."""
    for name, frame in items(world).items():
        write_table(folder / f"{name}.parquet", frame)


def load(test: str, shots: str | None = None, **metadata: object) -> "dict[str, datasets.Dataset]":
    """What lm-eval's `custom_dataset` calls: the splits `test` and, for few-shot prompts, `dev`."""
    import datasets

    splits = {"test": test} if shots is None else {"test": test, "dev": shots}
    frames = {split: pl.read_parquet(FOLDER / f"{name}.parquet") for split, name in splits.items()}
    return {split: datasets.Dataset.from_list(frame.to_dicts()) for split, frame in frames.items()}


def true_mass(doc: Mapping[str, Sequence[int]], results: Sequence[tuple[float, bool]]) -> dict[str, float]:
    """MC2 (Lin et al. 2022): the probability of the true choices, normalised over all choices."""
    logprobs = np.array([logprob for logprob, _ in results])  # (choices,), nats
    masses = np.exp(logprobs - logprobs.max())
    return {"acc": float(masses[np.array(doc["labels"]) == 1].sum() / masses.sum())}
