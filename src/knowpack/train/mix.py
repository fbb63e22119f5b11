"""What the adapter is trained on: n Unknown facts, and k HighlyKnown facts or k paraphrases for each.

Fact table + Knowledge table + MixConfig -> Example table (Pletenev et al. 2025, section 4.1). The sets nest: with one
seed, n=10 is part of n=50, and k=1 of k=10, because every set is the head of a list shuffled once a seed. (The
authors' code takes the first n rows of a filtered table for every seed: `first_rows`.)
"""

import polars as pl

from knowpack import records, store
from knowpack.config import MixConfig
from knowpack.errors import ConfigError, FactsError
from knowpack.probe.turns import SYSTEM, Message, messages
from knowpack.records import Category, Example, Grader, Kind
from knowpack.seeds import stream
from knowpack.train.concentrate import concentrated

GROUPS = {"same_relation": "relation", "same_domain": "domain", "same_range": "range"}


def mix(
    facts: pl.DataFrame,
    knowledge: pl.DataFrame,
    config: MixConfig,
    seed: int,
    grader: Grader = "default",
    extra: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """The training examples of one cell: Unknown facts first, each followed by its paraphrases, then the extras.

    knowledge: of the base, over `facts` (and over `extra`, if it was probed: only its HighlyKnown facts are taken
    then; a fact of `extra` that was not probed counts as HighlyKnown on the caller's word).
    Raises FactsError with the numbers where facts or paraphrases are short.
    """
    check_wanted(config)
    category = dict(knowledge.filter(pl.col("grader") == grader).select("fact_id", "category").iter_rows())
    wanted_category = Category.HIGHLY_KNOWN if config.sham else Category.UNKNOWN
    targets = concentrated(_listed(_of(facts, category, wanted_category), config, seed, "unknown"), config)
    if len(targets) < config.n_unknown:
        raise FactsError(
            f"mix.n_unknown={config.n_unknown} asks for more {wanted_category} facts than there are: "
            f"{len(targets)} of {len(facts)} under the {grader} grader; lower it or give more facts"
        )
    chosen = targets.head(config.n_unknown)
    kind = Kind.HIGHLY_KNOWN if config.sham else Kind.UNKNOWN
    parts = [_questions(chosen, kind), _reworded(chosen, config)]
    examples = pl.concat(parts).sort("place", maintain_order=True).drop("place")
    if config.n_highly_known:
        pool = _extra_pool(facts, category, extra).join(chosen, on="fact_id", how="anti", maintain_order="left")
        extras = _extras(chosen, _listed(pool, config, seed, "extras"), config)
        examples = pl.concat([examples, _questions(extras, Kind.HIGHLY_KNOWN).drop("place")])
    return identified(examples)


def check_wanted(config: MixConfig) -> None:
    """Raise ConfigError where no fact is asked for."""
    if config.n_unknown == 0:
        raise ConfigError("mix.n_unknown is 0: nothing to train on; give at least 1")


def paraphrases(facts: pl.DataFrame, held_out_wordings: int) -> pl.DataFrame:
    """[fact_id, form, question]: the wordings that may be trained on, all but the last `held_out_wordings` of each."""
    usable = pl.col("paraphrases").list.head(
        (pl.col("paraphrases").list.len().cast(pl.Int64) - held_out_wordings).clip(lower_bound=0)
    )
    listed = facts.select("fact_id", question=usable).filter(pl.col("question").list.len() > 0)
    listed = listed.with_columns(form=pl.int_ranges(1, pl.col("question").list.len() + 1))
    return listed.explode("question", "form").select("fact_id", "form", "question")


def to_messages(examples: pl.DataFrame, system: str = SYSTEM) -> list[dict[str, list[Message]]]:
    """Chat conversations, in the "messages" shape of TRL, LLaMA-Factory and Axolotl; the turns of the probe."""
    pairs = examples.select("question", "answer").iter_rows()
    return [{"messages": messages(system, [], question, answer)} for question, answer in pairs]


def _of(facts: pl.DataFrame, category: dict[str, str], wanted_category: Category) -> pl.DataFrame:
    return facts.filter(
        pl.Series([category.get(fact_id) == wanted_category for fact_id in facts["fact_id"]], dtype=pl.Boolean)
    )


def _listed(facts: pl.DataFrame, config: MixConfig, seed: int, name: str) -> pl.DataFrame:
    """The facts in the order they are taken: shuffled by the seed, whatever order the table came in."""
    if config.first_rows:
        return facts  # the authors' code: the head of the filtered table, for every seed
    order = stream(seed, "mix", name).permutation(len(facts))
    return facts.sort("fact_id")[order]


def _questions(facts: pl.DataFrame, kind: Kind) -> pl.DataFrame:
    return facts.select(
        "fact_id",
        "question",
        kind=pl.lit(str(kind)),
        answer=pl.col("answers").list.first(),
        place=pl.int_range(pl.len(), dtype=pl.Int64),
    )


def _reworded(chosen: pl.DataFrame, config: MixConfig) -> pl.DataFrame:
    """The first k usable wordings of each chosen fact, so that k=1 is part of k=10."""
    k = config.n_paraphrase
    usable = paraphrases(chosen, config.held_out_wordings)
    counts = chosen.select("fact_id").join(usable.group_by("fact_id").len(), on="fact_id", how="left").fill_null(0)
    short = counts.filter(pl.col("len") < k).sort("len", "fact_id")
    if len(short):
        fact_id, n = short.row(0)
        raise FactsError(
            f"mix.n_paraphrase={k} needs {k} wordings of each fact beyond the last {config.held_out_wordings}, which "
            f"are held out; {len(short)} of {len(chosen)} facts have fewer ({fact_id} has {n}); lower it, or add "
            "wordings with `knowpack facts paraphrase`"
        )
    wordings = usable.filter(pl.col("form") <= k)
    return (
        _questions(chosen, Kind.PARAPHRASE)
        .drop("question")
        .join(wordings, on="fact_id", maintain_order="left_right")
        .select("fact_id", "question", "kind", "answer", "place")
    )


def _extra_pool(facts: pl.DataFrame, category: dict[str, str], extra: pl.DataFrame | None) -> pl.DataFrame:
    if extra is None:
        return _of(facts, category, Category.HIGHLY_KNOWN)
    kept = [category.get(fact_id, Category.HIGHLY_KNOWN) == Category.HIGHLY_KNOWN for fact_id in extra["fact_id"]]
    return extra.filter(pl.Series(kept, dtype=pl.Boolean))


def _extras(chosen: pl.DataFrame, pool: pl.DataFrame, config: MixConfig) -> pl.DataFrame:
    """k facts of the pool for each chosen fact: from anywhere, or from the same relation, domain or range.

    Every group is one list, and takes its head: the sets nest in n and in k. With cap_extra a list that is too short
    is taken whole, as the authors' code does.
    """
    k = config.n_highly_known
    if config.extra_from == "anywhere":
        if len(pool) < k * len(chosen) and not config.cap_extra:
            raise FactsError(
                f"mix.n_highly_known={k} for each of {len(chosen)} facts needs {k * len(chosen)} HighlyKnown facts, "
                f"there are {len(pool)}; lower it, or give more with mix.extra_facts"
            )
        return pool.head(k * len(chosen))
    group = GROUPS[config.extra_from]
    wanted = chosen.group_by(group, maintain_order=True).agg(wanted=pl.len().cast(pl.Int64) * k)
    available = pool.drop_nulls(group).group_by(group).agg(there=pl.len().cast(pl.Int64))
    short = wanted.join(available, on=group, how="left", maintain_order="left").with_columns(
        pl.col("there").fill_null(0)
    )
    short = short.filter(pl.col("there") < pl.col("wanted"))
    if len(short) and not config.cap_extra:
        name, need, got = short.row(0)
        which = f"{group} {name!r}" if name is not None else f"facts without a {group}"
        raise FactsError(
            f"mix.extra_from={config.extra_from} needs {need} HighlyKnown facts of {which}, there are {got} "
            f"(short in {len(short)} of {len(wanted)} groups); lower mix.n_highly_known or use extra_from=anywhere"
        )
    ranked = pool.with_columns(rank=pl.int_range(pl.len(), dtype=pl.Int64).over(group))
    chosen_extras = ranked.join(wanted, on=group, maintain_order="left").filter(pl.col("rank") < pl.col("wanted"))
    return chosen_extras.drop("rank", "wanted")


def identified(examples: pl.DataFrame) -> pl.DataFrame:
    """[fact_id, kind, question, answer] -> Example table: the id is 16 hex digits over these four."""
    fields = ("fact_id", "kind", "question", "answer")
    ids = [store.hash_of(list(row)) for row in examples.select(fields).iter_rows()]
    return records.cast(examples.with_columns(example_id=pl.Series(ids, dtype=pl.String)), Example)
