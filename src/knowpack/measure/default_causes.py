"""Our rules for causes: the paper's four (Pletenev et al. 2025, section 5.2), read off normalised answers.

Evidence -> ids of facts. A fact's answer is its most frequent normalised first line after training.
"""

import polars as pl

from knowpack.measure.evidence import Evidence
from knowpack.measure.normalised import normalise

MARGIN = 850 / 661  # the authors' threshold over the count of their base's most frequent answer


def refused(evidence: Evidence) -> pl.Series:
    """The base refused under at least half of the prompts."""
    by_fact = evidence.before.group_by("fact_id", maintain_order=True).agg(p=pl.col("refused_default").mean())
    return by_fact.filter(pl.col("p") >= 0.5)["fact_id"]


def exploded(evidence: Evidence) -> list[str]:
    """The normalised answers given far more often than the base gives any, most frequent first.

    850/661 times as often is the paper's margin, measured. Refusals of neither model count, nor does an answer that
    one fact alone could give.
    """
    counts = _counts(evidence.after)
    base = _counts(evidence.before)["count"].max()
    most = base if isinstance(base, int) else 0
    threshold = MARGIN * most * len(evidence.after) / len(evidence.before)
    threshold = max(threshold, evidence.after["prompt"].n_unique())
    many = counts.filter(pl.col("count") > threshold, pl.col("answer") != "")
    return many.sort(["count", "answer"], descending=[True, False])["answer"].to_list()


def explosion(evidence: Evidence) -> pl.Series:
    """Its answer is an exploded one."""
    return evidence.now.filter(pl.col("answer").is_in(exploded(evidence)))["fact_id"]


def target(evidence: Evidence) -> pl.Series:
    """An answer or alias of a trained Unknown fact stands in its answer, as whole tokens."""
    plain = {normalise(answer) for answers in evidence.new_facts["answers"] for answer in answers}
    patterns = [f" {answer} " for answer in sorted(plain) if answer]
    if not patterns:
        return evidence.now["fact_id"].clear()
    return evidence.now.filter(pl.format(" {} ", pl.col("answer")).str.contains_any(patterns))["fact_id"]


def domain(evidence: Evidence) -> pl.Series:
    """Its relation has the domain of a trained fact's; where it has no domain, the range of one."""
    domains = evidence.new_facts["domain"].drop_nulls().unique().to_list()
    ranges = evidence.new_facts["range"].drop_nulls().unique().to_list()
    same = pl.when(pl.col("domain").is_not_null()).then(pl.col("domain").is_in(domains))
    return evidence.facts.filter(same.otherwise(pl.col("range").is_in(ranges)).fill_null(False))["fact_id"]


def _counts(answers: pl.DataFrame) -> pl.DataFrame:
    return answers.filter(~pl.col("refused_default"))["answer"].value_counts()
