"""Known facts lost where the replay never was: subjects, and relations, without a single replay prompt.

Facts at stake (stakes.py) + the facts behind the replay prompts -> figures. Replay holds what it shows; what it does
not show says how far that reaches.
"""

import numpy as np
import polars as pl

from knowpack.measure.harm import known_lost_net, known_lost_raw
from knowpack.measure.stakes import Stakes
from knowpack.records import Figure, Grader

KEPT_OUT = {"subject": "no_replay_subject", "relation": "no_replay_relation"}


def figures(stakes: Stakes, facts: pl.DataFrame, replayed: pl.DataFrame, grader: Grader) -> list[Figure]:
    """known_lost_net and known_lost_raw of the untrained facts whose subject (relation) no replayed fact has.

    facts: those that were probed. replayed: Fact table of the replay prompts that are about facts. Facts without a
    subject (relation) are left out; so is a figure over no facts. Empty where nothing was replayed.
    """
    result: list[Figure] = []
    if replayed.is_empty():
        return result
    for column, name in KEPT_OUT.items():
        replayed_values = replayed[column].drop_nulls().unique().to_list()
        apart = facts.filter(pl.col(column).is_not_null() & ~pl.col(column).is_in(replayed_values))["fact_id"].to_list()
        rows = np.isin(stakes.fact_id, np.asarray(apart, dtype=np.str_))
        for figure in (known_lost_net, known_lost_raw):
            estimate = figure(stakes.only(rows)) if rows.any() else None
            if estimate is not None:
                result.append(Figure(f"{figure.__name__}_{name}", grader, *estimate))
    return result
