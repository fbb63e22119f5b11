"""Whether causes mean anything: how often each holds of the facts that moved, of those that did not, and by chance.

Shift table + responses before and after + examples + facts -> shares, base rates and placebos of every cause, and the
unexplained rest (Pletenev et al. 2025, Table 5). The rules are in causes.py.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import polars as pl

from knowpack.measure import causes, stats
from knowpack.measure.causes import column, each_grader, signed_shifts, with_columns_of
from knowpack.measure.evidence import CauseRule, Control, Direction, Evidence
from knowpack.records import Category, Figure
from knowpack.seeds import stream

N_PLACEBOS = 20  # draws of as many untrained facts


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
    """The paper's Table 5 with what each share must be compared with; one row a grader, direction and cause.

    [grader, direction, cause, n_moved, n, share, n_control, base_rate, placebo, placebo_low, placebo_high].
    direction: up (Unknown -> HighlyKnown) or down. cause: a rule's name, explained (any), unexplained (none).
    share: of the moved, null where none moved. base_rate: how often the same holds in the rule's control group
    (`Control`). placebo: the share had as many untrained Unknown facts been the trained ones, the mean of draws.
    Where no trained Unknown fact is known (somebody's adapter, a sham), rules that need them are not listed.
    """
    lines: list[tuple[object, ...]] = []
    for evidence in each_grader(before, after, examples, facts, labelled):
        signed = signed_shifts(shifts, evidence).filter(pl.col("counted"))
        draws = _placebo_draws(signed, evidence, seed)
        for direction in ("up", "down"):
            rules = [rule for rule in causes.RULES if direction in rule.directions]
            rules = [rule for rule in rules if len(evidence.new_facts) or not rule.needs_examples]
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
    result = []
    for line in rates.iter_rows(named=True):
        name = f"{line['direction']}_{line['cause']}"
        if line["n_moved"]:
            result.append(Figure(name, line["grader"], *stats.wilson(line["n"], line["n_moved"])))
        if line["n_control"]:
            n_held = round(line["base_rate"] * line["n_control"])
            result.append(Figure(f"{name}_base_rate", line["grader"], *stats.wilson(n_held, line["n_control"])))
        if line["placebo"] is not None:
            interval = (line["placebo_low"], line["placebo_high"])
            result.append(Figure(f"{name}_placebo", line["grader"], line["placebo"], *interval, line["n_moved"]))
    return result


def _lines(
    signed: pl.DataFrame,
    evidence: Evidence,
    direction: Direction,
    rules: Sequence[CauseRule],
    draws: Sequence[pl.DataFrame],
) -> Iterator[tuple[object, ...]]:
    """One line a cause of this direction, then explained and unexplained."""
    moved = signed.filter(pl.col(direction))
    any_of = pl.any_horizontal(*(column(rule) for rule in rules))
    listed = [(str(rule.name), pl.col(column(rule)), rule.needs_examples, rule.control) for rule in rules]
    draws = draws if any(rule.needs_examples for rule in rules) else ()
    rest = Control.NEW_WRONG_ANSWER
    listed += [("explained", any_of, True, rest), ("unexplained", ~any_of, True, rest)]
    for name, has_cause, compared, control in listed:
        with_cause = moved.select(has_cause.alias("held"))["held"]
        control_with_cause = _control(signed, direction, control).select(has_cause.alias("held"))["held"]
        placebo = _placebo(draws, direction, has_cause) if compared else None
        counts = (
            len(moved),
            int(with_cause.sum()),
            with_cause.mean(),
            len(control_with_cause),
            control_with_cause.mean(),
        )
        yield (evidence.grader, direction, name, *counts, *(placebo or (None, None, None)))


def _control(signed: pl.DataFrame, direction: Direction, control: Control) -> pl.DataFrame:
    if control is Control.NEW_WRONG_ANSWER:
        return signed.filter(pl.col("new_wrong_answer"))
    start = Category.UNKNOWN if direction == "up" else Category.HIGHLY_KNOWN
    return signed.filter(pl.col("before") == str(start), pl.col("after") == str(start))


def _placebo(draws: Sequence[pl.DataFrame], direction: Direction, has_cause: pl.Expr) -> Placebo | None:
    """None where nothing was drawn or nothing moved."""
    means = [draw.filter(pl.col(direction)).select(has_cause.alias("held"))["held"].mean() for draw in draws]
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
