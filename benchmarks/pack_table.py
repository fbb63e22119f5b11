"""Pack against the paper's recipes on the lab: reliability, harm, refusals, unseen wordings, time; and an ablation.

    python benchmarks/pack_table.py OUT --cells lr50 paper50 pack50 ablate50 lr500 paper500 pack500 [--limit 10]
    python benchmarks/pack_table.py OUT --table > docs/benchmarks/pack.md

One JSON file a cell in OUT: a cell that is there is not run again. Time is the process's CPU seconds of training (for
pack with the base's answers to the replay prompts), so that other work on the machine does not count.
Facts: report, validation and replay are disjoint; the packed facts are Unknown to the base under the report's prompts.
unseen wordings: the 12th and 13th of each fact, which are not trained on for it; never shown wordings: the last two,
which stand nowhere in the lab's corpus either (the base answers .98 of its own HighlyKnown facts so).
Benchmarks: the lab's five, in points of accuracy: the mean fall and the largest.
Learning rates are chosen on a validation draw and seed that the table does not use.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import polars as pl

from knowpack import replay as replay_prompts
from knowpack import stats, store
from knowpack.base import sampled
from knowpack.bench.evaluate import evaluate
from knowpack.config import BenchConfig, FactsConfig, MixConfig, ModelConfig, ProbeConfig, TrainConfig
from knowpack.facts import files
from knowpack.knowledge import knowledge_map
from knowpack.mix import mix
from knowpack.model.contexts import Contexts
from knowpack.model.decode import Decoder
from knowpack.model.load import Loaded, load, weights_hash
from knowpack.model.merge import merged
from knowpack.model.replay import Replay, build
from knowpack.model.train import train
from knowpack.pack import budget, plan
from knowpack.pack.request import HELD_OUT
from knowpack.probe import probe
from knowpack.prompts import Prompter, draw_shots
from knowpack.seeds import stream

SEEDS = (42, 1337, 10824)  # the paper's
VALIDATION_SEED = 7
TASKS = ("lab_mc", "lab_truth_mc1", "lab_truth_mc2", "lab_arc", "lab_reading")
METRIC = "acc"
N_REPORT, N_VALIDATION, N_CANDIDATES = 1000, 400, 1600
LRS = {"k=0": (1e-2, 3e-2, 5e-2), "10 HighlyKnown": (1e-2, 3e-2), "10 paraphrases": (3e-3, 1e-2, 3e-2)}
PAPER = TrainConfig(rank=1, alpha=2, dropout=0.1, rslora=True, lr=1e-3, epochs=10, batch_size=16, loss="all")
MIXES = {"k=0": {}, "10 HighlyKnown": {"n_highly_known": 10}, "10 paraphrases": {"n_paraphrase": 10}}


@dataclass(frozen=True)
class Cell:
    """One adapter and what it is measured on."""

    label: str
    n: int
    draw: int
    """Which of the disjoint draws of n facts; -1: the validation draw."""
    seed: int
    train: TrainConfig
    mix: str | None = None
    """A key of MIXES; None = pack."""
    measure: bool = True
    """False: reliability on the validation prompts only."""

    @property
    def name(self) -> str:
        return store.hash_of([*(str(v) for v in (self.label, self.n, self.draw, self.seed)), self.train.model_dump()])


class World:
    """The lab, its facts in parts, and what the base answers; read from OUT where it is there."""

    def __init__(self, out: Path, model: str = "lab", facts: str = "lab", shots: str = "lab") -> None:
        self.out = out
        self.loaded = load(ModelConfig(name=model))
        self.prompter = Prompter(self.loaded.tokenizer)
        self.facts = files.load(facts)
        drawn = draw_shots(files.load_shots(shots), 33, 4, 0, exclude=self.facts["question"].to_list())
        self.shots, self.noise_shots = drawn[:10], drawn[10:20]
        self.contexts = [[], *drawn[20:28]]
        self.validation_shots = drawn[28:33]
        self.report = sampled(self.facts, FactsConfig(sample=N_REPORT))
        rest = self.facts.join(self.report, on="fact_id", how="anti", maintain_order="left")
        self.validation = sampled(rest, FactsConfig(sample=N_VALIDATION))
        rest = rest.join(self.validation, on="fact_id", how="anti", maintain_order="left")
        self.candidates = sampled(rest, FactsConfig(sample=N_CANDIDATES))
        self.rest = rest

    def asked(self, name: str, facts: pl.DataFrame, shots: list, **more: object) -> pl.DataFrame:
        """Responses, kept in OUT under the name."""
        path = self.out / f"{name}.parquet"
        if not path.is_file():
            if weights_hash(self.loaded.model) != self.loaded.weights_hash:
                raise RuntimeError(f"{name} is to be the base's, but an adapter is merged into the weights")
            decoder = Decoder(self.loaded)
            store.write_table(path, probe(decoder, facts, shots, self.prompter, ProbeConfig(), **more).collect())
        return pl.read_parquet(path)

    @cached_property
    def base_report(self) -> pl.DataFrame:
        return self.asked("base-report", self.report, self.shots)

    @cached_property
    def base_noise(self) -> pl.DataFrame:
        return self.asked("base-noise", self.report, self.noise_shots, drafts=self.base_report)

    @cached_property
    def base_validation(self) -> pl.DataFrame:
        return self.asked("base-validation", self.validation, self.validation_shots)

    @cached_property
    def base_candidates(self) -> pl.DataFrame:
        return self.asked("base-candidates", self.candidates, self.shots[:5])

    @cached_property
    def base_scores(self) -> dict[str, float]:
        assert weights_hash(self.loaded.model) == self.loaded.weights_hash, "an adapter is merged into the base"
        return self.scores(self.loaded, "base")

    def scores(self, loaded: Loaded, name: str) -> dict[str, float]:
        """The lab's benchmarks: task -> accuracy 0..1."""
        found = evaluate(loaded, BenchConfig(tasks=TASKS), self.out / "bench" / name)
        return dict(found.filter(pl.col("metric") == METRIC).select("task", "value").iter_rows())

    def unknown(self, n: int, draw: int) -> pl.DataFrame:
        """The facts of a draw: disjoint for the same n; draw -1 is disjoint from all others."""
        known = knowledge_map(self.base_candidates)
        ids = known.filter((pl.col("grader") == "default") & (pl.col("category") == "Unknown"))["fact_id"].to_list()
        pool = self.candidates.filter(pl.col("fact_id").is_in(ids)).sort("fact_id")
        pool = pool[stream(0, "benchmark").permutation(pool.height)]
        start = draw * n if draw >= 0 else pool.height - n
        return pool[start : start + n]


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
                    yield Cell(f"without {label}", 50, 0, seed, config)


