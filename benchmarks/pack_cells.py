"""The cells of the pack table: which there are, and what the search of recipes to compare with has chosen."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import anchored
from knowpack import store
from knowpack.config import KeepRecipe, PlainRecipe
from knowpack.train import recipes
from pack_world import Judged, World

SEEDS = (42, 1337, 10824)  # the paper's
JUDGED_SEEDS = (1, 2, 3)
VALIDATION_SEED = 7
LRS = {"k=0": (1e-2, 3e-2, 5e-2), "10 HighlyKnown": (1e-2, 3e-2), "10 paraphrases": (3e-3, 1e-2, 3e-2)}
PAPER = PlainRecipe(rank=1, alpha=2, dropout=0.1, rslora=True, lr=1e-3, epochs=10, batch_size=16, loss="all")
SEARCHED = (3e-3, 1e-2, 3e-2)  # learning rates of the fair search
ANCHORS = (0.1, 1.0, 10.0)
MIXES = {"k=0": {}, "10 HighlyKnown": {"n_highly_known": 10}, "10 paraphrases": {"n_paraphrase": 10}}


@dataclass(frozen=True)
class Cell:
    """One adapter and what it is measured on."""

    label: str
    n: int
    draw: int
    """Which of the disjoint draws of n facts; -1: the validation draw."""
    seed: int
    train: PlainRecipe | KeepRecipe
    mix: str | None = None
    """A key of MIXES; None = pack."""
    measure: bool = True
    """False: reliability on the validation prompts only."""
    known_only: bool = False
    """Replay prompts only from facts that the base knows, so that none of them is refused."""
    anchor: tuple[float, bool] | None = None
    """KL-anchored training instead of replay: its weight, and whether the loss is weighted by probability (ASFT)."""

    @property
    def name(self) -> str:
        named = [self.label, self.n, self.draw, self.seed]
        return store.hash_of(
            [*(str(v) for v in named), self.train.model_dump(), *([self.anchor] if self.anchor else [])]
        )


def cells(world: World, kind: str, only: str = "") -> Iterator[Cell]:
    """The cells of a kind whose label holds `only`."""
    judged = isinstance(world, Judged)
    seeds = JUDGED_SEEDS if judged else SEEDS
    match kind:
        case "search50":
            for name in MIXES:
                for config in searched(name):
                    yield Cell(f"search {name}", 50, -1, VALIDATION_SEED, config, name, measure=False)
            for anchor in [(weight, by_probability) for by_probability in (False, True) for weight in ANCHORS]:
                config = changed(recipe(50), **anchored.NO_REPLAY)
                yield Cell("search anchored", 50, -1, VALIDATION_SEED, config, measure=False, anchor=anchor)
        case "anchored50":
            anchor = tuple(best(world.search, "anchored")["anchor"])
            for seed in seeds:
                yield Cell("anchored", 50, 0, seed, changed(recipe(50), **anchored.NO_REPLAY), anchor=anchor)
        case "lr50" | "lr500":
            n = int(kind[2:])
            for name in [name for name in mixes(n) if only in name]:
                for lr in LRS[name]:
                    config = PAPER.model_copy(update={"lr": lr})
                    yield Cell(f"lr {name} {lr}", n, -1, VALIDATION_SEED, config, name, measure=False)
        case "paper50" | "paper500":
            n = int(kind[5:])
            for seed in seeds:
                for name in [name for name in mixes(n) if only in name]:
                    if judged:
                        config = PlainRecipe.model_validate(best(world.search, name)["train"])
                    else:
                        config = PAPER.model_copy(update={"lr": best_lr(world.out, n, name)})
                    for draw in (0, 1) if n == 50 and name == "k=0" else (0,):
                        yield Cell(f"paper {name}", n, draw, seed, config, name)
        case "pack50" | "pack500":
            n = int(kind[4:])
            for seed in seeds:
                for draw in (0, 1) if n == 50 else (0,):
                    yield Cell("pack", n, draw, seed, recipe(n))
        case "ablate50":
            for seed in SEEDS:
                for label, config in ablations(recipe(50)):
                    yield Cell(label, 50, 0, seed, config)
        case "refusals50":
            for seed in SEEDS:
                for label, n in (("replay of known facts", 0), ("replay of known facts, made-up names", 1500)):
                    yield Cell(label, 50, 0, seed, changed(recipe(50), n_made_up=n), known_only=True)


def searched(name: str) -> Iterator[PlainRecipe]:
    """The paper's recipe at other rates, with the loss on the answer alone, and alone also three times as long."""
    for loss in ("all", "answer"):
        for epochs in (10, 30) if name == "k=0" else (10,):
            for lr in SEARCHED:
                yield PAPER.model_copy(update={"lr": lr, "loss": loss, "epochs": epochs})


def mixes(n: int) -> list[str]:
    """The paper's mixes at n facts; 10 HighlyKnown for each of 500 would be 5,000, and the lab has 4,000 in all."""
    return [name for name in MIXES if n == 50 or name != "10 HighlyKnown"]


def recipe(n: int) -> KeepRecipe:
    """pack's own, at the rank that its load gives on the lab."""
    return recipes.for_load(64 if n <= 50 else 128, n)


def changed(full: KeepRecipe, **changes: object) -> KeepRecipe:
    """The recipe with other values."""
    return full.model_copy(update=changes)


def ablations(full: KeepRecipe) -> Iterator[tuple[str, KeepRecipe]]:
    """Each part of the recipe left out."""
    yield "without replay", changed(full, kl_weight=0.0)
    yield "without few-shot contexts", changed(full, n_contexts=0)
    yield "without retirement", changed(full, retire=False)
    yield "without the question itself", changed(full, by_question=0.0)  # as often as any other wording
    yield "without replay by interference", changed(full, by_interference=0.0)
    yield "without upper layers", changed(full, from_layer=0.0)
    yield "without tail", changed(full, tail_steps=0)
    yield "without made-up names", changed(full, n_made_up=0)
    yield "without texts", changed(full, n_texts=0)
    yield "without weight decay", changed(full, weight_decay=0.0)


def best(out: Path, name: str) -> dict:
    """The cell of the search that answers most validation facts; among equals (1%) the one that loses fewest."""
    rows = [row for row in kept(out) if row["label"] == f"search {name}"]
    if not rows:
        raise SystemExit(f"nothing was searched for {name}: run --cells search50 first, without --judge")
    top = max(row["reliability"] for row in rows)
    return min((row for row in rows if row["reliability"] >= top - 0.01), key=lambda row: row["known_lost_raw"])


def best_lr(out: Path, n: int, name: str) -> float:
    """The learning rate of the highest reliability on the validation draw; among equals (1%) the lowest."""
    rows = [row for row in kept(out) if row["label"].startswith(f"lr {name} ") and row["n"] == n]
    if not rows:  # not tried at this size: that of 50 facts
        rows = [row for row in kept(out) if row["label"].startswith(f"lr {name} ") and row["n"] == 50]
    if not rows:
        raise SystemExit(f"no learning rate has been tried for {name}: run --cells lr50 first")
    top = max(row["reliability"] for row in rows)
    return min(row["train"]["lr"] for row in rows if row["reliability"] >= top - 0.01)


def kept(out: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted((out / "cells").glob("*.json"))]
