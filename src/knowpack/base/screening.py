"""Which facts of a table are asked: a sample, of all or of those that can be lost."""

import warnings

import polars as pl

from knowpack.base.base import of_facts
from knowpack.base.measuring import measure_base
from knowpack.config import BenchConfig, FactsConfig, RunConfig
from knowpack.errors import FactsError
from knowpack.facts.from_config import sampled
from knowpack.measure.stakes import at_stake
from knowpack.probe.askers import Asker
from knowpack.progress import SILENT, Progress


def with_something_to_lose(
    facts: pl.DataFrame, config: RunConfig, asker: Asker, progress: Progress = SILENT
) -> pl.DataFrame:
    """Of facts.screen facts, those that the base answers right, or refuses, under its first prompt; all of the table
    where no screen is asked.

    A HighlyKnown fact is answered right under every prompt, so none is lost by this: which facts are HighlyKnown, and
    what becomes of them under fresh prompts, is as if all had been asked everything. Of the other categories only a
    part is left, so their shares are not the table's. The answers are kept like any base's.
    Warns where there are fewer facts than that. Raises FactsError where none is answered.
    """
    n = config.facts.screen
    if n is None:
        return facts
    if n > facts.height:
        warnings.warn(f"screen {n:,} is more than the {facts.height:,} facts there are: all are asked", stacklevel=1)
    many = _drawn(facts, config, n)
    once = config.probe.model_copy(update={"n_prompts": 1, "noise": False, "logprob": False, "n_samples": 0})
    screening = config.model_copy(update={"facts": FactsConfig(), "probe": once, "bench": BenchConfig()})
    base = of_facts(screening, asker, many)
    measure_base(base, screening, progress)
    chosen = many.join(at_stake(base.knowledge), on="fact_id", how="semi", maintain_order="left")
    if chosen.is_empty():
        raise FactsError(f"the model answers none of {many.height} facts under its first prompt: nothing can be lost")
    return chosen


def to_ask(table: pl.DataFrame, config: RunConfig, asker: Asker, progress: Progress) -> pl.DataFrame:
    """The facts of a table that are asked under all prompts, in its order: a sample, of all or of those that can be
    lost, and some that the screening left out."""
    to_lose = with_something_to_lose(table, config, asker, progress)
    chosen = sampled(to_lose, config.facts)
    if config.facts.screen is None or config.facts.n_unanswered == 0:
        return chosen
    many = _drawn(table, config, config.facts.screen)
    rest = many.join(to_lose, on="fact_id", how="anti", maintain_order="left")
    chosen = pl.concat([chosen, _drawn(rest, config, config.facts.n_unanswered)])
    return many.join(chosen, on="fact_id", how="semi", maintain_order="left")


def _drawn(facts: pl.DataFrame, config: RunConfig, n: int) -> pl.DataFrame:
    """n of the facts, by the sample's seed."""
    return sampled(facts, FactsConfig(sample=n, sample_seed=config.facts.sample_seed))
