"""knowpack in bfloat16 beside itself in float32: probing, benchmarks and training, alternating in one process.

    OMP_NUM_THREADS=1 python benchmarks/bfloat16_speed.py [--model smollm2] [--facts 200] [--data DATA_DIR]
        [--parts probe,bench,train] [--rounds 2]

probe: `world` facts x 10 prompts x 4 shots of `general`, greedy, as a study asks them; bench: 100 items of ARC-
Challenge scored (needs --data); train: steps of a rank-1 adapter on all layers with dropout (the paper's recipe) and of
a rank-64 adapter on the upper half, 16 questions a step. Processor seconds of each, their ratio (bar 1.7), and what
changed: texts, chosen answers, the mean loss. A processor without products of bfloat16 computes in float32 and says so.
"""

import argparse
import statistics
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from bench_agreement import choices, requests_of
from knowpack.bench.lm import KnowpackLM
from knowpack.config import ModelConfig, PlainRecipe, ProbeConfig
from knowpack.decode.decoder import Decoder
from knowpack.facts.sources import SOURCES
from knowpack.model.load import load
from knowpack.model.loaded import Loaded
from knowpack.probe.probe import probe
from knowpack.probe.prompts import Prompter
from knowpack.probe.shots import draw_shots
from timing import timed_both
from train_speed import losses_by_knowpack, synthetic

DTYPES = ("float32", "bfloat16")
BAR = 1.7


class Part(NamedTuple):
    """A piece of work for one model, and how what it gave is compared."""

    work: Callable[[Loaded], list[Any]]
    differs: str  # what is counted, of how many


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--facts", type=int, default=200)
    parser.add_argument("--data")
    parser.add_argument("--parts", default="probe,bench,train")
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    models = {dtype: load(ModelConfig(name=args.model, dtype=dtype, device="cpu")) for dtype in DTYPES}
    print(f"{args.model}, {torch.get_num_threads()} threads, computed in {models['bfloat16'].model.dtype}")
    for part in args.parts.split(","):
        for name, one in parts_of(part, args.facts, args.data).items():
            print(line(name, one, models, args.rounds), flush=True)


def parts_of(part: str, n_facts: int, data: str | None) -> dict[str, Part]:
    if part == "probe":
        return {f"probe, {n_facts} facts": Part(lambda loaded: texts_of(loaded, n_facts), "texts")}
    if part == "bench":
        if data is None:
            raise SystemExit("--parts bench needs --data DATA_DIR (knowpack bench prepare)")
        return {"ARC-Challenge, 100 items": Part(lambda loaded: chosen_by(loaded, data), "choices")}
    recipes = {
        "training, rank 1, all layers": PlainRecipe(rank=1, alpha=2, dropout=0.1, lr=1e-3, epochs=2, loss="all"),
        "training, rank 64, upper half": PlainRecipe(rank=64, alpha=64, lr=1e-4, epochs=2, loss="all", from_layer=0.5),
    }
    return {name: Part(lambda loaded, recipe=recipe: trained(loaded, recipe), "") for name, recipe in recipes.items()}


def texts_of(loaded: Loaded, n_facts: int) -> list[str]:
    config = ProbeConfig()
    shots = draw_shots(SOURCES["general"].shots(), config.n_prompts, config.n_shots, config.shots_seed)
    facts = SOURCES["world"].facts().sample(fraction=1.0, shuffle=True, seed=1)[:n_facts]
    responses = probe(Decoder(loaded, batch_size=128), facts, shots, Prompter(loaded.tokenizer), config)
    return responses.collect().sort("fact_id", "prompt")["text"].to_list()


def chosen_by(loaded: Loaded, data: str) -> list[int]:
    requests = requests_of("arc_challenge", data, 100)
    scores = KnowpackLM(loaded).loglikelihood(requests, disable_tqdm=True)
    return list(choices(requests, scores, norm=False).values())


def trained(loaded: Loaded, recipe: PlainRecipe) -> list[float]:
    """The loss of each step."""
    return losses_by_knowpack(loaded.model, synthetic(80, loaded.model.config.vocab_size), recipe)


def line(name: str, part: Part, models: dict[str, Loaded], n_rounds: int) -> str:
    """Each dtype's best of the rounds, which alternate."""
    took: dict[str, list[float]] = {dtype: [] for dtype in DTYPES}
    gave: dict[str, list[Any]] = {}
    for n in range(n_rounds):
        for dtype in DTYPES if n % 2 == 0 else reversed(DTYPES):
            both, gave[dtype] = timed_both(lambda dtype=dtype: part.work(models[dtype]))
            took[dtype].append(both.processor)
    ours, half = (min(took[dtype]) for dtype in DTYPES)
    full, rounded = (gave[dtype] for dtype in DTYPES)
    if part.differs:
        n_differ = sum(a != b for a, b in zip(full, rounded, strict=True))
        change = f"{n_differ} of {len(full)} {part.differs} differ"
    else:
        change = f"mean loss {statistics.mean(full):.4f} and {statistics.mean(rounded):.4f}"
    met = "met" if ours / half >= BAR else "missed"
    return f"{name:32} {ours:7.1f} s {half:7.1f} s  {ours / half:5.2f} times (bar {BAR}: {met}); {change}"


if __name__ == "__main__":
    main()
