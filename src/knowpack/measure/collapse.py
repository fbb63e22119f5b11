"""Do the answers still differ, and does the model still say when it does not know?

Response and Knowledge tables before and after -> figures: refusals on the first prompt, unique answers, how often each
is given (Pletenev et al. 2025, section 5.1, Table 4); additions: share of the ten most frequent answers and entropy,
minus the base; refusals on Unknown facts and false ones on known facts.
"""

from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from knowpack.errors import FactsError
from knowpack.measure import stats
from knowpack.measure.grading import clean
from knowpack.records import GRADERS, Category, Figure, Grader

TOP = 10  # answers
UNITS = {
    "n_unique_answers": "answers",
    "mean_count": "answers",
    "spread_count": "answers",
    "top_ten_share": "share",
    "entropy": "nats",
}


def diversity(responses: pl.DataFrame, base: pl.DataFrame | None = None) -> list[Figure]:
    """Response table (and the base's) -> the figures of the paper's Table 4, under both graders.

    n_refused_first: facts refused under the first prompt. Over all greedy answers to the questions but refusals:
    n_unique_answers; mean_count and spread_count, mean and standard deviation of how often each is given (the paper
    prints "variance", its notebook computes a standard deviation); top_ten_share, 0..1; entropy, nats. With the base,
    each also as <name>_base and <name>_minus_base.
    """
    figures = []
    for grader in GRADERS:
        mine = _table_4(responses, grader)
        figures += mine
        theirs = {figure.name: figure for figure in _table_4(base, grader)} if base is not None else {}
        for figure in mine:
            if figure.name in theirs:
                other = theirs[figure.name]
                delta = figure.value - other.value
                figures.append(replace(other, name=f"{figure.name}_base"))
                figures.append(replace(figure, name=f"{figure.name}_minus_base", value=delta))
    return figures


def refusals(before: pl.DataFrame, after: pl.DataFrame, trained: set[str], facts: pl.DataFrame) -> list[Figure]:
    """Knowledge tables of the base and the tuned model -> refusals among untrained facts, under both graders.

    refused_unknown, refused_known: share of answers that refuse, over facts Unknown and HighlyKnown to the base (the
    latter are false refusals); each also for the base (_base). Raises FactsError where the maps do not match.
    """
    untrained = before.filter(~pl.col("fact_id").is_in(list(trained)))
    both = untrained.join(
        after.select("fact_id", "grader", p_after="p_refused"), on=["fact_id", "grader"], maintain_order="left"
    )
    if len(both) != len(untrained):
        raise FactsError(f"{len(untrained) - len(both)} facts were probed before and not after; probe the same facts")
    relations = facts.select("fact_id", cluster=pl.coalesce("relation", "fact_id"))
    both = both.join(relations, on="fact_id", how="left", maintain_order="left")
    weak = [str(Category.UNKNOWN), str(Category.WEAKLY_KNOWN)]
    figures = []
    for grader in GRADERS:
        mine = both.filter(pl.col("grader") == grader)
        unknown = mine.filter(pl.col("category").is_in(weak))
        known = mine.filter(pl.col("category") == str(Category.HIGHLY_KNOWN))
        figures += _share("refused_unknown_base", grader, unknown, "p_refused")
        figures += _share("refused_unknown", grader, unknown, "p_after")
        figures += _share("refused_known_base", grader, known, "p_refused")
        figures += _share("refused_known", grader, known, "p_after")
    return figures


def _table_4(responses: pl.DataFrame, grader: Grader) -> list[Figure]:
    greedy = responses.filter(pl.col("form") == 0, pl.col("sample") == 0)
    if greedy.is_empty():
        raise FactsError("got no greedy answers to any question; their diversity needs at least one")
    first = greedy.filter(pl.col("prompt") == pl.col("prompt").min())
    counts = _counts(greedy.filter(~pl.col(f"refused_{grader}"))["text"])
    n_refused = int(first[f"refused_{grader}"].sum())
    values = {"n_unique_answers": float(len(counts))}
    if len(counts):
        p = counts / counts.sum()
        values |= {
            "mean_count": float(counts.mean()),
            "spread_count": float(counts.std()),
            "top_ten_share": float(p[:TOP].sum()),
            "entropy": float(-(p * np.log(p)).sum()),
        }
    return [
        Figure("n_refused_first", grader, float(n_refused), None, None, len(first), "facts"),
        *(Figure(name, grader, value, None, None, int(counts.sum()), UNITS[name]) for name, value in values.items()),
    ]


def _counts(texts: pl.Series) -> NDArray[np.int64]:
    """(n_unique,) how often each normalised answer is given, the most frequent first."""
    raw = texts.value_counts()
    answers = pl.DataFrame({"answer": [clean(text) for text in raw["text"]], "count": raw["count"]})
    summed = answers.group_by("answer").agg(pl.col("count").sum())["count"].sort(descending=True)
    return summed.cast(pl.Int64).to_numpy()


def _share(name: str, grader: Grader, frame: pl.DataFrame, column: str) -> list[Figure]:
    """One figure, or none where there is nothing to measure: missing is not zero."""
    if frame.is_empty():
        return []
    estimate = stats.share(frame[column].to_numpy(), frame["cluster"].to_numpy())
    better = name.startswith("refused_unknown")  # a refusal of what it knows is a false one
    return [Figure(name, grader, *estimate._replace(higher_is_better=better))]