def mixes(n: int) -> list[str]:
    """The paper's mixes at n facts; 10 HighlyKnown for each of 500 would be 5,000, and the lab has 4,000 in all."""
    return [name for name in MIXES if n == 50 or name != "10 HighlyKnown"]


def recipe(n: int) -> TrainConfig:
    """pack's own, at the rank that its load gives on the lab."""
    return plan.recipe(64 if n <= 50 else 128, n)


def ablations(full: TrainConfig) -> Iterator[tuple[str, TrainConfig]]:
    keep = full.keep
    assert keep is not None

    def without(**changes: object) -> TrainConfig:
        return full.model_copy(update={"keep": keep.model_copy(update=changes)})

    yield "replay", without(kl_weight=0.0)
    yield "made-up names", without(n_made_up=0)
    yield "texts", without(n_texts=0)
    yield "few-shot contexts", without(n_contexts=0)
    yield "retirement", without(retire=False)
    yield "replay by interference", without(by_interference=0.0)
    yield "upper layers", full.model_copy(update={"from_layer": 0.0})
    yield "tail", without(tail_steps=0)
    yield "scale search", without(search_scale=False)
    yield "weight decay", full.model_copy(update={"weight_decay": 0.0})


def examples(world: World, cell: Cell, facts: pl.DataFrame) -> tuple[pl.DataFrame, Replay | None, float]:
    """The example table; for pack also the base's answers to the replay prompts, and the CPU seconds they took."""
    if cell.mix is not None:
        known = knowledge_map(world.base_candidates)
        config = MixConfig(n_unknown=cell.n, held_out_wordings=HELD_OUT, **MIXES[cell.mix])
        extra = highly_known(world, 10 * cell.n) if "n_highly_known" in MIXES[cell.mix] else None
        return mix(facts, known, config, cell.seed, extra=extra), None, 0.0
    keep = cell.train.keep
    assert keep is not None
    started = time.process_time()
    pool = world.rest.join(world.candidates, on="fact_id", how="anti", maintain_order="left")
    prompts = replay_prompts.as_examples(replay_prompts.prompts(pool, facts, keep, cell.seed))
    contexts = Contexts(world.prompter, world.contexts[: 1 + keep.n_contexts])
    asked = build(world.loaded, prompts["question"].to_list(), contexts, keep, cell.seed)
    return plan.examples(facts, HELD_OUT, prompts), asked, time.process_time() - started


