"""The cells of the pack table: which there are, how one is trained, what is measured of it."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from knowpack import store
from knowpack.config import KeepRecipe, MixConfig, PlainRecipe, ProbeConfig
from knowpack.decode.decoder import Decoder
from knowpack.measure import harm
from knowpack.measure.knowledge import knowledge_map
from knowpack.measure.stakes import Draw, untrained
from knowpack.model.merge import merged
from knowpack.pack import plan
from knowpack.pack.request import HELD_OUT
from knowpack.probe.probe import probe
from knowpack.train import recipes, replay_prompts
from knowpack.train.base_answers import Replay, build
from knowpack.train.contexts import Contexts
from knowpack.train.mix import mix
from knowpack.train.train import train
from pack_world import OTHER_WORDINGS, TASKS, World

SEEDS = (42, 1337, 10824)  # the paper's
VALIDATION_SEED = 7
LRS = {"k=0": (1e-2, 3e-2, 5e-2), "10 HighlyKnown": (1e-2, 3e-2), "10 paraphrases": (3e-3, 1e-2, 3e-2)}
PAPER = PlainRecipe(rank=1, alpha=2, dropout=0.1, rslora=True, lr=1e-3, epochs=10, batch_size=16, loss="all")
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

    @property
    def name(self) -> str:
        return store.hash_of([*(str(v) for v in (self.label, self.n, self.draw, self.seed)), self.train.model_dump()])


def cells(world: World, kind: str, only: str = "") -> Iterator[Cell]:
    """The cells of a kind whose label holds `only`."""
    best = lambda n, name: best_lr(world.out, n, name)  # noqa: E731
    match kind:
        case "lr50" | "lr500":
            n = int(kind[2:])
            for name in [name for name in mixes(n) if only in name]:
                for lr in LRS[name]:
                    config = PAPER.model_copy(update={"lr": lr})
                    yield Cell(f"lr {name} {lr}", n, -1, VALIDATION_SEED, config, name, measure=False)
        case "paper50" | "paper500":
            n = int(kind[5:])
            for seed in SEEDS:
                for name in [name for name in mixes(n) if only in name]:
                    for draw in (0, 1) if n == 50 and name == "k=0" else (0,):
                        yield Cell(f"paper {name}", n, draw, seed, PAPER.model_copy(update={"lr": best(n, name)}), name)
        case "pack50" | "pack500":
            n = int(kind[4:])
            for seed in SEEDS:
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


def examples(world: World, cell: Cell, facts: pl.DataFrame) -> tuple[pl.DataFrame, Replay | None, float]:
    """The example table; for pack also the base's answers to the replay prompts, and the CPU seconds they took."""
    if cell.mix is not None:
        known = knowledge_map(world.base_candidates)
        config = MixConfig(n_unknown=cell.n, held_out_wordings=HELD_OUT, **MIXES[cell.mix])
        extra = world.highly_known(10 * cell.n) if "n_highly_known" in MIXES[cell.mix] else None
        return mix(facts, known, config, cell.seed, extra=extra), None, 0.0
    keep = cell.train
    assert isinstance(keep, KeepRecipe)
    started = time.process_time()
    pool = world.highly_known(keep.n_replay) if cell.known_only else world.pool
    prompts = replay_prompts.as_examples(replay_prompts.prompts(pool, facts, keep, cell.seed))
    contexts = Contexts(world.prompter, world.contexts[: 1 + keep.n_contexts])
    replay = build(world.loaded, prompts["question"].to_list(), contexts, keep, cell.seed)
    return plan.examples(facts, HELD_OUT, prompts, short_forms=keep.short_forms), replay, time.process_time() - started


