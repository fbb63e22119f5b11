"""Which facts a run asks, and from which examples its few-shot prompts are drawn.

RunConfig -> the name of the facts, a sample of them, the pool of shots.
"""

import polars as pl

from knowpack.config import FactsConfig, RunConfig
from knowpack.facts import sources
from knowpack.seeds import stream


def sampled(facts: pl.DataFrame, config: FactsConfig) -> pl.DataFrame:
    """A sample of the facts in proportion to relation x popularity, in their own order; all where none is asked."""
    if config.sample is None or config.sample >= facts.height:
        return facts
    order = stream(config.sample_seed, "facts").permutation(facts.height)
    shuffled = facts.with_row_index("place")[order]
    strata = ["relation", "popularity"]
    # Systematic sampling of the facts sorted by stratum: every stratum gets its share, up to one.
    ranked = shuffled.sort(strata, maintain_order=True)
    steps = (pl.int_range(config.sample, eager=True) * facts.height) // config.sample
    return ranked[steps].sort("place").drop("place")


def may_be_asked(facts: pl.DataFrame, config: FactsConfig) -> pl.DataFrame:
    """The facts that a run asks; where they are screened, all that are: which of them stay is the model's to say."""
    if config.screen is None:
        return sampled(facts, config)
    return sampled(facts, FactsConfig(sample=config.screen, sample_seed=config.sample_seed))


def shot_pool(config: RunConfig) -> pl.DataFrame:
    """The pool of few-shot examples [question, answer] of a config; empty where no shots are asked."""
    if config.probe.n_shots == 0:
        return pl.DataFrame(schema={"question": pl.String(), "answer": pl.String()})
    name = sources.shots_for(config.model.name, facts_of(config), config.probe.shots)
    return sources.load_shots(name, config.probe.shot_answers)


def facts_of(config: RunConfig) -> str:
    """Which facts a run asks: a source's name, or a file."""
    return sources.facts_for(config.model.name, config.facts.path)
