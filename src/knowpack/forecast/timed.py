"""What a sample of the work takes: two batches of questions, a few steps of each training.

base + recipes -> `Rates`, seconds an answer and a step, and the memory that the sample held at most.
"""

import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import NamedTuple

import polars as pl

from knowpack import records
from knowpack.base import Base
from knowpack.config import KeepRecipe, PlainRecipe, RunConfig
from knowpack.probe.probe import probe
from knowpack.progress import SILENT, Advance, Progress
from knowpack.records import Example, Kind
from knowpack.train import replay_prompts

SAMPLED = 64  # questions of a timed batch
TIMED = 3  # training steps of the timed training; the first, which also pays for what begins one, is not counted


class Rates(NamedTuple):
    """What a sample took."""

    first: float
    """Seconds an answer, under the first prompt."""
    drafted: float
    """Seconds an answer with a draft."""
    step: Mapping[str, float]
    """Seconds a training step, by recipe."""
    peak_bytes: int


def priced_as(recipe: PlainRecipe | KeepRecipe) -> str:
    """What changes the price of a step: a key of Rates.step."""
    parts: list[object] = [recipe.recipe, recipe.batch_size, recipe.rank]
    if isinstance(recipe, KeepRecipe):
        parts += [recipe.replay_batch, recipe.from_layer]
    return " ".join(map(str, parts))


def sampled_rates(base: Base, trained: Sequence[RunConfig], progress: Progress = SILENT) -> Rates:
    """Ask two batches, and train a few steps with each recipe that these runs train with."""
    with progress.stage("timing a sample, for the plan", None):
        return _sampled_rates(base, trained)


def _sampled_rates(base: Base, trained: Sequence[RunConfig]) -> Rates:
    one = base.config.probe.model_copy(update={"n_samples": 0})
    some = base.facts.head(SAMPLED)

    def timed(facts: pl.DataFrame, number: int, drafts: pl.DataFrame | None = None) -> tuple[float, pl.DataFrame]:
        begun = time.perf_counter()
        answers = probe(base.asker, facts, [base.shots[number]], base.prompter, one, drafts=drafts).collect()
        return (time.perf_counter() - begun) / facts.height, answers

    timed(some.head(1), 0)  # what the first forward of a process costs
    first, answers = timed(some, min(1, len(base.shots) - 1))
    drafted = timed(some, 2, answers)[0] if len(base.shots) > 2 else first
    by_price = {priced_as(config.train): config for config in trained}
    steps = {key: _step(base, config) for key, config in by_price.items()}
    return Rates(first, drafted, steps, peak_bytes())


def _step(base: Base, config: RunConfig) -> float:
    """Seconds a step, the middle one of a short training."""
    from knowpack.train.train import train

    recipe, examples = _short(base, config, TIMED)
    behind = base.shots[0] if isinstance(config.train, KeepRecipe) and config.train.n_contexts else ()
    watch = _Watch()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a few steps end as they happen to
        train(
            base.loaded,
            examples,
            recipe,
            config.seed,
            Path(folder) / "adapter",
            prompter=base.by_ids.prompter,
            progress=watch,
            contexts=(behind,),  # as long as those that training draws for itself
        )
    return median(after - before for before, after in pairwise(watch.ends[-TIMED:]))


class _Watch:
    """A Progress that notes when each step of its stages, the training's being the last, has ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []
        """Seconds of a clock that begins anywhere."""

    @contextmanager
    def stage(self, label: str, total: int | None) -> Iterator[Advance]:
        """Notes a moment at every advance."""
        yield lambda n: self.ends.append(time.perf_counter())


def _short(base: Base, config: RunConfig, n_steps: int) -> tuple[PlainRecipe | KeepRecipe, pl.DataFrame]:
    """A recipe and examples that train n_steps steps; the price of a step is the same."""
    recipe = config.train
    batch = recipe.batch_size
    if isinstance(recipe, PlainRecipe):
        rows = base.facts.sample(batch, with_replacement=True, seed=0)
        return recipe.model_copy(update={"epochs": n_steps, "checkpoint_each_epoch": False}), _as_examples(rows)
    few = {"n_replay": recipe.replay_batch, "n_made_up": 0, "n_other_forms": 0, "n_texts": 0, "retire": False}
    brief = {"first_move": None, "max_steps": max(n_steps - 1, 1), "tail_steps": min(n_steps - 1, 1)}  # no trial steps
    short = recipe.model_copy(update={**few, **brief})
    new = base.facts.head(min(batch, base.facts.height // 2))
    replayed = replay_prompts.as_examples(replay_prompts.prompts(base.facts, new, short, config.seed))
    return short, pl.concat([_as_examples(new), replayed])


def _as_examples(facts: pl.DataFrame) -> pl.DataFrame:
    examples = facts.select(
        example_id=pl.format("{}-{}", "fact_id", pl.int_range(pl.len())),
        fact_id="fact_id",
        kind=pl.lit(str(Kind.UNKNOWN)),
        question="question",
        answer=pl.col("answers").list.first(),
    )
    return records.cast(examples, Example)


def peak_bytes() -> int:
    """The most memory this process has held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
