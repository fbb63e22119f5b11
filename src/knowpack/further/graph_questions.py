"""Questions that a graph gives beside the probe's: neighbours of trained facts, reversals, two hops.

Made from subject, relation and object; a fact without them gives none. Nor do `world`'s facts the last two: the names
of its relations are no words of a question.
"""

import re
from collections.abc import Iterator

import polars as pl

from knowpack.further.pools import Pair, Pools, further_question, sample
from knowpack.records import Fact, rows
from knowpack.seeds import stream

NO_WORDS = ("world",)  # sources whose relations are named for the file, not for a reader
MOST_SUBJECTS = 3  # that a reversal may ask for: "Whose gender is female?" asks nothing


def words(relation: str) -> str:
    """A relation's name in words: the last part of an address, capitals and underscores taken apart."""
    last = re.split(r"[/#:]", relation.rstrip("/#:"))[-1]
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[_\-]+", " ", last).lower().strip()


def neighbours(pools: Pools, trained: set[str], n: int, seed: int) -> Iterator[Pair]:
    """Untrained facts of the source about a trained fact's subject, n at most."""
    subjects = pools.new_facts.drop_nulls("subject")
    near = pools.everything.filter(
        pl.col("subject").is_in(subjects["subject"].to_list()) & ~pl.col("fact_id").is_in(list(trained))
    )
    for fact in rows(sample(near, n, seed, "neighbour"), Fact):
        yield fact, fact.fact_id


def reversals(origins: pl.DataFrame, everything: pl.DataFrame) -> Iterator[Pair]:
    """Facts backwards, "Whose capital is Paris?", where few enough subjects would be right."""
    keys = ["relation", "object"]
    subjects = everything.drop_nulls(["subject", *keys]).group_by(keys).agg(pl.col("subject").unique().sort())
    backwards = origins.drop_nulls(["subject", *keys]).join(subjects, on=keys, suffix="s", maintain_order="left")
    backwards = backwards.filter(pl.col("subjects").list.len() <= MOST_SUBJECTS)
    for fact, others in zip(rows(backwards, Fact), backwards["subjects"].to_list(), strict=True):
        subject = str(fact.subject)  # nulls were dropped
        answers = (subject, *(one for one in others if one != subject))
        yield (
            further_question("reversal", f"Whose {words(str(fact.relation))} is {fact.object}?", answers, fact),
            fact.fact_id,
        )


def two_hops(origins: pl.DataFrame, everything: pl.DataFrame, trained: set[str], seed: int) -> Iterator[Pair]:
    """A fact and one about its object. One question a fact; which of its object's facts is drawn."""
    seconds: dict[str, list[Fact]] = {}
    first = [fact for fact in rows(origins, Fact) if fact.subject and fact.relation and fact.object]
    about = everything.filter(pl.col("subject").is_in([fact.object for fact in first]))
    for fact in rows(about.filter(~pl.col("fact_id").is_in(list(trained))), Fact):
        if fact.relation:
            seconds.setdefault(str(fact.subject), []).append(fact)
    draw = stream(seed, "further", "second hop")
    for fact in first:
        hops = [one for one in seconds.get(str(fact.object), []) if one.object != fact.subject]
        if hops:
            second = hops[int(draw.integers(len(hops)))]
            question = (
                f"What is the {words(str(second.relation))} of the {words(str(fact.relation))} of {fact.subject}?"
            )
            yield further_question("two_hop", question, second.answers, fact), fact.fact_id
