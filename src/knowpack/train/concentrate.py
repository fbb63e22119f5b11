"""Biased mixes: the trained facts come from few subjects, or have few answers, some far more often than others.

Fact table in the order that a mix takes it + MixConfig -> the facts whose first n_unknown are the mix. For the claim of
Pletenev et al. 2025 (abstract) that biased training data make a model regress to a few overrepresented answers.
"""

import polars as pl

from knowpack.config import MixConfig
from knowpack.errors import FactsError

GROUP = "group"


def concentrated(listed: pl.DataFrame, config: MixConfig) -> pl.DataFrame:
    """Only facts of the n_subjects largest subjects, then of the n_answers most frequent answers; zipf sets shares.

    Groups of one size keep the order in which the list first has them, so that the seed still varies the facts.
    Raises FactsError where the groups hold fewer than n_unknown facts.
    """
    kept = listed
    if config.n_subjects is not None:
        kept = _largest(kept.filter(pl.col("subject").is_not_null()), pl.col("subject"), config.n_subjects)
    if config.n_answers is not None:
        kept = _largest(kept, pl.col("answers").list.first(), config.n_answers)
    if config.zipf is not None:
        by_subject = config.n_subjects is not None and config.n_answers is None
        kept = _zipf(kept, pl.col("subject") if by_subject else pl.col("answers").list.first(), config)
    if len(kept) < config.n_unknown and len(kept) < len(listed):
        raise FactsError(
            f"mix.n_subjects={config.n_subjects} and mix.n_answers={config.n_answers} leave {len(kept)} of "
            f"{len(listed)} facts, mix.n_unknown={config.n_unknown} asks for more; lower it or allow more groups"
        )
    return kept


def shares(n: int, sizes: list[int], exponent: float) -> list[int]:
    """How many facts each group gives, the largest first: shares in proportion to rank^-s, none above its size.

    Largest remainders make the counts whole; what a group cannot give goes to the next ones in the same proportion.
    """
    counts = [0] * len(sizes)
    while (left := n - sum(counts)) > 0:
        free = [i for i, size in enumerate(sizes) if counts[i] < size]
        if not free:
            break
        weights = [(i + 1) ** -exponent for i in free]
        exact = [left * weight / sum(weights) for weight in weights]
        whole = [int(x) for x in exact]
        by_rest = sorted(range(len(free)), key=lambda k: exact[k] - whole[k], reverse=True)
        for k in by_rest[: left - sum(whole)]:
            whole[k] += 1
        for i, more in zip(free, whole, strict=True):
            counts[i] = min(sizes[i], counts[i] + more)
    return counts


def _largest(listed: pl.DataFrame, group: pl.Expr, n: int) -> pl.DataFrame:
    names = _sizes(listed, group)[GROUP].head(n)
    return listed.filter(group.is_in(names.to_list()))


def _sizes(listed: pl.DataFrame, group: pl.Expr) -> pl.DataFrame:
    """[group, len], the largest first."""
    counted = listed.group_by(group.alias(GROUP), maintain_order=True).len()
    return counted.sort("len", descending=True, maintain_order=True)


def _zipf(listed: pl.DataFrame, group: pl.Expr, config: MixConfig) -> pl.DataFrame:
    sizes = _sizes(listed, group)
    assert config.zipf is not None
    wanted = sizes.with_columns(wanted=pl.Series(shares(config.n_unknown, sizes["len"].to_list(), config.zipf)))
    ranked = listed.with_columns(group.alias(GROUP)).with_columns(
        rank=pl.int_range(pl.len(), dtype=pl.Int64).over(GROUP)
    )
    ranked_facts = ranked.join(wanted.select(GROUP, "wanted"), on=GROUP, maintain_order="left", nulls_equal=True)
    return ranked_facts.filter(pl.col("rank") < pl.col("wanted")).drop(GROUP, "rank", "wanted")
