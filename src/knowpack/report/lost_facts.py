"""The facts that fell, those that fell furthest first: what a reader of the first screen asks for next.

Run -> `LostFact` rows, and the table of them, which is there without JavaScript and in print.
"""

from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote

import polars as pl

from knowpack.records import Grader, Knowledge
from knowpack.report import measures
from knowpack.report.finished_run import Run
from knowpack.report.markup import Child, Markup, alien, el, join, table
from knowpack.report.shares import points, share
from knowpack.report.words import words

IN_ALL, AT_LEAST = 600, 20  # rows over all runs of a report, and of each
SHOWN = 15  # rows that stand there at once; the rest opens


class LostFact(NamedTuple):
    """One fact that fell."""

    fact_id: str
    question: str
    answer: str
    before: str
    """Its category, and its share of right answers."""
    after: str
    was: str
    """What the base answered most often; empty where it was not kept."""
    now: str
    """What it is answered most often now."""
    p_after: float | None
    """Share of right answers now; None where it was not kept."""
    delta_p: float
    """After - before, below 0."""


def lost(run: Run, grader: Grader) -> list[LostFact]:
    """Untrained facts whose category fell, by how much their share of right answers did."""
    rank = pl.col("before").replace_strict(measures.ORDER) - pl.col("after").replace_strict(measures.ORDER)
    fell = measures.under(run.shifts, grader).filter(~pl.col("trained") & (rank > 0))
    facts = run.facts().select("fact_id", "question", answer=pl.col("answers").list.first())
    rows = fell.join(facts, on="fact_id", maintain_order="left")
    now = _answers(run.knowledge, grader).rename({"answer": "now", "p": "p_after"})
    was = _answers(run.base_table("knowledge.parquet", Knowledge), grader).rename({"answer": "was"}).drop("p")
    for answers in (now, was):
        rows = rows.join(answers, on="fact_id", how="left", maintain_order="left")
    rows = rows.with_columns(pl.col("now", "was").fill_null("")).sort("delta_p", "question")
    return [LostFact(*row) for row in rows.select(LostFact._fields).iter_rows()]


def _answers(known: pl.DataFrame | None, grader: Grader) -> pl.DataFrame:
    """[fact_id, answer, p]: the most frequent answer, and the share of right ones."""
    if known is None:
        return pl.DataFrame(schema={"fact_id": pl.String, "answer": pl.String, "p": pl.Float64})
    return known.filter(pl.col("grader") == grader).select("fact_id", answer="top_answer", p="p_correct")


def section(run: Run, grader: Grader, n_runs: int) -> Markup:
    """The table, cut where a report has many runs; the explorer has them all."""
    facts, called = lost(run, grader), words(run)
    most = max(AT_LEAST, IN_ALL // n_runs)
    if not facts:
        return el("p", None, called.none_fell)
    cut = f" Here are the {most} that fell furthest." if len(facts) > most else ""
    many = f"{len(facts):,} {called.items} {called.which}"
    sentence = (
        f"{many} stand in a lower category than before, the worst first; {_rose(run, grader):,} in a higher one.{cut}"
    )
    link = el("a", {"href": "#move=fell", "class": "to-explorer"}, "See them with every answer")
    kept = any(one.was for one in facts)
    rows: list[list[Child]] = [
        [
            el("a", {"href": f"#fact={quote(one.fact_id)}", "class": "to-fact"}, alien(one.question)),
            alien(one.answer, 120),
            f"{called.between(one.before, one.after)}, {_shares(one)}",
            *([alien(one.was, 120)] if kept else []),
            alien(one.now, 120),
        ]
        for one in facts[:most]
    ]
    answers = ("most often before", "most often now") if kept else ("most often now",)
    heads = ("question", called.answer, f"moved, share of {called.answer}s", *answers)
    return el("div", None, el("p", None, sentence, " ", link), _folded(heads, rows, "lost kept" if kept else "lost"))


def _folded(heads: Sequence[str], rows: list[list[Child]], classes: str) -> Markup:
    """The first rows, and the rest behind a line that says how many there are; it opens without JavaScript."""
    first = table(heads, rows[:SHOWN], "Lost facts", classes=classes)
    if len(rows) <= SHOWN:
        return first
    closed = el("span", {"class": "when-closed"}, f"Showing the first {SHOWN} of {len(rows):,}: show all")
    opened = el("span", {"class": "when-open"}, f"Showing all {len(rows):,}: show the first {SHOWN} only")
    rest = table(heads, rows[SHOWN:], "The other lost facts", classes=classes)
    return join(first, el("details", {"class": "rest"}, el("summary", None, closed, opened), rest))


def _rose(run: Run, grader: Grader) -> int:
    rank = pl.col("before").replace_strict(measures.ORDER) - pl.col("after").replace_strict(measures.ORDER)
    return measures.under(run.shifts, grader).filter(~pl.col("trained") & (rank < 0)).height


def _shares(one: LostFact) -> str:
    """100% → 40%."""
    return points(one.delta_p) if one.p_after is None else f"{share(one.p_after - one.delta_p)} → {share(one.p_after)}"
