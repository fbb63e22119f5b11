"""One attempt: train an adapter, and judge it on prompts and facts that the report does not use.

base + facts + the parts of the plan -> `Trial`; with a recipe -> `Attempt`, its adapter on disk.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from knowpack import store
from knowpack.base import Base, shot_pool
from knowpack.config import KeepRecipe, RunConfig
from knowpack.measure.knowledge import knowledge_map
from knowpack.pack import budget as limits
from knowpack.pack import plan
from knowpack.pack.budget import Harm
from knowpack.pack.request import Request
from knowpack.probe.askers import TokenAsker
from knowpack.probe.probe import probe
from knowpack.probe.prompts import Shot, draw_shots
from knowpack.progress import Progress
from knowpack.store import write_json, write_table
from knowpack.train import recipes
from knowpack.train.base_answers import Replay
from knowpack.train.train import train

N_VALIDATION_PROMPTS = 5


@dataclass(frozen=True)
class Attempt:
    """One adapter, as it was validated."""

    folder: Path
    config: KeepRecipe
    harm: Harm
    seconds: float


@dataclass(frozen=True)
class Trial:
    """All that an attempt is made and judged with."""

    request: Request
    base: Base
    config: RunConfig
    split: plan.Parts
    contexts: list[list[Shot]]
    """Few-shot prompts to train under; the first is empty."""
    shots: list[list[Shot]]
    """The validation prompts."""
    facts: pl.DataFrame
    """Packed and validation facts."""
    packed: set[str]
    before: pl.DataFrame
    """What the base knows of them."""


def open_trial(
    base: Base, config: RunConfig, facts: pl.DataFrame, split: plan.Parts, request: Request, progress: Progress
) -> Trial:
    """Draw prompts that the report does not use, and ask the base the validation facts."""
    n_contexts = (request.train or recipes.for_model(request.model.name, 1, facts.height)).n_contexts
    asked = pl.concat([facts, split.validation, split.report])["question"].to_list()
    drawn = draw_shots(
        shot_pool(config),
        n_contexts + N_VALIDATION_PROMPTS,
        config.probe.n_shots,
        config.probe.draw_seed,
        exclude=asked,
        skip=2 * config.probe.n_prompts,
    )
    shots = drawn[n_contexts:]
    probed = pl.concat([facts, split.validation])
    answers = probe(base.asker, probed, shots, base.prompter, config.probe, progress=progress).collect()
    contexts: list[list[Shot]] = [[], *(drawn[:n_contexts] if config.probe.n_shots else [])]
    packed = set(facts["fact_id"])
    return Trial(request, base, config, split, contexts, shots, probed, packed, knowledge_map(answers))


def attempt(
    trial: Trial, told: pl.DataFrame, config: KeepRecipe, folder: Path, asked: Replay, progress: Progress
) -> Attempt:
    """Train one adapter into `folder` and validate it; what is on disk already is kept."""
    request, base = trial.request, trial.base
    if not (folder / "validation.json").is_file():
        write_table(folder / "examples.parquet", told)
        with store.atomic(folder / "adapter") as beside:
            made = train(
                base.loaded,
                told,
                config,
                request.seed,
                beside,
                prompter=base.prompter,
                progress=progress,
                replay=asked,
                resume_in=folder / "training",
            )
        with base.tuned(folder / "adapter") as tuned:
            harm = _validate(trial, tuned, progress)
        write_json(folder / "validation.json", {"harm": asdict(harm), "seconds": made.seconds})
    kept = store.read_json(folder / "validation.json")
    assert isinstance(kept, dict)
    return Attempt(folder, config, Harm(**kept["harm"]), kept["seconds"])


def _validate(trial: Trial, tuned: TokenAsker, progress: Progress) -> Harm:
    """The packed facts for reliability, the validation facts for harm, under the validation prompts."""
    base, config = trial.base, trial.config.probe
    mine = trial.facts.filter(pl.col("fact_id").is_in(list(trial.packed)))
    others = trial.facts.filter(~pl.col("fact_id").is_in(list(trial.packed)))
    learned = probe(tuned, mine, trial.shots, base.prompter, config, progress=progress)
    kept = probe(tuned, others, trial.shots, base.prompter, config, progress=progress)
    after = knowledge_map(kept.collect())
    right = learned.select(pl.col("matched_default").is_not_null()).collect().to_series()
    return Harm(
        reliability=float(right.sum()) / len(right),
        known_lost=limits.known_lost(trial.before, after, trial.packed),
        refusals_lost=limits.refusals_lost(trial.before, after, trial.packed),
    )
