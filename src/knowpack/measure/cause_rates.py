"""Whether causes mean anything: how often each holds of the facts that moved, of those that did not, and by chance.

Shift table + responses before and after + examples + facts -> shares, base rates and placebos of every cause, and the
unexplained rest (Pletenev et al. 2025, Table 5). The rules are in causes.py.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import polars as pl

from knowpack.measure import causes, stats
from knowpack.measure.causes import column, each_grader, signed_shifts, with_columns_of
from knowpack.measure.evidence import CauseRule, Control, Direction, Evidence
from knowpack.records import Category, Figure, rows, table
from knowpack.seeds import stream

N_PLACEBOS = 20  # draws of as many untrained facts


@dataclass(frozen=True, slots=True)
class CauseRate:
    """How often a cause holds of the facts that moved one way, and what that must be compared with."""

    grader: str
    direction: str
    """up (Unknown -> HighlyKnown) or down."""
    cause: str
    """A rule's name, explained (any), unexplained (none)."""
    n_moved: int
    n: int
    """Moved facts of which the cause holds."""
    share: float | None
    """n / n_moved; None = none moved."""
    n_control: int
    """Facts in the rule's control group (`Control`)."""
    base_rate: float | None
    """Share of those of which the same holds."""
    placebo: float | None
    """The share had as many untrained Unknown facts been the trained ones, the mean of draws."""
    placebo_low: float | None
    placebo_high: float | None


class Placebo(NamedTuple):
    """Shares of the moved facts, had other facts been trained: one a draw."""

    mean: float
    low: float
    """2.5% of the draws lie below."""
    high: float


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
    """Table of CauseRate: the paper's Table 5 with what each share must be compared with.

    Where no trained Unknown fact is known (somebody's adapter, a sham), rules that need them are not listed.
    """
    rates: list[CauseRate] = []
    for evidence in each_grader(before, after, examples, facts, labelled):
        signed = signed_shifts(shifts, evidence).filter(pl.col("counted"))
        draws = _placebo_draws(signed, evidence, seed)
        for direction in ("up", "down"):
            rules = [rule for rule in causes.RULES if direction in rule.directions]
            rules = [rule for rule in rules if len(evidence.new_facts) or not rule.needs_examples]
            rates += _rates(signed, evidence, direction, rules, draws)
    return table(rates, CauseRate)


def figures(rates: pl.DataFrame) -> list[Figure]:
    """`base_rates` as figures: up_target, up_target_base_rate, up_target_placebo, ..., down_unexplained.

    Intervals: Wilson's; of a placebo the middle 95% of its draws.
    """
    result = []
    for one in rows(rates, CauseRate):
        name = f"{one.direction}_{one.cause}"
        if one.n_moved:
            result.append(Figure(name, one.grader, *stats.wilson(one.n, one.n_moved)))
        if one.base_rate is not None:
            n_held = round(one.base_rate * one.n_control)
            result.append(Figure(f"{name}_base_rate", one.grader, *stats.wilson(n_held, one.n_control)))
        if one.placebo is not None:
            interval = (one.placebo_low, one.placebo_high)
            result.append(Figure(f"{name}_placebo", one.grader, one.placebo, *interval, one.n_moved))
    return result


def _rates(
    signed: pl.DataFrame,
    evidence: Evidence,
    direction: Direction,
    rules: Sequence[CauseRule],
    draws: Sequence[pl.DataFrame],
) -> Iterator[CauseRate]:
    """One a cause of this direction, then explained and unexplained."""
    moved = signed.filter(pl.col(direction))
    any_of = pl.any_horizontal(*(column(rule) for rule in rules))
    listed = [(str(rule.name), pl.col(column(rule)), rule.needs_examples, rule.control) for rule in rules]
    draws = draws if any(rule.needs_examples for rule in rules) else ()
    rest = Control.NEW_WRONG_ANSWER
    listed += [("explained", any_of, True, rest), ("unexplained", ~any_of, True, rest)]
    for name, has_cause, compared, control in listed:
        with_cause = _holds(has_cause, moved)
        control_with_cause = _holds(has_cause, _control(signed, direction, control))
        placebo = _placebo(draws, direction, has_cause) if compared else None
        yield CauseRate(
            grader=evidence.grader,
            direction=direction,
            cause=name,
            n_moved=len(moved),
            n=int(with_cause.sum()),
            share=_share(with_cause),
            n_control=len(control_with_cause),
            base_rate=_share(control_with_cause),
            placebo=placebo.mean if placebo else None,
            placebo_low=placebo.low if placebo else None,
            placebo_high=placebo.high if placebo else None,
        )


def _holds(has_cause: pl.Expr, facts: pl.DataFrame) -> pl.Series:
    return facts.select(has_cause.alias("holds"))["holds"]


def _share(holds: pl.Series) -> float | None:
    return int(holds.sum()) / len(holds) if len(holds) else None


def _control(signed: pl.DataFrame, direction: Direction, control: Control) -> pl.DataFrame:
    if control is Control.NEW_WRONG_ANSWER:
        return signed.filter(pl.col("new_wrong_answer"))
    start = Category.UNKNOWN if direction == "up" else Category.HIGHLY_KNOWN
    return signed.filter(pl.col("before") == str(start), pl.col("after") == str(start))


def _placebo(draws: Sequence[pl.DataFrame], direction: Direction, has_cause: pl.Expr) -> Placebo | None:
    """None where nothing was drawn or nothing moved."""
    means = [_share(_holds(has_cause, draw.filter(pl.col(direction)))) for draw in draws]
    shares = np.array([share for share in means if share is not None], dtype=np.float64)
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
    n = len(evidence.new_facts)
    if n == 0 or n > len(free):
        return []
    moved = signed.filter(pl.col("up") | pl.col("down"))
    near = evidence.now.filter(pl.col("fact_id").is_in(moved["fact_id"].to_list()))
    rules = [rule for rule in causes.RULES if rule.needs_examples]
    draws = []
    for i in range(N_PLACEBOS):
        drawn = free.gather(stream(seed, "placebo", i).choice(len(free), n, replace=False))
        other = evidence.facts.filter(pl.col("fact_id").is_in(drawn.to_list()))
        draws.append(with_columns_of(moved, replace(evidence, new_facts=other, now=near), rules))
    return draws
