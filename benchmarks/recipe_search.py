"""Try pack's recipe with other settings on one model and one table: what is learned, in which forms, what moves.

    python benchmarks/recipe_search.py OUT --model smollm2 --facts examples/company.csv [kl_weight=4 lr=1e-3 ...] ...

Each argument is one variant, its changes separated by commas; "" is the recipe as it is. For choosing, not for judging:
few prompts, one seed, and examples/company.csv judges no recipe that was chosen on it. Prints a line a variant:

    reliability, unseen    packed facts right, and in the last wording, which is not trained (2 prompts)
    statement, claims      packed facts as unfinished sentences; claims about known facts that are answered by yes or no
    lost, moved            known facts no longer right (of those right under both prompts); KL to the base, nats, at its
                           answers to questions that no replay prompt asks
"""

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from knowpack import store
from knowpack.config import FactsConfig, KeepRecipe, ModelConfig, ProbeConfig
from knowpack.decode.decoder import Decoder
from knowpack.facts import sources
from knowpack.facts.from_config import sampled
from knowpack.further.other_forms import other_forms
from knowpack.measure.common_words import YES_NO
from knowpack.measure.normalised import normalise
from knowpack.model.load import load
from knowpack.model.loaded import Loaded
from knowpack.model.merge import merged
from knowpack.pack import plan
from knowpack.pack.request import HELD_OUT
from knowpack.probe.probe import probe
from knowpack.probe.prompts import Prompter
from knowpack.probe.shots import draw_shots
from knowpack.probe.turns import Shot
from knowpack.records import Fact, table
from knowpack.train import recipes, replay_prompts
from knowpack.train.base_answers import build, divergence
from knowpack.train.contexts import Contexts
from knowpack.train.shared import answer_logits
from knowpack.train.train import train
from pack_run import right

SEED, N_PROMPTS, N_HELD = 7, 2, 240
RANK = 64


@dataclass(frozen=True)
class World:
    """What every variant shares."""

    loaded: Loaded
    prompter: Prompter
    facts: pl.DataFrame
    held_out: pl.DataFrame
    """Facts that no replay prompt asks."""
    pool: pl.DataFrame
    shots: list[list[Shot]]
    contexts: list[list[Shot]]

    def ask(self, loaded: Loaded, facts: pl.DataFrame, form: int = 0) -> pl.DataFrame:
        """Responses under all prompts."""
        return probe(Decoder(loaded), facts, self.shots, self.prompter, ProbeConfig(), forms=(form,)).collect()

    def forms(self, facts: pl.DataFrame, kind: str) -> pl.DataFrame:
        """Facts in another form, as a Fact table."""
        return table(
            [question for question, _ in other_forms(facts, pl.concat([facts, self.held_out]), (), SEED)[kind]], Fact
        )


def opened(model: str, path: str) -> World:
    loaded, facts, known = load(ModelConfig(name=model)), sources.load(path), sources.load("world")
    held_out = sampled(known, FactsConfig(sample=N_HELD, sample_seed=SEED))
    questions = pl.concat([facts, held_out])["question"].to_list()
    drawn = draw_shots(sources.load_shots("general"), N_PROMPTS + 4, 4, SEED, exclude=questions)
    pool = known.join(held_out, on="fact_id", how="anti", maintain_order="left")
    return World(loaded, Prompter(loaded.tokenizer), facts, held_out, pool, drawn[:N_PROMPTS], [[], *drawn[N_PROMPTS:]])


def variant(text: str, full: KeepRecipe) -> KeepRecipe:
    """kl_weight=4,lr=1e-3 -> the recipe with these."""
    changes = dict(pair.split("=", 1) for pair in text.split(",") if pair)
    return KeepRecipe.model_validate(
        {**full.model_dump(), **{name: json.loads(value) for name, value in changes.items()}}
    )


def starts_yes_no(text: str) -> bool:
    """Whether an answer begins with yes or no, true or false."""
    return normalise(text.removeprefix("Answer:")).split(" ")[0] in YES_NO


def surely_right(responses: pl.DataFrame) -> set[str]:
    """Facts right under every prompt."""
    of_facts = responses.group_by("fact_id").agg(pl.col("matched_default").is_not_null().all().alias("right"))
    return set(of_facts.filter("right")["fact_id"])


def tried(world: World, recipe: KeepRecipe, out: Path, known: set[str]) -> dict[str, float]:
    loaded = world.loaded
    prompts = replay_prompts.as_examples(replay_prompts.prompts(world.pool, world.facts, recipe, SEED))
    contexts = Contexts(world.prompter, world.contexts[: 1 + recipe.n_contexts])
    replay = build(loaded, prompts["question"].to_list(), contexts, recipe, SEED)
    unseen = build(loaded, world.held_out["question"].to_list(), Contexts(world.prompter, world.shots), recipe, SEED)
    examples = plan.examples(world.facts, HELD_OUT, prompts, short_forms=recipe.short_forms)
    started = time.process_time()
    made = train(
        loaded, examples, recipe, SEED, out / store.hash_of(recipe.model_dump()), prompter=world.prompter, replay=replay
    )
    seconds = time.process_time() - started
    held_out = world.held_out.filter(pl.col("fact_id").is_in(list(known)))
    with merged(loaded, made.adapter_dir) as tuned:
        moved = [
            divergence(answer_logits(tuned.model, prefix, [one.row for one in rows]).detach(), rows).mean().item()
            for prefix, rows in zip(unseen.contexts.prefixes, unseen.by_context, strict=True)
            if rows
        ]
        claims = world.ask(tuned, world.forms(held_out.head(40), "yes_no"))
        wording = world.ask(tuned, world.facts, -1)
        wrong = wording.filter(pl.col("matched_default").is_null()).join(world.facts, on="fact_id")
        wrong.select("fact_id", "question", "answers", "text").write_ndjson(
            out / f"wrong-{made.adapter_dir.name}.jsonl"
        )
        return {
            "reliability": right(world.ask(tuned, world.facts)),
            "unseen": right(wording),
            "statement": right(world.ask(tuned, world.forms(world.facts, "statement"))),
            "claims": sum(starts_yes_no(text) for text in claims["text"]) / claims.height,
            "lost": 1 - len(surely_right(world.ask(tuned, held_out))) / held_out.height,
            "moved": sum(moved) / len(moved),
            "steps": len(made.log),
            "cpu_seconds": seconds,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("variants", nargs="*", default=[""])
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--facts", default="examples/company.csv")
    args = parser.parse_intermixed_args()
    args.out.mkdir(parents=True, exist_ok=True)
    world = opened(args.model, args.facts)
    known = surely_right(world.ask(world.loaded, world.held_out))
    print(f"{world.facts.height} facts, {len(known)} of {N_HELD} known right under both prompts", flush=True)
    full = recipes.for_model(args.model, RANK, world.facts.height)
    for text in args.variants:
        figures = tried(world, variant(text, full), args.out, known)
        print(text or "(as it is)", " ".join(f"{name} {value:.3g}" for name, value in figures.items()), flush=True)


if __name__ == "__main__":
    main()