def _highly(known: pl.DataFrame) -> pl.Expr:
    sure = known.filter((pl.col("grader") == "default") & (pl.col("category") == "HighlyKnown"))
    return pl.col("fact_id").is_in(sure["fact_id"].to_list())


def highly_known(world: World, n: int) -> pl.DataFrame:
    """n facts outside the report and the candidates that the base answers under a validation prompt."""
    pool = world.rest.join(world.candidates, on="fact_id", how="anti", maintain_order="left")
    some = sampled(pool, FactsConfig(sample=min(pool.height, max(6 * n, 2000))))
    answers = world.asked(f"base-extras-{some.height}", some, world.validation_shots[:2])
    return some.filter(_highly(knowledge_map(answers)))


def run(world: World, cell: Cell) -> dict[str, object]:
    facts = world.unknown(cell.n, cell.draw)
    if cell.measure:  # the base is asked before any adapter is merged into it
        assert not world.base_report.is_empty()
        assert not world.base_noise.is_empty()
        assert len(world.base_scores) == len(TASKS)
    told, asked, asking = examples(world, cell, facts)
    folder = world.out / "adapters" / cell.name
    started = time.process_time()
    made = train(world.loaded, told, cell.train, cell.seed, folder, prompter=world.prompter, replay=asked)
    seconds = time.process_time() - started + asking
    figures: dict[str, object] = {"cpu_seconds": seconds, "n_steps": len(made.log), "last": made.log[-1]}
    with merged(world.loaded, folder) as tuned:
        decoder = Decoder(tuned)
        figures |= measured(world, cell, facts, set(told["fact_id"]), decoder)
    return figures


def right(responses: pl.DataFrame) -> float:
    return float(responses["matched_default"].is_not_null().mean())  # type: ignore[arg-type]


