"""How facts moved between two knowledge maps, and how much of it is more than noise.

Knowledge tables before and after -> Shift table -> reliability, figures (Pletenev et al. 2025,
sections 4.4 and 5.1, Tables 2 and 3). Additions: trained facts apart, kinship to them, intervals clustered by
relation, and net of a sham adapter. Harm, raw and net of noise: harm.py.
"""

from collections.abc import Callable

import numpy as np
import polars as pl

from knowpack import records
from knowpack.errors import FactsError
from knowpack.measure import harm, stakes, stats
from knowpack.records import GRADERS, Category, Estimate, Figure, Grader, Kinship, Shift

Statistic = Callable[[np.ndarray, np.ndarray], Estimate]
"""(values, their clusters) -> a figure with its interval."""

UK, MK, HK = Category.UNKNOWN, Category.MAYBE_KNOWN, Category.HIGHLY_KNOWN
POSITIVE = {"unknown_to_maybe": (UK, MK), "unknown_to_highly": (UK, HK), "maybe_to_highly": (MK, HK)}
NEGATIVE = {"highly_to_maybe": (HK, MK), "highly_to_unknown": (HK, UK), "maybe_to_unknown": (MK, UK)}


def shifts(before: pl.DataFrame, after: pl.DataFrame, trained: set[str] | None, facts: pl.DataFrame) -> pl.DataFrame:
    """Two Knowledge tables over the same facts -> Shift table, causes still empty.

    trained: fact ids of the training examples, of whatever kind; None = not known, then kinship is null.
    Raises FactsError where the maps are empty or cover different facts.
    """
    keys = ["fact_id", "grader"]
    joined = before.select(*keys, before="category", p="p_correct").join(
        after.select(*keys, after="category", p_after="p_correct"), on=keys, maintain_order="left"
    )
    if joined.is_empty() or not len(before) == len(after) == joined.n_unique(keys):
        raise FactsError(
            f"the knowledge maps cover different facts: {len(before)} rows before, {len(after)} after, "
            f"{joined.n_unique(keys)} in common; probe both with the same fact table"
        )
    ids = trained or set()
    near = _kinship(facts, ids) if trained else facts.select("fact_id", kinship=pl.lit(None, dtype=pl.String))
    moved = joined.join(near, on="fact_id", how="left", maintain_order="left").with_columns(
        trained=pl.col("fact_id").is_in(list(ids)),
        delta_p=pl.col("p_after") - pl.col("p"),
        causes=pl.lit([], dtype=pl.List(pl.String)),
    )
    return records.cast(moved, Shift)


def reliability(knowledge_after: pl.DataFrame, responses: pl.DataFrame | None, trained: set[str]) -> list[Figure]:
    """What the adapter learned of the facts it was taught (the paper's Table 2).

    trained: ids of the facts that were taught (kind unknown; highly_known for a sham). responses: the adapter's, with
    answers to wordings never trained on (form >= 1), or None.
    reliability = mean share of right answers; reliability_any, reliability_highly = share of facts answered under at
    least one, under every prompt; reliability_held_out = the first, over held-out wordings. Raises FactsError where
    none of the trained facts was probed.
    """
    knowledge = knowledge_after.filter(pl.col("fact_id").is_in(list(trained)))
    if knowledge.is_empty():
        raise FactsError(f"none of the {len(trained)} trained facts was probed after training")
    figures = []
    for grader in GRADERS:
        mine = knowledge.filter(pl.col("grader") == grader)
        p = mine["p_correct"].to_numpy()
        ids = mine["fact_id"].to_numpy()
        for name, values in (("", p), ("_any", p > 0), ("_highly", p == 1)):
            figures += _figure(f"reliability{name}", grader, values, ids)
    if responses is not None:
        reworded = responses.filter(pl.col("fact_id").is_in(list(trained)), pl.col("form") > 0, pl.col("sample") == 0)
        for grader in GRADERS:
            right = reworded[f"matched_{grader}"].is_not_null().to_numpy()
            ids = reworded["fact_id"].to_numpy()
            if len(ids):
                estimate = stats.share(right, ids, facts=ids)._replace(higher_is_better=True)
                figures.append(Figure("reliability_held_out", grader, *estimate))
    return figures


