"""What the further questions show: other wordings and forms, neighbours, reversals, two hops, likelihoods, text.

Tables of base and tuned model -> figures with intervals: _base, after, and _change = after - before, paired.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from knowpack.measure import stats
from knowpack.measure.grading import clean
from knowpack.records import GRADERS, Estimate, Figure, Grader

Floats = NDArray[np.float64]


def right_by_kind(questions: pl.DataFrame, before: pl.DataFrame, after: pl.DataFrame) -> list[Figure]:
    """<kind>_right: share of right answers, over the questions of each kind (further/selection.py)."""
    figures = []
    for grader in GRADERS:
        for kind in questions["kind"].unique(maintain_order=True):
            mine = questions.filter(pl.col("kind") == kind)
            first, second = (_right(mine, responses, grader) for responses in (before, after))
            figures += _beside(f"{kind}_right", grader, first, second, _clusters(mine), better=True)
    return figures


def consistency(
    questions: pl.DataFrame, plain: tuple[pl.DataFrame, pl.DataFrame], reworded: tuple[pl.DataFrame, pl.DataFrame]
) -> list[Figure]:
    """consistency: share of answers to another wording that are, normalised, what the question was answered under the
    same prompt; over untrained facts. plain, reworded: responses of base and tuned model to either."""
    mine = questions.filter(pl.col("kind") == "wording")
    if mine.is_empty():
        return []
    first, second = (_same(mine, *pair) for pair in zip(plain, reworded, strict=True))
    return [one for grader in GRADERS for one in _beside("consistency", grader, first, second, _clusters(mine), True)]


def likelihood_figures(facts: pl.DataFrame, before: pl.DataFrame, after: pl.DataFrame) -> list[Figure]:
    """right_logprob: of the right answer, nats. margin: that minus the best distractor's. margin_won: share above it.

    Tables of Likelihood over the same untrained facts.
    """
    both = before.join(after, on="fact_id", suffix="_after", maintain_order="left")
    figures: list[Figure] = []
    if both.is_empty():
        return figures
    ends = [both["right"].to_numpy(), both["right_after"].to_numpy()]
    figures += _nats("right_logprob", ends[0], ends[1], _labels(facts, both))
    rivals = both.drop_nulls(["wrong", "wrong_after"])
    if rivals.is_empty():
        return figures
    margins = [(rivals[f"right{end}"] - rivals[f"wrong{end}"]).to_numpy() for end in ("", "_after")]
    clusters = _labels(facts, rivals)
    figures += _nats("margin", margins[0], margins[1], clusters)
    won = [(margin > 0).astype(np.float64) for margin in margins]
    return figures + [one for g in GRADERS for one in _beside("margin_won", g, won[0], won[1], clusters, better=True)]


def passage_figures(before: pl.DataFrame, after: pl.DataFrame) -> list[Figure]:
    """text_nats: mean over passages of -log p per token; text_perplexity: its exponential. Tables of PassageScore."""
    both = before.join(after, on=["passage", "n_tokens"], suffix="_after", maintain_order="left")
    if both.is_empty():
        return []
    ends = [(-both[name] / both["n_tokens"]).to_numpy() for name in ("logprob", "logprob_after")]
    figures = _nats("text_nats", ends[0], ends[1], None, better=False)
    for figure in [one for one in figures if not one.name.endswith("_change")]:
        low, high = (None if end is None else float(np.exp(end)) for end in (figure.low, figure.high))
        value = Estimate(float(np.exp(figure.value)), low, high, figure.n, "perplexity", False, figure.method)
        figures.append(Figure(figure.name.replace("nats", "perplexity"), figure.grader, *value))
    return figures


def _right(questions: pl.DataFrame, responses: pl.DataFrame, grader: Grader) -> Floats:
    """(questions,) share of right greedy answers over prompts; nan where it was not asked."""
    shares = (
        responses.filter(pl.col("sample") == 0)
        .group_by("fact_id")
        .agg(p=pl.col(f"matched_{grader}").is_not_null().mean())
    )
    joined = questions.select("fact_id").join(shares, on="fact_id", how="left", maintain_order="left")
    return joined["p"].fill_null(float("nan")).to_numpy()


def _same(questions: pl.DataFrame, plain: pl.DataFrame, reworded: pl.DataFrame) -> Floats:
    """(questions,) share of prompts under which question and wording were answered the same."""
    greedy = [frame.filter(pl.col("sample") == 0, pl.col("form") == 0) for frame in (plain, reworded)]
    other = greedy[1].select("fact_id", "prompt", other="text")
    pairs = questions.select("fact_id", "origin").join(other, on="fact_id", maintain_order="left")
    pairs = pairs.join(greedy[0].select(origin="fact_id", prompt="prompt", text="text"), on=["origin", "prompt"])
    same = pl.Series([clean(a) == clean(b) for a, b in pairs.select("text", "other").iter_rows()], dtype=pl.Boolean)
    shares = pairs.with_columns(same=same).group_by("fact_id").agg(p=pl.col("same").mean())
    joined = questions.select("fact_id").join(shares, on="fact_id", how="left", maintain_order="left")
    return joined["p"].fill_null(float("nan")).to_numpy()


def _beside(
    name: str, grader: Grader, before: Floats, after: Floats, clusters: NDArray[np.generic], better: bool
) -> list[Figure]:
    """Shares of both, and their paired difference, where both were measured."""
    both = ~(np.isnan(before) | np.isnan(after))
    if not both.any():
        return []
    first, second, labels = before[both], after[both], clusters[both]
    estimates = (
        ("_base", stats.share(first, labels)),
        ("", stats.share(second, labels)),
        ("_change", stats.difference(second - first, labels)),
    )
    return [Figure(f"{name}{end}", grader, *one._replace(higher_is_better=better)) for end, one in estimates]


def _nats(
    name: str, before: Floats, after: Floats, clusters: NDArray[np.generic] | None, better: bool = True
) -> list[Figure]:
    """Means of both and of the difference, in nats, under both graders: neither grades them."""
    ends: tuple[tuple[str, Floats], ...] = (("_base", before), ("", after), ("_change", after - before))
    estimates = [
        (end, stats.mean(values, clusters, unit="nats")._replace(higher_is_better=better)) for end, values in ends
    ]
    return [Figure(f"{name}{end}", grader, *one) for grader in GRADERS for end, one in estimates]


def _clusters(questions: pl.DataFrame) -> NDArray[np.generic]:
    return questions.select(pl.coalesce("relation", "origin")).to_series().to_numpy()


def _labels(facts: pl.DataFrame, of: pl.DataFrame) -> NDArray[np.generic]:
    relations = facts.select("fact_id", cluster=pl.coalesce("relation", "fact_id"))
    return of.join(relations, on="fact_id", how="left", maintain_order="left")["cluster"].to_numpy()
