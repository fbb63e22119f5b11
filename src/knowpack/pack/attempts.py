"""The attempts of a pack, one recipe after the other until one fits the budget.

`Trial` -> `Attempt`s. On an earlier adapter the first attempt goes on from it; where that misses the budget, the next
packs all facts anew.
"""

from functools import cache, partial
from typing import NamedTuple

import polars as pl

from knowpack import store
from knowpack.config import KeepRecipe
from knowpack.pack import budget as limits
from knowpack.pack import plan
from knowpack.pack.earlier_adapter import shaped
from knowpack.pack.request import HELD_OUT
from knowpack.pack.trial import Attempt, Trial, attempt, made_of
from knowpack.progress import Progress
from knowpack.records import Kind
from knowpack.train import recipes, replay_prompts, target_modules
from knowpack.train.base_answers import Replay, build
from knowpack.train.contexts import Contexts
from knowpack.train.mix import paraphrases


class Material(NamedTuple):
    """What an attempt is trained on."""

    examples: pl.DataFrame
    questions: list[str]
    """Replay prompts, each under one context."""
    taken_back: list[str]
    """Those of facts that are taken back, under all contexts."""


def attempts(trial: Trial, progress: Progress) -> list[Attempt]:
    """Train and validate in turn until one meets the budget."""
    request, onto = trial.request, trial.changes.onto
    anew = request.train or _anew(trial)
    config, start = anew, None
    if onto is not None:
        config, start = _going_on(trial, anew), onto.folder
    material = _material(trial, config)
    replay = cache(partial(_base_replay, trial, material, config, progress))
    result: list[Attempt] = []
    for index in range(request.n_attempts):
        key = made_of(trial, material.examples, config)
        key += [onto.key] if onto is not None and start is not None else []
        folder = request.out / "attempts" / f"{index:02d}-{store.hash_of(key)}"
        result.append(attempt(trial, material.examples, config, folder, replay, progress, start))
        harm = result[-1].harm
        over = {} if harm is None else limits.excess(harm, request.budget, request.reliability)
        if not over:
            break
        config = anew if start is not None else recipes.after_a_miss(config, over)
        start = None
    return result


def _base_replay(trial: Trial, material: Material, config: KeepRecipe, progress: Progress) -> Replay:
    """What the base says to the replay prompts: asked once for all attempts, and by none that is trained already."""
    base, contexts = trial.base, Contexts(trial.base.by_ids.prompter, trial.contexts)
    seed, back = trial.request.seed, material.taken_back
    return build(base.loaded, material.questions, contexts, config, seed, everywhere=back, progress=progress)


def _anew(trial: Trial) -> KeepRecipe:
    """For all facts together, from nothing."""
    facts, model, loaded = trial.changes.packed, trial.request.model.name, trial.base.loaded
    n_bits = plan.bits(*trial.base.by_ids, facts)
    per_rank = target_modules.n_parameters(loaded.model, recipes.for_model(model, 1, facts.height))
    return recipes.for_model(model, plan.rank_for(n_bits, per_rank), facts.height)


def _going_on(trial: Trial, anew: KeepRecipe) -> KeepRecipe:
    """From the earlier adapter, in its shape."""
    onto, request = trial.changes.onto, trial.request
    assert onto is not None, "called where there is one"
    n_layers = target_modules.depth(trial.base.loaded.model)
    if request.train is not None:
        return request.train
    n_changed = trial.changes.new.height + trial.changes.n_removed
    return shaped(recipes.to_go_on(anew, request.model.name, n_changed), onto, n_layers)


def _material(trial: Trial, config: KeepRecipe) -> Material:
    """New and earlier facts to learn; the questions to hold, those of facts taken back before the others."""
    changes = trial.changes
    prompts = replay_prompts.prompts(trial.split.replay, changes.packed, config, trial.request.seed)
    removed = changes.removed.select("fact_id", "question")
    reworded = paraphrases(changes.removed, HELD_OUT).select("fact_id", "question")
    back = pl.concat([removed, reworded]).select("fact_id", why=pl.lit("taken_back"), question="question")
    back = back.unique("question", maintain_order=True)
    replayed = replay_prompts.as_examples(pl.concat([back, prompts]))
    short = config.short_forms
    examples = plan.examples(changes.packed, HELD_OUT, replayed, known=changes.known, short_forms=short)
    assert examples.filter(pl.col("kind") == str(Kind.REPLAY)).height == back.height + prompts.height
    return Material(examples, prompts["question"].to_list(), back["question"].to_list())