def run(world: World, cell: Cell) -> dict[str, object]:
    facts = world.unknown(cell.n, cell.draw)
    if cell.measure:  # the base is asked before any adapter is merged into it
        assert not world.base_report.is_empty()
        assert not world.base_noise.is_empty()
        assert not world.base_other_wordings.is_empty()
        assert len(world.base_scores) == len(TASKS)
    rows, replay, asking = examples(world, cell, facts)
    folder = world.out / "adapters" / cell.name
    started = time.process_time()
    made = train(world.loaded, rows, cell.train, cell.seed, folder, prompter=world.prompter, replay=replay)
    seconds = time.process_time() - started + asking
    figures: dict[str, object] = {"cpu_seconds": seconds, "n_steps": len(made.log), "last": made.log[-1]}
    with merged(world.loaded, folder) as tuned:
        decoder = Decoder(tuned)
        figures |= measured(world, cell, facts, set(rows["fact_id"]), decoder)
    return figures


def right(responses: pl.DataFrame) -> float:
    return float(responses["matched_default"].is_not_null().mean())  # type: ignore[arg-type]


def _p(known: pl.DataFrame, facts: pl.DataFrame) -> float:
    """Share of right answers to these facts."""
    rows = known.filter((pl.col("grader") == "default") & pl.col("fact_id").is_in(facts["fact_id"].to_list()))
    return float(rows["p_correct"].mean())  # type: ignore[arg-type]


def measured(world: World, cell: Cell, facts: pl.DataFrame, trained: set[str], decoder: Decoder) -> dict[str, object]:
    ask = lambda some, shots, **more: probe(decoder, some, shots, world.prompter, ProbeConfig(), **more).collect()  # noqa: E731
    shots = world.shots if cell.measure else world.validation_shots
    figures: dict[str, object] = {"reliability": right(ask(facts, shots))}
    if not cell.measure:
        return figures
    before, noise = knowledge_map(world.base_report), knowledge_map(world.base_noise)
    after = knowledge_map(ask(world.report, world.shots, drafts=world.base_report))
    fresh = knowledge_map(ask(world.report, world.noise_shots, drafts=world.base_noise))
    scores = world.scores(decoder.loaded, cell.name)
    falls = [100 * (value - scores[task]) for task, value in world.base_scores.items()]
    figures |= {"bench_fall_points": sum(falls) / len(falls), "bench_worst_points": max(falls), "scores": scores}
    figures["unseen_wordings"] = right(ask(facts, world.shots[:5], forms=OTHER_WORDINGS))
    known = world.report.filter(pl.col("fact_id").is_in(world.base_other_wordings["fact_id"].unique().to_list()))
    reworded = ask(known, world.shots[:5], forms=OTHER_WORDINGS, drafts=world.base_other_wordings)
    figures["known_reworded_fall_points"] = 100 * (right(world.base_other_wordings) - right(reworded))
    figures["known_fall_points"] = 100 * (_p(before, known) - _p(after, known))
    figures["never_shown_wordings"] = right(ask(facts, world.shots[:5], forms=(-1, -2)))
    counted = untrained(before, after, [Draw(noise, fresh)], world.report, trained, "default")
    for figure in (harm.known_lost_raw, harm.known_lost_floor, harm.known_lost_net, harm.refusals_kept):
        estimate = figure(counted)
        figures[figure.__name__] = None if estimate is None else estimate.value
    both = before.filter(pl.col("grader") == "default").join(
        after.filter(pl.col("grader") == "default"), on="fact_id", suffix="_after"
    )
    figures |= {
        "refused_before": float(both["p_refused"].mean()),  # type: ignore[arg-type]
        "refused_after": float(both["p_refused_after"].mean()),  # type: ignore[arg-type]
        "down": float((both["p_correct_after"] < both["p_correct"]).mean()),  # type: ignore[arg-type]
        "up": float((both["p_correct_after"] > both["p_correct"]).mean()),  # type: ignore[arg-type]
        "n_highly": int((both["category"] == "HighlyKnown").sum()),
        "n_refused": int((both["p_refused"] >= 0.5).sum()),
        "n_facts": both.height,
    }
    return figures


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
