"""One attempt: train an adapter, and judge it on prompts and facts that the report does not use.

base + facts + the parts of the plan -> `Trial`; with a recipe -> `Attempt`, its adapter on disk.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from knowpack import store
from knowpack.base import Base, ask_beside
from knowpack.config import KeepRecipe, RunConfig
from knowpack.manifest import stage
from knowpack.measure import current
from knowpack.measure import harm as figures
from knowpack.measure.knowledge import knowledge_map
from knowpack.measure.stakes import Draw, untrained
from knowpack.pack import plan, updates
from knowpack.pack.budget import Harm
from knowpack.pack.changes import Changes
from knowpack.pack.request import Request
from knowpack.pack.updates import Update
from knowpack.probe.askers import Asker
from knowpack.probe.probe import probe
from knowpack.probe.shots import draw_shots
from knowpack.probe.turns import Shot
from knowpack.progress import Progress
from knowpack.store import write_json, write_table
from knowpack.train import recipes
from knowpack.train.base_answers import Replay
from knowpack.train.train import train

N_VALIDATION_PROMPTS = 5  # each time: to choose by what is known, and fresh ones to judge under


@dataclass(frozen=True)
class Attempt:
    """One adapter, as it was validated."""

    folder: Path
    config: KeepRecipe
    harm: Harm | None
    """None: it is the only one, and not validated."""


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
    """The validation prompts: what the base knows under them says which facts can be lost."""
    fresh_shots: list[list[Shot]]
    """Base and adapter are judged under these."""
    facts: pl.DataFrame
    """Packed and validation facts."""
    packed: set[str]
    before: pl.DataFrame
    """What the base knows of them."""
    fresh: pl.DataFrame
    """What the base knows of the validation facts under the fresh prompts."""
    changes: Changes
    answers: pl.DataFrame
    """The base's, to the packed facts and to those taken back, under the validation prompts (Response)."""
    updates: list[Update] = field(default_factory=list)


def open_trial(
    base: Base, config: RunConfig, changes: Changes, split: plan.Parts, request: Request, progress: Progress
) -> Trial:
    """Draw prompts that the report does not use, and ask the base under them: the packed facts, and where there are
    several attempts to choose among, the facts that they are judged by."""
    facts = changes.packed
    n_contexts = (request.train or recipes.for_model(request.model.name, 1, facts.height)).n_contexts
    questions = pl.concat([changes.touched, split.validation, split.report])["question"].to_list()
    drawn = draw_shots(
        base.pool,
        n_contexts + 2 * N_VALIDATION_PROMPTS,
        config.probe.n_shots,
        config.probe.draw_seed,
        exclude=questions,
        skip=2 * config.probe.n_prompts,
    )
    first, fresh = drawn[n_contexts : n_contexts + N_VALIDATION_PROMPTS], drawn[n_contexts + N_VALIDATION_PROMPTS :]
    validation = split.validation if request.n_attempts > 1 else split.validation.clear()
    answers = ask_beside(base, pl.concat([changes.touched, validation]), first, config.probe, progress)
    contexts: list[list[Shot]] = [[], *(drawn[:n_contexts] if config.probe.n_shots else [])]
    before = knowledge_map(answers)
    under_fresh = before.clear()
    if validation.height:
        under_fresh = knowledge_map(ask_beside(base, validation, fresh, config.probe, progress))
    touched = answers.filter(pl.col("fact_id").is_in(changes.touched["fact_id"].to_list()))
    return Trial(
        request,
        base,
        config,
        split,
        contexts,
        first,
        fresh,
        facts=pl.concat([facts, validation]),
        packed=set(facts["fact_id"]),
        before=before.filter(~pl.col("fact_id").is_in(changes.removed["fact_id"].to_list())),
        fresh=under_fresh,
        changes=changes,
        answers=touched,
    )


