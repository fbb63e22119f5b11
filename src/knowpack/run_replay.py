"""What a run trains on beside its mix, with the keep recipe: short forms, replay examples, the base's answers to these.

RunConfig + Base + the mix's examples -> Example tables, replayed.parquet, `Replay`.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from knowpack import store
from knowpack.base import Base
from knowpack.config import KeepRecipe, RunConfig
from knowpack.facts import sources
from knowpack.facts.from_config import facts_of
from knowpack.probe.shots import draw_shots
from knowpack.progress import Progress
from knowpack.records import Kind
from knowpack.train import replay_prompts
from knowpack.train.short_forms import in_short_forms

if TYPE_CHECKING:
    from knowpack.train.base_answers import Replay

ENOUGH_APART = 1000  # facts beside those probed, to replay from them alone


def beside(
    folder: Path, recipe: KeepRecipe, config: RunConfig, base: Base, examples: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Short forms of the mix, and replay examples: of facts that are not probed, where there are enough.

    Else those probed count as trained. The facts that replay is about are kept beside: replayed.parquet.
    """
    packed = base.facts.filter(pl.col("fact_id").is_in(examples["fact_id"].unique().to_list()))
    apart = sources.load(facts_of(config)).join(base.facts, on="fact_id", how="anti", maintain_order="left")
    facts = apart if apart.height >= min(recipe.n_replay, ENOUGH_APART) else base.facts
    replay = replay_prompts.as_examples(replay_prompts.prompts(facts, packed, recipe, config.seed))
    keep_replayed(folder, facts, replay)
    short = in_short_forms(examples, base.facts) if recipe.short_forms else examples.clear()
    return short, replay


def keep_replayed(folder: Path, facts: pl.DataFrame, examples: pl.DataFrame) -> None:
    """replayed.parquet: those of the facts that a replay example is about."""
    ids = examples.filter(pl.col("kind") == str(Kind.REPLAY))["fact_id"].unique().to_list()
    store.write_table(folder / "replayed.parquet", facts.filter(pl.col("fact_id").is_in(ids)))


def held_to(config: RunConfig, base: Base, examples: pl.DataFrame, progress: Progress) -> "Replay | None":
    """What the base says to the replay examples, under few-shot contexts that no probe uses."""
    from knowpack.train.base_answers import build
    from knowpack.train.contexts import Contexts

    recipe = config.train
    if not isinstance(recipe, KeepRecipe):
        return None
    drawn = draw_shots(
        base.pool,
        recipe.n_contexts,
        recipe.n_shots,
        config.probe.draw_seed,
        exclude=base.facts["question"].to_list(),
        skip=2 * config.probe.n_prompts,
    )
    questions = examples.filter(pl.col("kind") == str(Kind.REPLAY))["question"].to_list()
    contexts = Contexts(base.by_ids.prompter, [[], *drawn])
    return build(base.loaded, questions, contexts, recipe, config.seed, progress=progress)