def measured(world: World, cell: Cell, facts: pl.DataFrame, trained: set[str], decoder: Decoder) -> dict[str, object]:
    ask = lambda some, shots, **more: probe(decoder, some, shots, world.prompter, ProbeConfig(), **more).collect()  # noqa: E731
    shots = world.shots if cell.measure else world.validation_shots
    found: dict[str, object] = {"reliability": right(ask(facts, shots))}
    if not cell.measure:
        return found
    before, noise = knowledge_map(world.base_report), knowledge_map(world.base_noise)
    after = knowledge_map(ask(world.report, world.shots, drafts=world.base_report))
    scores = world.scores(decoder.loaded, cell.name)
    falls = [100 * (value - scores[task]) for task, value in world.base_scores.items()]
    found |= {"bench_fall_points": sum(falls) / len(falls), "bench_worst_points": max(falls), "scores": scores}
    found["unseen_wordings"] = right(ask(facts, world.shots[:5], forms=(12, 13)))
    found["never_shown_wordings"] = right(ask(facts, world.shots[:5], forms=(-1, -2)))
    raw, floor = budget.known_lost(before, after, trained), budget.known_lost(before, noise, trained)
    assert raw is not None, "the lab has HighlyKnown facts"
    assert floor is not None
    found |= {"known_lost_raw": raw, "noise": floor, "known_lost": raw - floor}
    lost = budget.refusals_lost(before, after, trained)
    both = before.filter(pl.col("grader") == "default").join(
        after.filter(pl.col("grader") == "default"), on="fact_id", suffix="_after"
    )
    found |= {
        "refusals_kept": None if lost is None else 1 - lost,
        "refused_before": float(both["p_refused"].mean()),  # type: ignore[arg-type]
        "refused_after": float(both["p_refused_after"].mean()),  # type: ignore[arg-type]
        "down": float((both["p_correct_after"] < both["p_correct"]).mean()),  # type: ignore[arg-type]
        "up": float((both["p_correct_after"] > both["p_correct"]).mean()),  # type: ignore[arg-type]
        "n_highly": int((both["category"] == "HighlyKnown").sum()),
        "n_refused": int((both["p_refused"] >= 0.5).sum()),
        "n_facts": both.height,
    }
    return found


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


FIGURES = (
    "reliability",
    "known_lost_raw",
    "known_lost",
    "refusals_kept",
    "down",
    "unseen_wordings",
    "never_shown_wordings",
    "bench_fall_points",
    "bench_worst_points",
    "cpu_seconds",
)


def table(out: Path) -> str:
    """Markdown: a line a label and n, mean over cells with a 95% interval over cells."""
    lines = ["| cell | facts | cells | lr | " + " | ".join(name.replace("_", " ") for name in FIGURES) + " |"]
    lines.append("|---" * (len(FIGURES) + 4) + "|")
    groups: dict[tuple[int, str], list[dict]] = {}
    for row in kept(out):
        if "known_lost" in row:
            groups.setdefault((row["n"], row["label"]), []).append(row)
    for (n, label), rows in sorted(groups.items()):
        shown = [_shown(name, [row[name] for row in rows if row.get(name) is not None]) for name in FIGURES]
        lines.append(f"| {label} | {n} | {len(rows)} | {rows[0]['train']['lr']:g} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def _shown(name: str, values: list[float]) -> str:
    if not values:
        return "-"
    digits = 1 if name.endswith("seconds") else 3
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    over = stats.over_seeds(values)
    return f"{over.value:.{digits}f} [{over.low:.{digits}f}, {over.high:.{digits}f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--cells", nargs="*", default=[])
    parser.add_argument("--limit", type=int, default=10**9, help="stop after this many new cells")
    parser.add_argument("--only", default="", help="only cells whose label holds this")
    parser.add_argument("--seed", type=int, help="only cells of this seed")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--model", default="lab")
    parser.add_argument("--facts", default="lab")
    parser.add_argument("--shots", default="lab")
    args = parser.parse_args()
    if args.table:
        print(table(args.out))
        return
    world, done = World(args.out, args.model, args.facts, args.shots), 0
    for kind in args.cells:
        for cell in cells(world, kind, args.only):
            path = args.out / "cells" / f"{cell.name}.json"
            if path.is_file() or done >= args.limit or args.seed not in (None, cell.seed):
                continue
            figures = run(world, cell)
            settings = {**asdict(replace(cell, train=None)), "train": cell.train.model_dump(mode="json")}  # type: ignore[arg-type]
            store.write_json(path, settings | figures)
            done += 1
            shown = {name: round(v, 3) if isinstance(v, float) else v for name, v in figures.items()}
            print(cell.label, cell.n, cell.draw, cell.seed, shown, flush=True)


if __name__ == "__main__":
    main()
