"""The authors' rules for causes, as their labelling notebook has them (code of Pletenev et al. 2025; Table 5).

Evidence -> ids of facts. All texts are compared raw and case-sensitive; a fact's text is its first prompt's answer.
Ours are two guards, for fact sets smaller than theirs (`exploded`), and the skipping of empty strings, which stand in
every text.
"""

import polars as pl

from knowpack.measure.evidence import Evidence
from knowpack.measure.grading import PAPER_REFUSAL

EXPLODED = 850  # the authors' threshold, over the number of answers that they count:
N_ANSWERS = 210_360  # 21,036 facts under 10 prompts

_REFUSES = pl.col("text").str.contains(PAPER_REFUSAL, literal=True)


def refused(evidence: Evidence) -> pl.Series:
    """The word "information" stands in the base's first answer."""
    return evidence.was.filter(_REFUSES)["fact_id"]


def exploded(evidence: Evidence) -> list[str]:
    """The answers that are given too often, raw, most frequent first.

    More than 850 of 210,360 answers, scaled to the number of ours. The scaled threshold is never below the base's
    most frequent answer (661 in the paper: 850 lies above it), nor below what one fact alone could give: else the
    untrained base's own answers would be called exploded.
    """
    counts = _counts(evidence.after)
    base = _counts(evidence.before)["count"].max()
    per_answer = (base if isinstance(base, int) else 0) / len(evidence.before)
    n = len(evidence.after)
    threshold = max(EXPLODED * n / N_ANSWERS, per_answer * n, evidence.after["prompt"].n_unique())
    many = counts.filter(pl.col("count") > threshold)
    return many.sort(["count", "answer"], descending=[True, False])["answer"].to_list()


def explosion(evidence: Evidence) -> pl.Series:
    """An exploded answer stands in the first answer."""
    return _holding(evidence, exploded(evidence))


def target(evidence: Evidence) -> pl.Series:
    """The first alias of a trained Unknown fact stands in the first answer, as written."""
    return _holding(evidence, evidence.new_facts["answers"].list.first().drop_nulls().unique().to_list())


def domain(evidence: Evidence) -> pl.Series:
    """Its domain is that of a trained Unknown fact. One variable: the rdfs:domain, where there is none the range."""
    one = pl.coalesce("domain", "range")
    trained = evidence.new_facts.select(one.drop_nulls().unique()).to_series()
    return evidence.facts.filter(one.is_in(trained.to_list()).fill_null(False))["fact_id"]


def _counts(answers: pl.DataFrame) -> pl.DataFrame:
    """[answer, count] over all prompts; refusals and texts without a label are left out."""
    return answers.filter(~_REFUSES, pl.col("answer") != "")["answer"].value_counts()


def _holding(evidence: Evidence, patterns: list[str]) -> pl.Series:
    nonempty = [text for text in patterns if text]
    if not nonempty:
        return evidence.now["fact_id"].clear()
    return evidence.now.filter(pl.col("text").str.contains_any(nonempty))["fact_id"]
