"""The plan before the work: what a command will ask and train, what is on disk already, and how long it will take.

config + whoever answers -> `Forecast`: stages, each with its answers or steps, priced by a timed sample of the same
work (two batches of questions, a few training steps). Nothing is written. Memory is the peak of the sample.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from knowpack.base import Base, bench_folder, fresh_name, n_unanswered
from knowpack.config import KeepRecipe, PlainRecipe, RunConfig, StudyConfig
from knowpack.config.shard import Shard
from knowpack.forecast.timed import Rates, priced_as, sampled_rates
from knowpack.further.selection import most_questions
from knowpack.measure.stakes import at_stake
from knowpack.progress import SILENT, Progress
from knowpack.run import folder_of
from knowpack.train.recipes import most_steps


class Stage(NamedTuple):
    """A piece of work."""

    what: str
    n: int
    """Answers, or training steps."""
    unit: Literal["answers", "steps", "requests"]
    drafted: bool = False
    """Answers that have another model's, or another prompt's, as drafts."""
    done: bool = False
    """On disk already."""
    at_most: bool = False
    """How many is known only later; the plan counts the most."""
    recipe: str = ""
    """Whose steps: a key of Rates.step."""


@dataclass(frozen=True)
class Forecast:
    """Stages in order, and their price."""

    stages: list[Stage]
    rates: Rates

    def seconds(self, stage: Stage) -> float | None:
        """Of one stage; 0 where it is done, None where nothing was timed for it."""
        if stage.done:
            return 0.0
        if stage.unit == "answers":
            return stage.n * (self.rates.drafted if stage.drafted else self.rates.first)
        each = self.rates.step.get(stage.recipe) if stage.unit == "steps" else None
        return None if each is None else stage.n * each

    @property
    def total(self) -> float:
        """Seconds of all stages that could be priced."""
        return sum(self.seconds(stage) or 0.0 for stage in self.stages)


def of_probe(base: Base, config: RunConfig, progress: Progress = SILENT) -> Forecast:
    """The base's own answers: the probe and the fresh prompts."""
    return Forecast(list(base_stages(base, config)), sampled_rates(base, [], progress))


def of_run(base: Base, config: RunConfig, progress: Progress = SILENT) -> Forecast:
    """The base where it is not measured, and one cell."""
    stages = [*base_stages(base, config), *_cell_stages(base, config)]
    return Forecast(stages, sampled_rates(base, [config] if _trains(stages) else [], progress))


def of_study(config: StudyConfig, base: Base, progress: Progress = SILENT, shard: Shard | None = None) -> Forecast:
    """The base once, then every cell, or a shard's, of which there must be one. Cells that ask another model or other
    facts are priced as the first. base: of the first."""
    runs = shard.part(config.runs()) if shard else config.runs()
    stages = list(base_stages(base, runs[0]))
    for cell in runs:
        stages += _cell_stages(base, cell)
    waiting = {stage.recipe for stage in stages if stage.unit == "steps" and not stage.done}
    trained = [cell for cell in runs if priced_as(cell.train) in waiting]
    return Forecast(stages, sampled_rates(base, trained, progress))


def of_diff(base: Base, config: RunConfig, out: Path, progress: Progress = SILENT) -> Forecast:
    """The base where it is not measured, and the tuned model."""
    stages = [*base_stages(base, config), *tuned_stages(base, config, out, "tuned model", n_new=0)]
    return Forecast(stages, sampled_rates(base, [], progress))


def base_stages(base: Base, config: RunConfig) -> Iterator[Stage]:
    """What the base itself is asked."""
    yield from _sets(base, config, base.folder, "base", own=True)
    if config.bench.tasks:
        done = bench_folder(base, config).is_dir()
        yield Stage(f"base: {', '.join(config.bench.tasks)}", len(config.bench.tasks), "requests", done=done)


def _cell_stages(base: Base, config: RunConfig) -> Iterator[Stage]:
    folder = folder_of(config, base)
    label = config.label or "run"
    mix = config.mix
    n_rows = mix.n_unknown * (1 + mix.n_highly_known + mix.n_paraphrase)
    steps = most_steps(config.train, n_rows)
    done = (folder / "adapter").is_dir()
    if isinstance(config.train, KeepRecipe):
        n_replay = config.train.n_base_answers
        yield Stage(f"{label}: the base answers replay prompts", n_replay, "answers", done=done, at_most=True)
    keep = isinstance(config.train, KeepRecipe)
    yield Stage(f"{label}: training", steps, "steps", done=done, at_most=keep, recipe=priced_as(config.train))
    if isinstance(config.train, PlainRecipe) and config.train.checkpoint_each_epoch:
        n = mix.n_unknown * config.probe.n_prompts * config.train.epochs
        yield Stage(f"{label}: reliability after each epoch", n, "answers", drafted=True, done=done)
    yield from tuned_stages(base, config, folder, label, n_new=mix.n_unknown)
    if config.bench.tasks:
        yield Stage(
            f"{label}: {', '.join(config.bench.tasks)}",
            len(config.bench.tasks),
            "requests",
            done=(folder / "scores.parquet").is_file(),
        )


def tuned_stages(base: Base, config: RunConfig, folder: Path, label: str, n_new: int) -> Iterator[Stage]:
    """What the base with an adapter is asked."""
    probe_config = config.probe
    if n_new and probe_config.n_held_out_forms:
        n = n_new * probe_config.n_prompts * probe_config.n_held_out_forms
        yield Stage(f"{label}: new wordings", n, "answers", drafted=True, done=(folder / "held_out.parquet").is_file())
    n = most_questions(config.further, base.facts, n_new) * config.further.n_prompts
    if n:
        done = (folder / "further" / "tuned" / "passages.parquet").is_file()
        yield Stage(f"{label}: beside the probe, both models", 2 * n, "answers", drafted=True, done=done, at_most=True)
    yield from _sets(base, config, folder, label, own=False)


def _sets(base: Base, config: RunConfig, folder: Path, label: str, *, own: bool) -> Iterator[Stage]:
    """The probe's own prompts, and each fresh set. own: the base itself, which has no drafts at first."""
    settings, n, p = config.probe, base.facts.height, config.probe.n_prompts
    done = (folder / "responses.parquet").is_file()
    n_new = n_unanswered(base, base.facts, base.shots, settings) if own and not done else n
    if own:
        yield Stage(f"{label}: first prompt", n_new, "answers", done=done)
        yield Stage(f"{label}: {p - 1} more {_prompts(p - 1)}", n_new * (p - 1), "answers", drafted=True, done=done)
    else:
        yield Stage(f"{label}: the same {p} {_prompts(p)}", n * p, "answers", drafted=True, done=done)
    measured = (base.folder / "knowledge.parquet").is_file()
    for number in range(1, (settings.n_floors if settings.noise and settings.n_shots else 0) + 1):
        known = number == 1 or measured
        n_facts = at_stake(base.knowledge).height if number > 1 and measured else n
        if not n_facts:
            continue  # nothing to lose: not asked again
        done = (folder / fresh_name(number) / "knowledge.parquet").is_file()
        what = f"{label}: fresh prompts {number}"
        yield Stage(what, n_facts * p, "answers", drafted=True, done=done, at_most=not known or n_new < n)


def _prompts(n: int) -> str:
    return "prompt" if n == 1 else "prompts"


def _trains(stages: Sequence[Stage]) -> bool:
    return any(stage.unit == "steps" and not stage.done for stage in stages)
