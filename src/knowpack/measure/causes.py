"""Why facts moved from Unknown to HighlyKnown and back, and whether those reasons mean anything.

Shift table + responses before and after + examples + facts -> causes of each shift, their base rates and placebos, and
the unexplained rest (Pletenev et al. 2025, section 5.2, Table 5). Causes overlap. Rows of the paper's grader follow the
authors' rules (paper_causes.py), rows of the default grader ours (default_causes.py).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import polars as pl

from knowpack.errors import FactsError
from knowpack.measure import default_causes, paper_causes, stats
from knowpack.measure.evidence import CauseRule, Control, Direction, Evidence, gather
from knowpack.records import GRADERS, Category, Cause, Figure, Grader
from knowpack.seeds import stream

N_PLACEBOS = 20  # draws of as many untrained facts
COUNT_TRAINED: dict[Grader, bool] = {"default": False, "paper": True}
"""Do the trained facts count among those that moved? The authors count them."""


def _by_grader(
    default: Callable[[Evidence], pl.Series], paper: Callable[[Evidence], pl.Series]
) -> Callable[[Evidence], pl.Series]:
    return lambda evidence: (paper if evidence.grader == "paper" else default)(evidence)


RULES: tuple[CauseRule, ...] = (
    CauseRule(
        Cause.NON_REFUSAL,
        "non-refusal",
        ("up",),
        False,
        _by_grader(default_causes.refused, paper_causes.refused),
        meaning="the base refused to answer",
    ),
    CauseRule(
        Cause.EXPLOSION,
        "explosion",
        ("up", "down"),
        False,
        _by_grader(default_causes.explosion, paper_causes.explosion),
        meaning="the new answer is given to far more questions than any was before",
    ),
    CauseRule(
        Cause.TARGET,
        "target",
        ("up", "down"),
        True,
        _by_grader(default_causes.target, paper_causes.target),
        meaning="the new answer is that of a trained fact",
    ),
    CauseRule(
        Cause.DOMAIN,
        "domain",
        ("up", "down"),
        True,
        _by_grader(default_causes.domain, paper_causes.domain),
        meaning="the fact is of the domain, or the range, of a trained one",
    ),
)
"""In the order of the tables. Everything that names causes reads this: a sixth one is a rule more."""


class Placebo(NamedTuple):
    """Shares of the moved facts, had other facts been trained: one a draw."""

    mean: float
    low: float
    """2.5% of the draws lie below."""
    high: float


def explain(
    shifts: pl.DataFrame,
    before: pl.DataFrame,
    after: pl.DataFrame,
    examples: pl.DataFrame,
    facts: pl.DataFrame,
    *,
    labelled: bool = True,
) -> pl.DataFrame:
    """The Shift table with its causes filled, for Unknown -> HighlyKnown and HighlyKnown -> Unknown.

    before, after: Response tables of the base and the tuned model. A fact that its own grader's rules do not count
    (a trained one, by default) keeps no causes. labelled: see `evidence.gather`.
    """
    parts = []
    for evidence in _evidence(before, after, examples, facts, labelled):
        signed = _signed(shifts, evidence)
        found = pl.concat_list(
            pl.when(pl.any_horizontal(*rule.directions) & pl.col("counted") & pl.col(_column(rule))).then(
                pl.lit(str(rule.name))
            )
            for rule in RULES
        ).list.drop_nulls()
        parts.append(signed.with_columns(causes=found).select(shifts.columns))
    return pl.concat(parts)


def base_rates(
    shifts: pl.DataFrame,
    before: pl.DataFrame,
    after: pl.DataFrame,
    examples: pl.DataFrame,
    facts: pl.DataFrame,
    *,
    labelled: bool = True,
    seed: int = 0,
) -> pl.DataFrame:
    """The paper's Table 5 with what each share must be compared with; one row a grader, direction and cause.

    [grader, direction, cause, n_moved, n, share, n_control, base_rate, placebo, placebo_low, placebo_high].
    direction: up (Unknown -> HighlyKnown) or down. cause: a rule's name, explained (any), unexplained (none).
    share: of the moved, null where none moved. base_rate: how often the same holds in the rule's control group
    (`Control`). placebo: the share had as many untrained Unknown facts been the trained ones, the mean of draws.
    Where no trained Unknown fact is known (somebody's adapter, a sham), rules that need them are not listed.
    """
    lines: list[tuple[object, ...]] = []
    for evidence in _evidence(before, after, examples, facts, labelled):
        signed = _signed(shifts, evidence).filter(pl.col("counted"))
        draws = _placebo_draws(signed, evidence, seed)
        for direction in ("up", "down"):
            rules = [rule for rule in RULES if direction in rule.directions]
            rules = [rule for rule in rules if len(evidence.taught) or not rule.needs_examples]
            lines += _lines(signed, evidence, direction, rules, draws)
    columns = ["grader", "direction", "cause", "n_moved", "n", "share", "n_control", "base_rate"]
    floats = ["share", "base_rate", "placebo", "placebo_low", "placebo_high"]
    return pl.DataFrame(
        lines, schema=[*columns, *floats[2:]], orient="row", schema_overrides=dict.fromkeys(floats, pl.Float64)
    )


def figures(rates: pl.DataFrame) -> list[Figure]:
    """`base_rates` as figures: up_target, up_target_base_rate, up_target_placebo, ..., down_unexplained.

    Intervals: Wilson's; of a placebo the middle 95% of its draws.
    """
    found = []
    for line in rates.iter_rows(named=True):
        name = f"{line['direction']}_{line['cause']}"
        if line["n_moved"]:
            found.append(Figure(name, line["grader"], *stats.wilson(line["n"], line["n_moved"])))
        if line["n_control"]:
            n_held = round(line["base_rate"] * line["n_control"])
            found.append(Figure(f"{name}_base_rate", line["grader"], *stats.wilson(n_held, line["n_control"])))
        if line["placebo"] is not None:
            interval = (line["placebo_low"], line["placebo_high"])
            found.append(Figure(f"{name}_placebo", line["grader"], line["placebo"], *interval, line["n_moved"]))
    return found


def _evidence(
    before: pl.DataFrame, after: pl.DataFrame, examples: pl.DataFrame, facts: pl.DataFrame, labelled: bool
) -> Iterator[Evidence]:
    for grader in GRADERS:
        yield gather(grader, before, after, examples, facts, labelled=labelled)


def _column(rule: CauseRule) -> str:
    return f"cause:{rule.name}"


def _held(frame: pl.DataFrame, evidence: Evidence, rules: Sequence[CauseRule]) -> pl.DataFrame:
    """A column for each rule: does it hold for the fact?"""
    return frame.with_columns(
        pl.col("fact_id").is_in(rule.holds(evidence).to_list()).alias(_column(rule)) for rule in rules
    )


def _signed(shifts: pl.DataFrame, evidence: Evidence) -> pl.DataFrame:
    """One grader's shifts with a column for each cause, up, down, counted, and new_wrong_answer."""
    mine = shifts.filter(pl.col("grader") == evidence.grader)
    asked = set(evidence.was["fact_id"]) & set(evidence.now["fact_id"]) & set(evidence.facts["fact_id"])
    if not asked >= set(mine["fact_id"]):
        raise FactsError("some facts of the shifts have no greedy answers before or after, or are no known facts")
    low = [str(Category.UNKNOWN), str(Category.WEAKLY_KNOWN)]
    refused = evidence.after.group_by("fact_id").agg(refuses=pl.col(f"refused_{evidence.grader}").mean() >= 0.5)
    answers = evidence.was.select("fact_id", old=pl.coalesce("answer", "text")).join(
        evidence.now.select("fact_id", new=pl.coalesce("answer", "text")).join(refused, on="fact_id"), on="fact_id"
    )
    high = str(Category.HIGHLY_KNOWN)
    signed = mine.join(answers, on="fact_id", how="left", maintain_order="left").with_columns(
        up=pl.col("before").is_in(low) & (pl.col("after") == high),
        down=(pl.col("before") == high) & pl.col("after").is_in(low),
        counted=~pl.col("trained") | pl.lit(COUNT_TRAINED[evidence.grader]),
        new_wrong_answer=pl.col("before").is_in(low)
        & pl.col("after").is_in(low)
        & pl.col("old").ne_missing(pl.col("new"))
        & ~pl.col("refuses"),
    )
    return _held(signed, evidence, RULES)


def _lines(
    signed: pl.DataFrame,
    evidence: Evidence,
    direction: Direction,
    rules: Sequence[CauseRule],
    draws: Sequence[pl.DataFrame],
) -> Iterator[tuple[object, ...]]:
    """One line a cause of this direction, then explained and unexplained."""
    moved = signed.filter(pl.col(direction))
    any_of = pl.any_horizontal(*(_column(rule) for rule in rules))
    listed = [(str(rule.name), pl.col(_column(rule)), rule.needs_examples, rule.control) for rule in rules]
    draws = draws if any(rule.needs_examples for rule in rules) else ()
    rest = Control.NEW_WRONG_ANSWER
    listed += [("explained", any_of, True, rest), ("unexplained", ~any_of, True, rest)]
    for name, held, compared, control in listed:
        there = moved.select(held.alias("held"))["held"]
        apart = _control(signed, direction, control).select(held.alias("held"))["held"]
        placebo = _placebo(draws, direction, held) if compared else None
        counts = (len(moved), int(there.sum()), there.mean(), len(apart), apart.mean())
        yield (evidence.grader, direction, name, *counts, *(placebo or (None, None, None)))


def _control(signed: pl.DataFrame, direction: Direction, control: Control) -> pl.DataFrame:
    if control is Control.NEW_WRONG_ANSWER:
        return signed.filter(pl.col("new_wrong_answer"))
    start = Category.UNKNOWN if direction == "up" else Category.HIGHLY_KNOWN
    return signed.filter(pl.col("before") == str(start), pl.col("after") == str(start))


def _placebo(draws: Sequence[pl.DataFrame], direction: Direction, held: pl.Expr) -> Placebo | None:
    """None where nothing was drawn or nothing moved."""
    found = [draw.filter(pl.col(direction)).select(held.alias("held"))["held"].mean() for draw in draws]
    shares = np.array([share for share in found if share is not None], dtype=np.float64)
    if not len(shares):
        return None
    low, high = np.quantile(shares, [0.025, 0.975])
    return Placebo(float(shares.mean()), float(low), float(high))


def _placebo_draws(signed: pl.DataFrame, evidence: Evidence, seed: int) -> list[pl.DataFrame]:
    """The moved facts with their causes, had other facts been trained; empty where there are too few others.

    As many facts are drawn as were trained, from the untrained Unknown facts that did not become HighlyKnown: so no
    moved fact is its own target. Trained and drawn facts come from one pool; under a training that does nothing the
    share with the trained ones is one more draw, whatever the pool's frequent answers and domains are.
    """
    low = [str(Category.UNKNOWN), str(Category.WEAKLY_KNOWN)]
    free = signed.filter(~pl.col("trained"), ~pl.col("up"), pl.col("before").is_in(low))["fact_id"].sort()
    n = len(evidence.taught)
    if n == 0 or n > len(free):
        return []
    moved = signed.filter(pl.col("up") | pl.col("down"))
    near = evidence.now.filter(pl.col("fact_id").is_in(moved["fact_id"].to_list()))
    rules = [rule for rule in RULES if rule.needs_examples]
    draws = []
    for i in range(N_PLACEBOS):
        drawn = free.gather(stream(seed, "placebo", i).choice(len(free), n, replace=False))
        other = evidence.facts.filter(pl.col("fact_id").is_in(drawn.to_list()))
        draws.append(_held(moved, replace(evidence, taught=other, now=near), rules))
    return draws
