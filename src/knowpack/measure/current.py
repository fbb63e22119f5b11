"""Are the facts current: the new answer given, the old one gone, what was taken back as the base has it.

Response tables + old answers -> `Estimate`s; each share is over answers, those of a fact together. None = not asked.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from knowpack.measure import stats
from knowpack.measure.grading import clean, match_default
from knowpack.records import Estimate

KEYS = ["fact_id", "prompt", "form", "sample"]
NAMES = {
    "new_right": "New facts: right",
    "new_right_reworded": "New facts, wordings never trained on: right",
    "known_right": "Facts of the table that the base answers already: right",
    "known_right_reworded": "Facts of the table that the base answers already, other wordings: right",
    "updates_right": "Updates: new answer right",
    "updates_right_reworded": "Updates, wordings never trained on: new answer right",
    "updates_old_left": "Updates: old answer still given",
    "updates_old_left_reworded": "Updates, wordings never trained on: old answer still given",
    "updates_old_before": "Updates: old answer given by the base",
    "updates_neighbours_lost": "Known facts of updated subjects lost, net of noise",
    "updates_reversed_right": "Updates asked backwards: right",
    "updates_two_hop_right": "Updates and one fact more: right",
    "earlier_right": "Facts packed earlier: right",
    "earlier_right_reworded": "Facts packed earlier, wordings never trained on: right",
    "removed_returned": "Facts taken back: the base's own answer again",
    "removed_returned_reworded": "Facts taken back, other wordings: the base's own answer again",
    "removed_left": "Facts taken back: answer still given",
    "removed_left_reworded": "Facts taken back, other wordings: answer still given",
    "own_kept": "Questions that the model wrote itself: its own answer kept",
}
"""Estimate -> as one reads it, in this order."""


def right(responses: pl.DataFrame, of: Collection[str]) -> Estimate | None:
    """Share of answers to these facts that are right."""
    mine = _greedy(responses, of)
    return _share(mine, mine["matched_default"].is_not_null().to_numpy(), better=True)


def old_given(responses: pl.DataFrame, old: Mapping[str, Sequence[str]]) -> Estimate | None:
    """Share of answers that still give an old answer, and not the new one. old: fact id -> the old answers."""
    mine = _greedy(responses, old.keys())
    is_old = [
        matched is None and match_default(text, old[fact_id]) is not None
        for fact_id, text, matched in mine.select("fact_id", "text", "matched_default").iter_rows()
    ]
    return _share(mine, np.asarray(is_old, dtype=bool), better=False)


def returned(base: pl.DataFrame, tuned: pl.DataFrame) -> Estimate | None:
    """Share of answers that are the base's own again, prompt by prompt. Response tables over the same questions."""
    both = _both(base, tuned)
    same = [clean(one) == clean(other) for one, other in both.select("text_base", "text").iter_rows()]
    return _share(both, np.asarray(same, dtype=bool), better=True)


def left_behind(base: pl.DataFrame, tuned: pl.DataFrame) -> Estimate | None:
    """Share of answers that still give what was taken back, where the base does not."""
    both = _both(base, tuned)
    left = both["matched_default"].is_not_null() & both["matched_default_base"].is_null()
    return _share(both, left.to_numpy(), better=False)


def _greedy(responses: pl.DataFrame, of: Collection[str]) -> pl.DataFrame:
    return responses.filter(pl.col("sample") == 0, pl.col("fact_id").is_in(list(of)))


def _both(base: pl.DataFrame, tuned: pl.DataFrame) -> pl.DataFrame:
    first = base.filter(pl.col("sample") == 0).select(*KEYS, "text", "matched_default")
    return tuned.filter(pl.col("sample") == 0).join(first, on=KEYS, suffix="_base", maintain_order="left")


def _share(answers: pl.DataFrame, values: NDArray[np.bool_], *, better: bool) -> Estimate | None:
    """(n answers,) 0 or 1 -> their share; the answers of a fact are one cluster."""
    if answers.is_empty():
        return None
    ids = answers["fact_id"].to_numpy()
    return stats.share(values.astype(np.float64), ids, facts=ids)._replace(higher_is_better=better)
