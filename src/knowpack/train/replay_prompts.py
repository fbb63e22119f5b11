"""Replay prompts: which questions the adapted model is held to the base on.

facts + knowledge of the base + the facts to pack + KeepConfig -> prompts (why, question). Facts of the same relation,
of the same range and unrelated ones, a third each; and names that do not exist, put together from parts of names
that do, so that refusals stay. (Replay against forgetting: Robins 1995; against the base's own distribution, Li and
Hoiem 2016, "Learning without forgetting".)
"""

import polars as pl

from knowpack import records, store
from knowpack.config import KeepConfig
from knowpack.records import Example, Kind
from knowpack.seeds import stream

MADE_UP = "made_up"
SCHEMA = {"fact_id": pl.String(), "why": pl.String(), "question": pl.String()}


def prompts(
    facts: pl.DataFrame, packed: pl.DataFrame, keep: KeepConfig, seed: int, *, knowledge: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Replay prompts [fact_id, why, question]; why: same_relation, same_range, unrelated or made_up.

    facts: those that no probe will measure harm on; the packed ones among them are left out.
    knowledge: of the base; with it the facts it knows come first, those it does not fill up what is left.
    """
    others = facts.join(packed, on="fact_id", how="anti", maintain_order="left")
    others = others.filter(~pl.col("question").is_in(packed["question"].to_list()))
    chosen = _facts(_known_first(others, knowledge, seed), packed, keep.n_replay)
    invented = made_up(facts, packed, keep.n_made_up, seed)
    return pl.concat([chosen, invented]).unique("question", maintain_order=True)


def as_examples(prompts: pl.DataFrame) -> pl.DataFrame:
    """Replay prompts -> Example rows of kind replay. Their answer is "": the base gives it, in training."""
    ids = [store.hash_of(["replay", question]) for question in prompts["question"]]
    return prompts.select(
        example_id=pl.Series(ids, dtype=pl.String),
        fact_id="fact_id",
        kind=pl.lit(str(Kind.REPLAY)),
        question="question",
        answer=pl.lit(""),
    ).select(pl.col(name).cast(kind) for name, kind in records.schema(Example).items())


def _known_first(facts: pl.DataFrame, knowledge: pl.DataFrame | None, seed: int) -> pl.DataFrame:
    """The facts shuffled; three known ones for each unknown one while there are both."""
    shuffled = facts.sort("fact_id")[stream(seed, "replay", "facts").permutation(len(facts))]
    if knowledge is None:
        return shuffled
    known = knowledge.filter((pl.col("grader") == "default") & (pl.col("p_correct") > 0)).select("fact_id")
    known = known.with_columns(known=pl.lit(True))
    shuffled = shuffled.join(known, on="fact_id", how="left", maintain_order="left").with_columns(
        pl.col("known").fill_null(False)
    )
    place = pl.int_range(pl.len(), dtype=pl.Int64).over("known")
    return shuffled.sort(pl.when(pl.col("known")).then(place).otherwise(place * 3), maintain_order=True).drop("known")


def _facts(facts: pl.DataFrame, packed: pl.DataFrame, n: int) -> pl.DataFrame:
    relations, ranges = (packed[name].drop_nulls().unique().to_list() for name in ("relation", "range"))
    why = (
        pl.when(pl.col("relation").is_in(relations))
        .then(pl.lit("same_relation"))
        .when(pl.col("range").is_in(ranges))
        .then(pl.lit("same_range"))
        .otherwise(pl.lit("unrelated"))
    )
    labelled = facts.select("fact_id", "question", why=why)
    rank = pl.int_range(pl.len(), dtype=pl.Int64).over("why")
    return labelled.sort(rank, maintain_order=True).head(n).select(*SCHEMA)


def made_up(facts: pl.DataFrame, packed: pl.DataFrame, n: int, seed: int) -> pl.DataFrame:
    """Questions about subjects that do not exist: the question of one fact, a name made from two others of its domain.

    Half of them after questions of the packed relations. Facts whose question does not hold the subject give none.
    """
    there = set(facts["subject"].drop_nulls().to_list()) | set(packed["subject"].drop_nulls().to_list())
    relations = set(packed["relation"].drop_nulls().to_list())
    rows = list(facts.drop_nulls("subject").select("question", "subject", "domain", "relation").iter_rows())
    rows = [row for row in rows if row[1] in row[0]]
    if not rows:
        return pl.DataFrame(schema=SCHEMA)
    names: dict[str | None, list[str]] = {}
    for name, domain in dict.fromkeys((row[1], row[2]) for row in rows):
        names.setdefault(domain, []).append(name)
    near = [row for row in rows if row[3] in relations] or rows
    rng = stream(seed, "replay", "made_up")
    found: dict[str, None] = {}
    for attempt in range(4 * n):
        if len(found) == n:
            break
        pool = near if attempt % 2 else rows
        question, subject, domain, _ = pool[int(rng.integers(len(pool)))]
        first, second = (names[domain][int(rng.integers(len(names[domain])))] for _ in range(2))
        name = recombined(first, second)
        if name not in there:
            found[question.replace(subject, name)] = None
    ids = [f"made-up-{store.hash_of(question)}" for question in found]
    return pl.DataFrame({"fact_id": ids, "why": [MADE_UP] * len(found), "question": list(found)}, schema=SCHEMA)


def recombined(first: str, second: str) -> str:
    """The head of one name and the end of the other: words where both have several, else letters."""
    a, b = first.split(), second.split()
    if len(a) > 1 and len(b) > 1:
        return " ".join([*a[:-1], b[-1]])
    return first[: (len(first) + 1) // 2] + second[len(second) // 2 :]
