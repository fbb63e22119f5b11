"""The facts that fell, those that fell furthest first: what a reader of the first screen asks for next.

Run -> `Lost` rows, and the table of them, which is there without JavaScript and in print.
"""

from typing import NamedTuple

import polars as pl

from knowpack.records import Grader
from knowpack.report import measures
from knowpack.report.finished import Run
from knowpack.report.markup import Child, Markup, alien, el, table
from knowpack.report.words import words

IN_ALL, AT_LEAST = 600, 20  # rows over all runs of a report, and of each


class Lost(NamedTuple):
    """One fact that fell."""

    question: str
    answer: str
    before: str
    """Its category, and its share of right answers."""
    after: str
    now: str
    """What it is answered most often now."""
    delta_p: float
    """After - before, below 0."""


def lost(run: Run, grader: Grader) -> list[Lost]:
    """Untrained facts whose category fell, by how much their share of right answers did."""
    rank = pl.col("before").replace_strict(measures.ORDER) - pl.col("after").replace_strict(measures.ORDER)
    fell = measures.under(run.shifts, grader).filter(~pl.col("trained") & (rank > 0))
    facts = run.facts().select("fact_id", "question", answer=pl.col("answers").list.first())
    rows = fell.join(facts, on="fact_id", maintain_order="left")
    known = run.knowledge
    if known is None:
        rows = rows.with_columns(now=pl.lit(None, pl.String))
    else:
        mine = known.filter(pl.col("grader") == grader).select("fact_id", now="top_answer")
        rows = rows.join(mine, on="fact_id", how="left", maintain_order="left")
    rows = rows.sort("delta_p", "question").select("question", "answer", "before", "after", "now", "delta_p")
    return [Lost(q, a, b, c, "" if now is None else now, d) for q, a, b, c, now, d in rows.iter_rows()]


def section(run: Run, grader: Grader, n_runs: int) -> Markup:
    """The table, cut where a report has many runs; the explorer has them all."""
    found, called = lost(run, grader), words(run)
    most = max(AT_LEAST, IN_ALL // n_runs)
    if not found:
        return el("p", None, called.none_fell)
    cut = f" Here are the {most} that fell furthest." if len(found) > most else ""
    many = f"{len(found):,} {called.asked} that were not trained"
    said = f"{many} stand in a lower category than before, the worst first.{cut}"
    link = el("a", {"href": "#move=fell&sort=fell", "class": "to-explorer"}, "See them with every answer")
    rows: list[list[Child]] = [
        [
            alien(one.question),
            alien(one.answer, 120),
            called.between(one.before, one.after),
            points(one.delta_p),
            alien(one.now, 120),
        ]
        for one in found[:most]
    ]
    heads = ("question", called.answer, "moved", f"share of {called.answer}s", "now answered, most often")
    return el("div", None, el("p", None, said, " ", link), table(heads, rows, "Lost facts", classes="lost"))


def points(delta: float) -> str:
    """A change of a share: −40 points."""
    return f"{'−' if delta < 0 else '+'}{abs(100 * delta):.0f} points"
