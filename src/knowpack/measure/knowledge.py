"""What a model knows: its answers, fact by fact, become a category.

Response table -> Knowledge table, one row a fact and grader. Categories as in SliCK (Gekhman et al. 2024, section 3)
and Pletenev et al. 2025, section 3.2: Unknown = never right, HighlyKnown = right under every prompt, MaybeKnown =
between; WeaklyKnown = greedy never right but a sampled answer is, where answers were sampled.
"""

import polars as pl

from knowpack import records
from knowpack.errors import FactsError
from knowpack.measure import stats
from knowpack.measure.grading import clean
from knowpack.records import GRADERS, Category, Grader, Knowledge

ORDER = tuple(Category)  # Unknown, WeaklyKnown, MaybeKnown, HighlyKnown


def knowledge_map(responses: pl.DataFrame) -> pl.DataFrame:
    """Response table -> Knowledge table: both graders, the question itself (form 0) only.

    Rows: all facts under the default grader in order of first appearance, then all under the paper's.
    Raises FactsError where no greedy answer to a question is there.
    """
    questions = responses.filter(pl.col("form") == 0)
    greedy = questions.filter(pl.col("sample") == 0)
    if greedy.is_empty():
        raise FactsError("got no greedy answers to any question; a knowledge map needs at least one fact probed")
    tops = _top_answers(greedy)
    sampled = questions.filter(pl.col("sample") > 0)
    return pl.concat([_under(grader, greedy, sampled, tops) for grader in GRADERS])


def summary(knowledge: pl.DataFrame) -> pl.DataFrame:
    """Knowledge table -> one row a grader and category: n, share 0..1, Wilson interval (the paper's Table 1).

    WeaklyKnown is listed only where answers were sampled: not measured is not zero.
    """
    if knowledge.is_empty():
        raise FactsError("got an empty knowledge map; expected one row a fact and grader")
    sampled = knowledge["p_sampled"].is_not_null().any()
    listed = [category for category in ORDER if sampled or category != Category.WEAKLY_KNOWN]
    lines = []
    for grader in GRADERS:
        categories = knowledge.filter(pl.col("grader") == grader)["category"]
        for category in listed if len(categories) else ():
            n = int((categories == category).sum())
            share = stats.wilson(n, len(categories))
            lines.append((grader, str(category), n, share.value, share.low, share.high))
    columns = ["grader", "category", "n", "share", "low", "high"]
    return pl.DataFrame(lines, schema=columns, orient="row")


def _under(grader: Grader, greedy: pl.DataFrame, sampled: pl.DataFrame, tops: pl.DataFrame) -> pl.DataFrame:
    counted = greedy.group_by("fact_id", maintain_order=True).agg(
        grader=pl.lit(grader),
        n=pl.len().cast(pl.Int64),
        p_correct=_correct(grader).mean(),
        p_refused=pl.col(f"refused_{grader}").mean(),
    )
    chances = sampled.group_by("fact_id").agg(p_sampled=_correct(grader).mean())
    joined = counted.join(tops, on="fact_id", how="left", maintain_order="left").join(
        chances, on="fact_id", how="left", maintain_order="left"
    )
    p, p_sampled = pl.col("p_correct"), pl.col("p_sampled").fill_null(0.0)
    category = (
        pl.when(p == 1.0)
        .then(pl.lit(str(Category.HIGHLY_KNOWN)))
        .when(p > 0.0)
        .then(pl.lit(str(Category.MAYBE_KNOWN)))
        .when(p_sampled > 0.0)
        .then(pl.lit(str(Category.WEAKLY_KNOWN)))
        .otherwise(pl.lit(str(Category.UNKNOWN)))
    )
    return records.cast(joined.with_columns(category=category), Knowledge)


def _correct(grader: Grader) -> pl.Expr:
    return pl.col(f"matched_{grader}").is_not_null()


def _top_answers(greedy: pl.DataFrame) -> pl.DataFrame:
    """[fact_id, top_answer]: the most frequent normalised answer; ties go to the lowest prompt index."""
    texts = greedy["text"].unique(maintain_order=True)
    cleaned = pl.DataFrame({"text": texts, "top_answer": [clean(text) for text in texts]})
    return (
        greedy.join(cleaned, on="text", how="left", maintain_order="left")
        .group_by("fact_id", "top_answer")
        .agg(count=pl.len(), first=pl.col("prompt").min())
        .sort(["count", "first"], descending=[True, False])
        .group_by("fact_id", maintain_order=True)
        .agg(pl.col("top_answer").first())
    )
