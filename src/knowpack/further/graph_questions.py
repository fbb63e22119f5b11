"""Questions beside those of the probe: what else may an adapter have changed, or not have learned?

Facts + what was trained -> a Fact table with two columns more: kind (one of KINDS), origin (the fact it was made from).
    wording     another wording of a fact that was not trained: is the answer still the same?
    neighbour   another fact about a trained fact's subject, whether it is probed or not
    reversal    a trained fact asked backwards: "Whose capital is Paris?" (Berglund et al. 2024)
    two_hop     a trained fact and one about its object in one question: "What is the currency of the country of Lyon?"
    reversal_known, two_hop_known   the same of facts that the base knew: whether it can do that at all
Made from subject, relation and object; a fact without them gives none. Nor do `world`'s facts the last four: the names
of its relations are no words of a question.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

import polars as pl

from knowpack.records import Fact, fact_id_of, rows, schema, table
from knowpack.seeds import stream

KINDS = ("wording", "neighbour", "reversal", "two_hop", "reversal_known", "two_hop_known")
NO_WORDS = ("world",)  # sources whose relations are named for the file, not for a reader
MOST_SUBJECTS = 3  # that a reversal may ask for: "Whose gender is female?" asks nothing


class Pools(NamedTuple):
    """Fact tables that questions are made from."""

    everything: pl.DataFrame
    """All facts of the source, probed or not."""
    untrained: pl.DataFrame
    """Those probed and not trained."""
    taught: pl.DataFrame
    """The trained Unknown facts."""
    known: pl.DataFrame
    """Those that the base knew well and that were not trained."""


def further_questions(pools: Pools, trained: set[str], n: int, seed: int = 0) -> pl.DataFrame:
    """At most n questions a kind -> Fact table with `kind` and `origin`; trained: ids of all training examples."""
    taught, known = (facts.filter(~pl.col("source").is_in(NO_WORDS)) for facts in (pools.taught, pools.known))
    made = {
        "wording": _wordings(_drawn(pools.untrained, n, seed, "wording")),
        "neighbour": _neighbours(pools, trained, n, seed),
        "reversal": _reversals(taught, pools.everything),
        "two_hop": _two_hops(taught, pools.everything, trained, seed),
        "reversal_known": _reversals(known, pools.everything),
        "two_hop_known": _two_hops(known, pools.everything, trained, seed),
    }
    found = [_kept(kind, list(pairs), n, seed) for kind, pairs in made.items()]
    return pl.concat(found).unique("fact_id", keep="first", maintain_order=True)


def words(relation: str) -> str:
    """A relation's name in words: the last part of an address, capitals and underscores taken apart."""
    last = re.split(r"[/#:]", relation.rstrip("/#:"))[-1]
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[_\-]+", " ", last).lower().strip()


Pair = tuple[Fact, str]
"""A question, and the id of the fact it was made from."""


def _wordings(facts: pl.DataFrame) -> Iterator[Pair]:
    for fact in rows(facts, Fact):
        if fact.paraphrases:
            yield _asked("wording", fact.paraphrases[-1], fact.answers, fact), fact.fact_id


def _neighbours(pools: Pools, trained: set[str], n: int, seed: int) -> Iterator[Pair]:
    subjects = pools.taught.drop_nulls("subject")
    near = pools.everything.filter(
        pl.col("subject").is_in(subjects["subject"].to_list()) & ~pl.col("fact_id").is_in(list(trained))
    )
    for fact in rows(_drawn(near, n, seed, "neighbour"), Fact):
        yield fact, fact.fact_id


def _reversals(origins: pl.DataFrame, everything: pl.DataFrame) -> Iterator[Pair]:
    keys = ["relation", "object"]
    subjects = everything.drop_nulls(["subject", *keys]).group_by(keys).agg(pl.col("subject").unique().sort())
    asked = origins.drop_nulls(["subject", *keys]).join(subjects, on=keys, suffix="s", maintain_order="left")
    asked = asked.filter(pl.col("subjects").list.len() <= MOST_SUBJECTS)
    for fact, others in zip(rows(asked, Fact), asked["subjects"].to_list(), strict=True):
        subject = str(fact.subject)  # nulls were dropped
        answers = (subject, *(one for one in others if one != subject))
        yield _asked("reversal", f"Whose {words(str(fact.relation))} is {fact.object}?", answers, fact), fact.fact_id


def _two_hops(origins: pl.DataFrame, everything: pl.DataFrame, trained: set[str], seed: int) -> Iterator[Pair]:
    """One question a fact; which of its object's facts is drawn."""
    seconds: dict[str, list[Fact]] = {}
    first = [fact for fact in rows(origins, Fact) if fact.subject and fact.relation and fact.object]
    about = everything.filter(pl.col("subject").is_in([fact.object for fact in first]))
    for fact in rows(about.filter(~pl.col("fact_id").is_in(list(trained))), Fact):
        if fact.relation:
            seconds.setdefault(str(fact.subject), []).append(fact)
    draw = stream(seed, "further", "second hop")
    for fact in first:
        there = [one for one in seconds.get(str(fact.object), []) if one.object != fact.subject]
        if there:
            second = there[int(draw.integers(len(there)))]
            question = (
                f"What is the {words(str(second.relation))} of the {words(str(fact.relation))} of {fact.subject}?"
            )
            yield _asked("two_hop", question, second.answers, fact), fact.fact_id


def _asked(kind: str, question: str, answers: tuple[str, ...], of: Fact) -> Fact:
    name = fact_id_of(f"further {kind}", of.subject, of.relation, of.object, question)
    return Fact(name, question, answers, (), of.subject, of.relation, of.object, source=f"further {kind}")


def _drawn(facts: pl.DataFrame, n: int, seed: int, name: str) -> pl.DataFrame:
    """n of them in their own order; all where there are no more."""
    if facts.height <= n:
        return facts
    return facts[sorted(stream(seed, "further", name).permutation(facts.height)[:n].tolist())]


def _kept(kind: str, pairs: list[Pair], n: int, seed: int) -> pl.DataFrame:
    facts = table([fact for fact, _ in pairs], Fact)
    marked = facts.with_columns(kind=pl.lit(kind), origin=pl.Series([origin for _, origin in pairs], dtype=pl.String))
    assert list(schema(Fact)) == facts.columns, "kind and origin come behind the fact's own columns"
    return _drawn(marked, n, seed, f"{kind} kept")