def summary(shifts: pl.DataFrame, facts: pl.DataFrame, *, sham: pl.DataFrame | None = None) -> list[Figure]:
    """The figures of one run that are read off its Shift table, under both graders.

    Over all facts, as in the paper's Table 3: the six transitions, positive, negative. Over untrained facts: delta_p,
    and harm_raw by kinship. What an adapter cost otherwise: measure/harm.py.
    sham: Shift table of an adapter trained on HighlyKnown facts. With it sham_gain, sham_harm, and fact by fact
    gain_net_sham, harm_net_sham = ours - the sham's; both were asked under A, so chance in A is in both.
    """
    figures = []
    for grader in GRADERS:
        mine = _moved(shifts, facts, grader)
        if mine.is_empty():
            continue
        for name in (*POSITIVE, *NEGATIVE, "positive", "negative"):
            figures += _column(name, grader, mine, name)
        untrained = mine.filter(~pl.col("trained"))
        figures += _column("delta_p", grader, untrained, "delta_p", _mean_change)
        for kinship in Kinship:
            fell = harm.harm_raw(stakes.from_shifts(untrained.filter(pl.col("kinship") == kinship), facts, grader))
            figures += [] if fell is None else [Figure(f"harm_raw_{kinship}", grader, *fell)]
        if sham is not None:
            figures += _net(untrained, _moved(sham, facts, grader), grader)
    return figures


def _net(mine: pl.DataFrame, sham: pl.DataFrame, grader: Grader) -> list[Figure]:
    """The sham's figures on the same facts, and ours minus its, paired by fact; facts that it trained are left out."""
    both = mine.join(
        sham.filter(~pl.col("trained")).select("fact_id", up="positive", down="negative"),
        on="fact_id",
        maintain_order="left",
    ).with_columns(gain_net=pl.col("positive") - pl.col("up"), harm_net=pl.col("negative") - pl.col("down"))
    return [
        *_column("sham_gain", grader, both, "up"),
        *_column("sham_harm", grader, both, "down"),
        *_column("gain_net_sham", grader, both, "gain_net", stats.difference),
        *_column("harm_net_sham", grader, both, "harm_net", stats.difference),
    ]


def _moved(shifts: pl.DataFrame, facts: pl.DataFrame, grader: Grader) -> pl.DataFrame:
    """One grader's shifts, with 0/1 columns for every transition, positive and negative, and the fact's cluster.

    WeaklyKnown counts as Unknown here: greedy answers, as in the paper, cannot tell them apart.
    """
    weak = str(Category.WEAKLY_KNOWN)
    folded = [pl.col(side).replace(weak, str(UK)) for side in ("before", "after")]
    clusters = facts.select("fact_id", cluster=pl.coalesce("relation", "fact_id"))
    transitions = {
        name: ((pl.col("before") == pair[0]) & (pl.col("after") == pair[1])).cast(pl.Float64)
        for name, pair in (POSITIVE | NEGATIVE).items()
    }
    return (
        shifts.filter(pl.col("grader") == grader)
        .with_columns(folded)
        .with_columns(**transitions)
        .with_columns(positive=pl.sum_horizontal(*POSITIVE), negative=pl.sum_horizontal(*NEGATIVE))
        .join(clusters, on="fact_id", how="left", maintain_order="left")
        .with_columns(pl.col("cluster").fill_null(pl.col("fact_id")))
    )


def _kinship(facts: pl.DataFrame, trained: set[str]) -> pl.DataFrame:
    """[fact_id, kinship]: the nearest tie of each untrained fact to a trained one; null for the trained."""
    trained_facts = facts.filter(pl.col("fact_id").is_in(list(trained)))
    kinship = pl.lit(str(Kinship.UNRELATED))
    for near, column in (  # the nearest comes last, and overrides
        (Kinship.SAME_RANGE, "range"),
        (Kinship.SAME_RELATION, "relation"),
        (Kinship.SAME_SUBJECT, "subject"),
    ):
        shared = trained_facts[column].drop_nulls().unique().to_list()
        kinship = pl.when(pl.col(column).is_in(shared)).then(pl.lit(str(near))).otherwise(kinship)
    mine = pl.col("fact_id").is_in(list(trained))
    return facts.select("fact_id", kinship=pl.when(~mine).then(kinship))


def _column(
    name: str, grader: Grader, frame: pl.DataFrame, column: str, statistic: Statistic = stats.share
) -> list[Figure]:
    return _figure(name, grader, frame[column].to_numpy(), frame["cluster"].to_numpy(), statistic)


def _figure(
    name: str, grader: Grader, values: np.ndarray, clusters: np.ndarray, statistic: Statistic = stats.share
) -> list[Figure]:
    """One figure, or none where there is nothing to measure: missing is not zero."""
    if len(values) == 0:
        return []
    better = name not in (*NEGATIVE, "negative") and "harm" not in name
    return [Figure(name, grader, *statistic(values, clusters)._replace(higher_is_better=better))]


def _mean_change(values: np.ndarray, clusters: np.ndarray) -> Estimate:
    """Of a difference of shares, each a mean over prompts."""
    return stats.mean(values, clusters, unit="share", bounded=True)
