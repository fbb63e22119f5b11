"""What a pack will do and how long it will take, before it does it: Request -> Forecast and whoever will answer."""

from dataclasses import replace
from typing import NamedTuple

import polars as pl

from knowpack.base import open_base
from knowpack.forecast import Forecast, Stage, base_stages, priced_as, sampled_rates, tuned_stages
from knowpack.pack import continuing, plan
from knowpack.pack.changes import Changes, read_changes
from knowpack.pack.facts_to_measure import to_measure
from knowpack.pack.request import Request, config_of
from knowpack.pack.self_written import known_facts
from knowpack.pack.trial import N_VALIDATION_PROMPTS
from knowpack.pack.updates import old_answers
from knowpack.probe.askers import Asker
from knowpack.progress import SILENT, Progress
from knowpack.train import recipes


class PackForecast(NamedTuple):
    """The plan, and the model that is loaded for it."""

    forecast: Forecast
    asker: Asker
    counts: str
    """How many facts are new and how many are updates, by the tables alone; the base says which of them it answers."""


def of_pack(request: Request, progress: Progress = SILENT) -> PackForecast:
    """Every stage at its most: attempts end as soon as one fits the budget, training as soon as the facts hold."""
    changes = read_changes(request)
    facts = changes.packed
    asker = continuing.open_model(request, changes, None, progress)
    known, asker = known_facts(request, asker, progress)
    stakes, asker = to_measure(request, known, asker, progress)
    with progress.stage("comparing with the facts to keep", None):
        split = plan.parts(known, changes.touched, request.seed, request.n_report, request.n_validation, stakes)
    config = config_of(request, facts)
    base = open_base(config, progress, asker=asker, facts=pl.concat([facts, split.report]))
    base = replace(base, looks_back=changes.onto is not None)
    recipe = request.train or recipes.for_model(request.model.name, plan.MIN_RANK, facts.height)
    config = config.model_copy(update={"train": recipe})
    if changes.onto is not None and request.train is None:
        n_changed = changes.new.height + changes.n_removed
        recipe = recipes.to_go_on(recipe, request.model.name, n_changed)
    n_packed, n_attempts = facts.height, request.n_attempts
    n_validated = split.validation.height if n_attempts > 1 else 0
    n = (n_packed + 2 * n_validated) * N_VALIDATION_PROMPTS
    what = "base: the prompts and facts that judge attempts" if n_validated else "base: the packed facts"
    stages = [Stage(what, n, "answers", at_most=base.looks_back), *base_stages(base, config)]
    n_replay = recipe.n_base_answers - max(0, recipe.n_replay - split.replay.height)
    stages.append(Stage("base: replay prompts", n_replay, "answers", at_most=True))
    for number in range(n_attempts):
        label = f"attempt {number + 1}" if n_attempts > 1 else "attempt"
        done = (request.out / "adapter").is_dir()
        steps = recipes.most_steps(recipe, facts.height)
        maybe = number > 0
        stages.append(Stage(f"{label}: training", steps, "steps", done=done, at_most=True, recipe=priced_as(recipe)))
        n = (n_packed + n_validated) * N_VALIDATION_PROMPTS if n_validated else 0
        if n:
            stages.append(Stage(f"{label}: judged", n, "answers", done=done, at_most=maybe))
    stages += tuned_stages(base, config, request.out, "report", n_new=n_packed)
    return PackForecast(
        Forecast(stages, sampled_rates(base, [config], progress)), base.asker, _counted(changes, split.about)
    )


def _counted(changes: Changes, about: pl.DataFrame) -> str:
    updates = len(old_answers(changes, about))
    parts = [f"{changes.new.height - updates} new facts, {updates} with another answer in the tables (updates)"]
    if changes.onto is not None:
        parts.append(f"{changes.earlier.height} packed earlier")
    return ", ".join([*parts, *([f"{changes.n_removed} taken back"] if changes.n_removed else [])])