def find_updates(trial: Trial, progress: Progress) -> list[Update]:
    """Which of the new facts the base answers otherwise; asks it once more about subjects that do not exist."""
    changes, base = trial.changes, trial.base
    named = updates.old_answers(changes, trial.split.about)
    from_tables = updates.by_tables(changes, named, trial.answers)
    # without shots all prompts are one: that the answer is the same says nothing
    steady = updates.candidates(changes, named, trial.answers) if trial.config.probe.n_shots else {}
    subjects = pl.concat([trial.split.replay, changes.new])["subject"].drop_nulls().to_list()
    strangers = updates.strangers(
        changes.new.filter(pl.col("fact_id").is_in(list(steady))), subjects, trial.request.seed
    )
    answers = trial.answers.clear()
    if strangers.height:
        answers = ask_beside(base, strangers, trial.shots, trial.config.probe, progress)
    return from_tables + updates.by_itself(changes, steady, strangers, answers)


def made_of(trial: Trial, examples: pl.DataFrame, config: KeepRecipe) -> list[object]:
    """What decides an adapter beside the model and the prompts, for its folder's name: recipe, seed, examples."""
    return [config.model_dump(mode="json"), trial.request.seed, store.hash_table(examples)]


def attempt(
    trial: Trial,
    examples: pl.DataFrame,
    config: KeepRecipe,
    folder: Path,
    replay: Callable[[], Replay],
    progress: Progress,
    start: Path | None = None,
) -> Attempt:
    """Train one adapter into `folder` and validate it, where it is not the only one; what is there already is kept.

    replay: what the base says to the replay prompts; called where it is to be trained. start: it begins as this one.
    """
    request, base = trial.request, trial.base
    place = folder.relative_to(request.out).as_posix()
    if not (folder / "examples.parquet").is_file():
        write_table(folder / "examples.parquet", examples)
    with stage(request.out, f"train {folder.name}", f"{place}/adapter") as path:
        if path:
            with store.atomic(path, replace=True) as beside:
                train(
                    base.loaded,
                    examples,
                    config,
                    request.seed,
                    beside,
                    prompter=base.by_ids.prompter,
                    progress=progress,
                    replay=replay(),
                    resume_in=folder / "training",
                    start=start,
                )
    store.remove(folder / "training")
    if trial.fresh.is_empty():
        return Attempt(folder, config, None)
    with stage(request.out, f"validate {folder.name}", f"{place}/validation.json") as path:
        if path:
            with base.tuned(folder / "adapter") as tuned:
                write_json(path, {"harm": _validate(trial, tuned, progress).as_json()})
    kept = store.read_json(folder / "validation.json")
    assert isinstance(kept, dict)
    return Attempt(folder, config, Harm.from_json(kept["harm"]))


def _validate(trial: Trial, tuned: Asker, progress: Progress) -> Harm:
    """The packed facts under the validation prompts for reliability, the validation facts under fresh ones for harm."""
    base, config, changes = trial.base, trial.config.probe, trial.changes
    mine = trial.facts.filter(pl.col("fact_id").is_in(list(trial.packed)))
    others = trial.facts.filter(~pl.col("fact_id").is_in(list(trial.packed)))
    responses = probe(
        tuned, pl.concat([mine, changes.removed]), trial.shots, base.prompter, config, progress=progress
    ).collect()
    kept = knowledge_map(probe(tuned, others, trial.fresh_shots, base.prompter, config, progress=progress).collect())
    stakes = untrained(trial.before, None, [Draw(trial.fresh, kept)], trial.facts, trial.packed, "default")
    learned = knowledge_map(responses).filter(
        (pl.col("grader") == "default") & pl.col("fact_id").is_in(mine["fact_id"].to_list())
    )
    removed = pl.col("fact_id").is_in(changes.removed["fact_id"].to_list())
    return Harm(
        reliability=figures.reliability(learned["p_correct"].to_numpy()),
        known_lost_net=figures.known_lost_net(stakes),
        refusals_lost_net=figures.refusals_lost_net(stakes),
        earlier=current.right(responses, changes.earlier["fact_id"].to_list()),
        old_left=current.old_given(responses, {one.fact_id: one.old for one in trial.updates}),
        removed_left=current.left_behind(trial.answers.filter(removed), responses.filter(removed)),
    )
