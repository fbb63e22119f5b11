"""How sure a model is of its own answers, and whether it may be: before and after, over untrained facts.

Responses before and after + facts -> figures and the risk-coverage table. The confidence of a greedy answer is its own
probability, the product over the tokens of its first line and the token that ended it: p = exp(answer_logprob). Per
token it is p^(1/tokens), which does not fall with an answer's length and is no probability of anything: it stands
beside. Calibration (calibration.py) is over answers that do not refuse, since "I do not know" claims nothing.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from knowpack.measure import stats
from knowpack.measure.calibration import Confidences, calibration, curve
from knowpack.records import GRADERS, Figure, Grader, table

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RiskCoverage:
    """How often a model is wrong where it is most sure."""

    grader: str
    model: str
    """base or tuned."""
    coverage: float
    """Share of the answers, the surest first, 0..1."""
    risk: float
    """Share of those that are wrong, 0..1."""
    n: int
    """Answers counted."""


def confidences(responses: pl.DataFrame, facts: pl.DataFrame, trained: set[str], grader: Grader) -> Confidences | None:
    """The greedy answers to the questions of untrained facts, by fact and prompt; None where none has a probability."""
    untrained = facts.filter(~pl.col("fact_id").is_in(list(trained))).select(
        "fact_id", name=pl.coalesce("relation", "fact_id")
    )
    # numbered by these facts alone: categories of polars are numbered by all that the process has seen before
    numbers = untrained.select("name").unique(maintain_order=True).with_row_index("cluster")
    untrained = untrained.join(numbers, on="name", maintain_order="left").drop("name")
    answers = responses.filter(
        pl.col("form") == 0, pl.col("sample") == 0, pl.col("answer_logprob").is_not_null(), pl.col("answer_tokens") > 0
    )
    rows = untrained.with_row_index("fact").join(answers, on="fact_id", maintain_order="left").sort("fact", "prompt")
    if rows.is_empty():
        return None
    logprob, tokens = rows["answer_logprob"].to_numpy(), rows["answer_tokens"].to_numpy()
    return Confidences(
        np.exp(logprob),
        np.exp(logprob / tokens),
        rows[f"matched_{grader}"].is_not_null().to_numpy(),
        rows[f"refused_{grader}"].to_numpy(),
        rows["fact"].cast(pl.Int64).to_numpy(),
        rows["cluster"].cast(pl.Int64).to_numpy(),
    )


def figures(before: pl.DataFrame, after: pl.DataFrame, facts: pl.DataFrame, trained: set[str]) -> list[Figure]:
    """Confidence and calibration of the base (_base), of the tuned model, and the difference (_change), both graders.

    confidence, confidence_per_token: over all greedy answers, refusals too; _change is paired by fact.
    confidence_right, confidence_wrong: over right answers, and over wrong ones that are no refusals. brier, ece, auroc,
    aurc: over answers that are no refusals. Empty where either model's probabilities were not kept, or all facts are
    trained.
    """
    result: list[Figure] = []
    for grader in GRADERS:
        sides = [confidences(responses, facts, trained, grader) for responses in (before, after)]
        was, now = sides
        if was is None or now is None:
            continue
        result += _means("confidence", grader, (was, was.p), (now, now.p))
        result += _means("confidence_per_token", grader, (was, was.per_token), (now, now.per_token))
        for end, side in (("_base", was), ("", now)):
            for name, chosen in (("right", side.right), ("wrong", ~side.right & ~side.refused)):
                part = side.only(chosen)
                if len(part.p):
                    result.append(
                        Figure(f"confidence_{name}{end}", grader, *stats.share(part.p, part.cluster, facts=part.fact))
                    )
        result += calibration(grader, was.only(~was.refused), now.only(~now.refused))
    return result


def risk_coverage(before: pl.DataFrame, after: pl.DataFrame, facts: pl.DataFrame, trained: set[str]) -> pl.DataFrame:
    """Table of RiskCoverage: both models, both graders, over answers that are no refusals, at every tenth."""
    rows = []
    for grader in GRADERS:
        for model, responses in (("base", before), ("tuned", after)):
            side = confidences(responses, facts, trained, grader)
            answered = side.only(~side.refused) if side else None
            if answered is not None and len(answered.p):
                rows += [RiskCoverage(grader, model, *point) for point in curve(answered.p, answered.right)]
    return table(rows, RiskCoverage)


def _means(
    name: str, grader: Grader, before: tuple[Confidences, Floats], after: tuple[Confidences, Floats]
) -> list[Figure]:
    """Mean over facts of the mean over prompts, and the paired difference over the facts that both answered.

    before, after: the answers, and how sure of each the model was.
    """
    (was, p_was), (now, p_now) = before, after
    n_facts = 1 + int(max(was.fact.max(), now.fact.max()))
    first, second = _mean_by_fact(was.fact, p_was, n_facts), _mean_by_fact(now.fact, p_now, n_facts)
    both = ~np.isnan(first) & ~np.isnan(second)
    cluster = np.zeros(n_facts, dtype=np.int64)
    cluster[was.fact] = was.cluster
    first, second, cluster = first[both], second[both], cluster[both]
    return [
        Figure(f"{name}_base", grader, *stats.share(first, cluster)),
        Figure(name, grader, *stats.share(second, cluster)),
        Figure(f"{name}_change", grader, *stats.difference(second - first, cluster)),
    ]


def _mean_by_fact(fact: NDArray[np.int64], p: Floats, n_facts: int) -> Floats:
    """(n_facts,), nan where a fact has no answer."""
    n = np.bincount(fact, minlength=n_facts)
    total = np.bincount(fact, weights=p, minlength=n_facts)
    mean: Floats = np.divide(total, n, out=np.full(n_facts, np.nan), where=n > 0)
    return mean
