"""What the replay never looks at: relations and subjects drawn to stay out of every replay prompt.

facts + KeepRecipe -> the facts that may be replayed. What is lost among the others says how far the replay reaches
beyond what it shows (measure/replay_apart.py). They are drawn by seed from all there are, those of packed facts among
them: a fair sample of relations (subjects).
"""

import polars as pl

from knowpack.config import KeepRecipe
from knowpack.errors import ConfigError
from knowpack.seeds import stream


def replayable(facts: pl.DataFrame, recipe: KeepRecipe, seed: int) -> pl.DataFrame:
    """The facts of relations and subjects that are not left out; those without a relation (subject) all stay.

    Raises ConfigError where none would stay.
    """
    kept = facts
    for column, share in (("relation", recipe.no_replay_relations), ("subject", recipe.no_replay_subjects)):
        if share > 0:
            kept = kept.filter(~pl.col(column).is_in(left_out(facts, column, share, seed)).fill_null(value=False))
    if kept.is_empty() and not facts.is_empty():
        raise ConfigError(
            f"train.no_replay_relations={recipe.no_replay_relations:g} and "
            f"train.no_replay_subjects={recipe.no_replay_subjects:g} leave none of {facts.height} facts to replay; "
            "set smaller shares"
        )
    return kept


def left_out(facts: pl.DataFrame, column: str, share: float, seed: int) -> list[str]:
    """A share of the column's values, rounded, one at least, drawn by seed."""
    names = sorted(facts[column].drop_nulls().unique().to_list())
    order = stream(seed, "replay", "left out", column).permutation(len(names))
    return [names[i] for i in order[: max(1, round(share * len(names)))]]
