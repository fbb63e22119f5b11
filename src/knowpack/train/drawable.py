"""Can a mix be drawn at all? What the tables alone tell, before a model is loaded.

MixConfig + the facts that may be asked -> nothing, or the error that `mix` would raise after the base was asked. Each
rule is a bound: whatever the base knows, no more facts than that can be taken. What only the base can tell (how many
facts are Unknown, how many HighlyKnown) is left to `mix`.
"""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import polars as pl

from knowpack.config import MixConfig, RunConfig
from knowpack.errors import FactsError
from knowpack.facts import sources
from knowpack.facts.from_config import facts_of, may_be_asked
from knowpack.train.mix import GROUPS, check_wanted, paraphrases


def check_runs(runs: Sequence[RunConfig]) -> None:
    """Raise where no knowledge map whatever lets the mix of one of the runs be drawn. Loads tables, once, and no model.

    A table of extras that is not there is left to `run.check`.
    """
    load = cache(sources.load)
    seen: list[object] = []
    for one in runs:
        key = (one.mix, one.facts, facts_of(one))
        if key in seen:
            continue
        seen.append(key)
        facts = may_be_asked(load(facts_of(one)), one.facts)
        mix, extra = _with_extras(one.mix, load)
        try:
            check(facts, mix, extra)
        except FactsError as error:
            raise FactsError(f"{one.label}: {error}" if len(runs) > 1 else str(error)) from None


def check(facts: pl.DataFrame, config: MixConfig, extra: pl.DataFrame | None = None) -> None:
    """The same of tables. facts: those that may be asked; extra: where the HighlyKnown facts come from, if not there.

    Raises FactsError with both numbers, ConfigError where no fact is asked for.
    """
    check_wanted(config)
    n, k = config.n_unknown, config.n_highly_known
    if facts.height < n:
        raise FactsError(
            f"mix.n_unknown={n} asks for more facts than there are: {facts.height}; lower it or give more facts"
        )
    _check_bias(facts, config)
    _check_wordings(facts, config)
    if k == 0 or config.cap_extra:
        return
    most = _most_with_extras(facts, config, extra)
    if most < n:
        of = f"{facts.height} facts" if extra is None else f"{facts.height} facts and {extra.height} in mix.extra_facts"
        group = "" if config.extra_from == "anywhere" else f" of the {GROUPS[config.extra_from]} of each"
        raise FactsError(
            f"mix.n_unknown={n} with mix.n_highly_known={k}{group} cannot be drawn from {of}: whatever the model "
            f"knows, they are enough for {most}; lower one of them or give more facts"
        )


def _check_bias(facts: pl.DataFrame, config: MixConfig) -> None:
    """Largest groups: of a part of the table (those Unknown) they hold no more facts than of the whole."""
    groups = {"n_subjects": (pl.col("subject"), config.n_subjects)}
    groups["n_answers"] = (pl.col("answers").list.first(), config.n_answers)
    for name, (group, n_groups) in groups.items():
        if n_groups is None:
            continue
        sizes = facts.select(group.alias("group")).drop_nulls().group_by("group").len()["len"]
        most = sizes.sort(descending=True).head(n_groups).sum()
        if most < config.n_unknown:
            raise FactsError(
                f"mix.{name}={n_groups} leaves at most {most} of {facts.height} facts, mix.n_unknown="
                f"{config.n_unknown} asks for more; lower it or allow more groups"
            )


def _check_wordings(facts: pl.DataFrame, config: MixConfig) -> None:
    """Every fact that is taken needs its wordings."""
    k = config.n_paraphrase
    if k == 0:
        return
    counts = paraphrases(facts, config.held_out_wordings).group_by("fact_id").len()
    enough = counts.filter(pl.col("len") >= k).height
    if enough < config.n_unknown:
        raise FactsError(
            f"mix.n_paraphrase={k} needs {k} wordings of each fact beyond the last {config.held_out_wordings}, which "
            f"are held out; {enough} of {facts.height} facts have them, mix.n_unknown={config.n_unknown}; lower it, "
            "or add wordings with `knowpack facts paraphrase`"
        )


def _most_with_extras(facts: pl.DataFrame, config: MixConfig, extra: pl.DataFrame | None) -> int:
    """How many facts can at most be taken with k extras each, a group at a time (one group: anywhere).

    A group of s facts that gives u of them and k*u others holds u * (1 + k) <= s; where the extras are in a table of
    their own, with e facts of the group, u <= s and k * u <= e.
    """
    k = config.n_highly_known
    group = pl.lit("all") if config.extra_from == "anywhere" else pl.col(GROUPS[config.extra_from])
    sizes = facts.select("fact_id", group=group).drop_nulls().group_by("group").agg(here=pl.len().cast(pl.Int64))
    if extra is None:
        return int(sizes.select((pl.col("here") // (1 + k)).sum()).item())
    theirs = extra.select("fact_id", group=group).drop_nulls().group_by("group").agg(there=pl.len().cast(pl.Int64))
    both = sizes.join(theirs, on="group")
    return int(both.select(pl.min_horizontal("here", pl.col("there") // k).sum()).item())


def _with_extras(config: MixConfig, load: Callable[[str], pl.DataFrame]) -> tuple[MixConfig, pl.DataFrame | None]:
    """The mix, and its table of extras where it reads one; where that is gone, the mix as if it took what is there."""
    name = config.extra_facts
    if name is None or not config.n_highly_known or config.cap_extra:
        return config, None
    if name not in sources.SOURCES and not Path(name).is_file():
        return config.model_copy(update={"cap_extra": True}), None
    return config, load(name)
