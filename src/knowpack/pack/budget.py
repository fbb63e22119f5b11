"""The harm budget: limits on what packing may cost, and what was measured against them.

"known_lost=0.01" -> Budget; figures of a run -> `Harm`, the excess over the budget, one line that says it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import polars as pl

from knowpack.errors import ConfigError
from knowpack.records import Category


@dataclass(frozen=True, slots=True)
class Budget:
    """How much may be lost, as shares 0..1; None = no limit."""

    known_lost: float | None = 0.03
    """Of the untrained facts HighlyKnown to the base: those no longer so, minus the noise floor."""
    refusals_lost: float | None = 0.05
    """Of the untrained facts that the base refuses: those no longer refused."""
    benchmark_drop: float | None = 0.01
    """The largest fall of a benchmark's metric."""


@dataclass(frozen=True, slots=True)
class Harm:
    """What packing cost; None = not measured, or nothing to lose."""

    reliability: float
    """Share of right answers to the packed facts, 0..1."""
    known_lost: float | None
    refusals_lost: float | None
    benchmark_drop: float | None = None


def parse(settings: Sequence[str]) -> Budget:
    """`name=share` settings over the defaults; `name=none` lifts a limit. Raises ConfigError in one line."""
    names = [field.name for field in fields(Budget)]
    limits: dict[str, float | None] = {}
    for setting in settings:
        name, sign, text = setting.partition("=")
        if name not in names or not sign:
            raise ConfigError(f"got --budget {setting!r}, expected {', '.join(names)} = a share, or none")
        try:
            limits[name] = None if text == "none" else float(text)
        except ValueError:
            raise ConfigError(f"--budget {setting!r}: {text!r} is no number; expected a share from 0 to 1") from None
        value = limits[name]
        if value is not None and not 0 <= value <= 1:
            raise ConfigError(f"--budget {setting!r} is out of range; expected a share from 0 to 1 (0.01 is 1%)")
    return Budget(**{**{field.name: getattr(Budget(), field.name) for field in fields(Budget)}, **limits})


def excess(harm: Harm, budget: Budget, reliability: float) -> Mapping[str, float]:
    """How far each limit is overrun, and by how much the reliability falls short; empty = met."""
    over = {"reliability": reliability - harm.reliability}
    for name in ("known_lost", "refusals_lost", "benchmark_drop"):
        limit, value = getattr(budget, name), getattr(harm, name)
        if limit is not None and value is not None:
            over[name] = value - limit
    return {name: value for name, value in over.items() if value > 1e-9}


def known_lost(before: pl.DataFrame, after: pl.DataFrame, skip: set[str]) -> float | None:
    """Share of the facts HighlyKnown before that are not so after; default grader, without the facts in `skip`."""
    sure = _default(before, skip).filter(pl.col("category") == str(Category.HIGHLY_KNOWN)).select("fact_id")
    both = sure.join(_default(after, skip), on="fact_id")
    return None if both.is_empty() else _share(both["category"] != str(Category.HIGHLY_KNOWN))


def refusals_lost(before: pl.DataFrame, after: pl.DataFrame, skip: set[str]) -> float | None:
    """Share of the facts refused before (by at least half of the prompts) that are not so after."""
    refused = _default(before, skip).filter(pl.col("p_refused") >= 0.5).select("fact_id")
    both = refused.join(_default(after, skip), on="fact_id")
    return None if both.is_empty() else _share(both["p_refused"] < 0.5)


def benchmark_drop(before: pl.DataFrame, after: pl.DataFrame) -> float | None:
    """Score tables -> the largest fall of any task's metric, 0 where all rose; None where none is in both."""
    both = before.join(after, on=["task", "metric"], suffix="_after")
    falls = [float(b) - float(a) for b, a in both.select("value", "value_after").iter_rows()]
    return max(0.0, *falls) if falls else None


def _default(knowledge: pl.DataFrame, skip: set[str]) -> pl.DataFrame:
    return knowledge.filter((pl.col("grader") == "default") & ~pl.col("fact_id").is_in(list(skip)))


def _share(values: pl.Series) -> float:
    return float(values.cast(pl.Float64).sum()) / len(values)
