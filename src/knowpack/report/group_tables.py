"""Which relations and popularity classes lost what the base knew: a table of groups.

ReportData -> Table under one grader; the figures are measure/group_harm.py's.
"""

import polars as pl

from knowpack.measure.group_harm import GroupHarm
from knowpack.records import Estimate, Grader, rows
from knowpack.report.report_data import P, ReportData, Table, Value


def group_harm(data: ReportData, grader: Grader) -> Table:
    """A line for every run and group, the largest pooled loss of a run and kind first."""
    lines: list[tuple[Value, ...]] = []
    for run in data.source.runs:
        groups = run.table("group_harm.parquet", GroupHarm)
        mine = groups.filter(pl.col("grader") == grader) if groups is not None else None
        for one in rows(mine, GroupHarm) if mine is not None else ():
            own = Estimate(one.value, one.low, one.high, one.n)
            pooled = Estimate(one.pooled, one.pooled_low, one.pooled_high)
            p, adjusted = (None if p is None else P(p) for p in (one.p, one.p_adjusted))
            net = "net" if one.figure == "known_lost_net" else "raw"
            lines.append((run.label, run.seed, one.by, one.group, net, own, pooled, p, adjusted))
    heads = ("cell", "seed", "by", "group", "lost", "known facts lost", "partially pooled", "p", "p (BH)")
    note = (
        "Untrained facts that were HighlyKnown. Partially pooled: drawn towards the mean of all groups as far as they "
        "look alike (empirical Bayes). p: that the net loss is 0; BH: Benjamini and Hochberg over the groups of a kind."
    )
    return Table("group_harm", "Known facts lost by relation and by popularity", heads, lines, note)
