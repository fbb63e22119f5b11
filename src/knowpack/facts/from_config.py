"""Which facts a run asks, and from which examples its few-shot prompts are drawn.

RunConfig -> the name of the facts, a sample of them, the pool of shots and what stands for it in a hash.
"""

import polars as pl

from knowpack.config import FactsConfig, RunConfig
from knowpack.facts import sources
from knowpack.seeds import stream
from knowpack.store import hash_table


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
    return sources.load_shots(_pool_of(config), config.probe.shot_answers)


def pool_is_file(config: RunConfig) -> bool:
    """Are the few-shot examples drawn from a file of the user's, which may be edited, and not from the package?"""
    return config.probe.n_shots > 0 and not sources.is_packaged_pool(_pool_of(config))


def pool_content(config: RunConfig, pool: pl.DataFrame | None = None) -> dict[str, str]:
    """{"few-shot pool": hash of its examples, whatever the file's name and place}, for the key of what is asked under
    them; empty where the package's own pool is read, or none. pool: where it is loaded already.

    All of the file, and not the examples of one draw: fresh prompts and training's contexts are drawn from it too.
    """
    if not pool_is_file(config):
        return {}
    return {"few-shot pool": hash_table(shot_pool(config) if pool is None else pool)}


def table_content(config: RunConfig) -> dict[str, str]:
    """{"facts file": hash of it}, for the key of what is made of facts that are not probed: replay, further questions,
    distractors. Empty where all are probed, which the base's name says, or where they are the package's."""
    path, part = facts_of(config), config.facts
    if path in sources.SOURCES or (part.sample is None and part.screen is None):
        return {}
    return {"facts file": sources.content(path)}


def _pool_of(config: RunConfig) -> str:
    return sources.shots_for(config.model.name, facts_of(config), config.probe.shots)


def facts_of(config: RunConfig) -> str:
    """Which facts a run asks: a source's name, or a file."""
    return sources.facts_for(config.model.name, config.facts.path)
