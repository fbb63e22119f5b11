"""Which relations, and which popularity classes, lost what the base knew: each group, partially pooled, corrected.

The untrained facts (stakes.py) + their group -> a `GroupHarm` a group. A relation has a handful of known facts, so that
its own share is mostly chance; it is drawn towards the mean of all as far as the groups look alike (empirical Bayes).

With x a fact's net loss, d_g the mean of the n_g facts of group g, s^2 the variance within groups and v_g = s^2 / n_g:
    tau^2 = max(0, (Q - (G-1)) / (sum w - sum w^2 / sum w)),  w = 1/v_g,  Q = sum w (d_g - d_w)^2
            (DerSimonian and Laird 1986)
    mu = sum d_g/(v_g + tau^2) / sum 1/(v_g + tau^2),  B_g = v_g / (v_g + tau^2)
    pooled_g = mu + (1 - B_g)(d_g - mu),  its variance (1 - B_g) v_g + B_g^2 / sum 1/(v_g + tau^2)
"""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from knowpack.measure import p_values, stats
from knowpack.measure.compare_cells import flip_test
from knowpack.measure.stakes import HIGHLY, Stakes
from knowpack.records import Estimate, table

Floats = NDArray[np.float64]
KINDS = ("relation", "popularity")


@dataclass(frozen=True, slots=True)
class GroupHarm:
    """Known facts lost in one group of untrained facts."""

    grader: str
    by: str
    """relation or popularity."""
    group: str
    figure: str
    """known_lost_net, or known_lost_raw where nothing was asked under fresh prompts."""
    n: int
    """Known facts of the group."""
    value: float
    low: float
    """95% interval of the group by itself: Tango's, of a raw share Clopper and Pearson's; of a popularity class with
    relations as clusters."""
    high: float
    pooled: float
    """Drawn towards the mean of all groups."""
    pooled_low: float | None = None
    """None = no spread within the groups, nothing to pool by."""
    pooled_high: float | None = None
    p: float | None = None
    """Two-sided, that the group's net loss is 0 (signs of facts flipped, in a popularity class of relations); None
    = raw, for which 0 is no yardstick."""
    p_adjusted: float | None = None
    """Benjamini and Hochberg 1995, over the groups of the same kind."""


def group_harm(stakes: Stakes, facts: pl.DataFrame, grader: str) -> pl.DataFrame:
    """Table of GroupHarm, for each kind of group by how much was lost. Groups without known facts are left out."""
    known = stakes.only(stakes.before == HIGHLY)
    missing = np.isnan(known.tuned) | np.isnan(known.base)
    is_asked: NDArray[np.bool_] = np.logical_not(missing.any(axis=1))  # all, where there are no draws
    net = known.tuned.shape[1] > 0 and bool(is_asked.any())
    if net:
        known = known.only(is_asked)
        lost = ((known.tuned < HIGHLY).astype(np.float64) - (known.base < HIGHLY)).mean(axis=1)
    else:
        lost = (known.after < HIGHLY).astype(np.float64)
    rows: list[GroupHarm] = []
    for by in KINDS:
        labels = _labels(known, facts, by)
        named = np.asarray([label is not None for label in labels], dtype=bool)
        if named.any():
            groups = np.asarray([label for label in labels if label is not None])
            # facts of a popularity class share relations, and move together with them
            clusters = (known.fact_id if by == "relation" else known.cluster)[named]
            rows += _groups(lost[named], groups, clusters, grader, by, net=net)
    return table(rows, GroupHarm)


def partially_pooled(values: Floats, groups: NDArray[np.generic]) -> dict[str, Estimate]:
    """Values and their groups -> each group's mean drawn towards the mean of all, in alphabetical order.

    The interval is t with N - G degrees of freedom; none where no group varies within itself.
    """
    from scipy.stats import t

    names, index, n = np.unique(groups.astype(str), return_inverse=True, return_counts=True)
    d = np.bincount(index, weights=values) / n
    df = len(values) - len(names)
    within = float(((values - d[index]) ** 2).sum()) / df if df > 0 else 0.0
    if within <= stats.DUST:
        return {str(name): Estimate(float(x), n=int(k)) for name, x, k in zip(names, d, n, strict=True)}
    v = within / n
    w = 1 / v
    q = float((w * (d - (w * d).sum() / w.sum()) ** 2).sum())
    between = float(w.sum() - (w**2).sum() / w.sum())
    tau2 = max(0.0, (q - (len(names) - 1)) / between) if between > stats.DUST else 0.0
    weight = 1 / (v + tau2)
    mu = float((weight * d).sum() / weight.sum())
    b = v / (v + tau2)
    pooled = mu + (1 - b) * (d - mu)
    half = float(t.ppf(0.975, df)) * np.sqrt((1 - b) * v + b**2 / weight.sum())
    method = f"empirical Bayes over {len(names)} groups, t with {df} degrees of freedom"
    return {
        str(name): Estimate(float(x), max(-1.0, float(x - h)), min(1.0, float(x + h)), int(k), method=method)
        for name, x, h, k in zip(names, pooled, half, n, strict=True)
    }


def _groups(
    lost: Floats, groups: NDArray[np.generic], clusters: NDArray[np.str_], grader: str, by: str, *, net: bool
) -> list[GroupHarm]:
    harmed = []
    for name, pooled in partially_pooled(lost, groups).items():
        here = groups.astype(str) == name
        own = (stats.difference if net else stats.share)(lost[here], clusters[here])
        harmed.append(
            GroupHarm(
                grader=grader,
                by=by,
                group=name,
                figure="known_lost_net" if net else "known_lost_raw",
                n=int(here.sum()),
                value=own.value,
                low=-1.0 if own.low is None else own.low,
                high=1.0 if own.high is None else own.high,
                pooled=pooled.value,
                pooled_low=pooled.low,
                pooled_high=pooled.high,
                p=flip_test(lost[here], clusters[here]) if net else None,
            )
        )
    if net:
        adjusted = p_values.benjamini_hochberg([one.p for one in harmed if one.p is not None])
        harmed = [replace(one, p_adjusted=p) for one, p in zip(harmed, adjusted, strict=True)]
    return sorted(harmed, key=lambda one: (-one.pooled, one.group))


def _labels(known: Stakes, facts: pl.DataFrame, by: str) -> list[str | None]:
    """The group of each fact; None where it has none."""
    ids = pl.DataFrame({"fact_id": known.fact_id.tolist()}, schema={"fact_id": pl.String})
    return ids.join(facts.select("fact_id", by), on="fact_id", how="left", maintain_order="left")[by].to_list()
