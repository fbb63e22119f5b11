"""The harm budget: limits on what packing may cost, what was measured, and a verdict on each limit.

"known_lost=0.01" -> `Budget`; figures of measure/harm.py -> `Harm` -> `Verdict`s: met, not met, not measured. A limit
is met where the whole 95% interval is within it: where the loss is shown to be no larger. Too few facts cannot show it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal, NamedTuple

from knowpack.errors import ConfigError
from knowpack.measure.stats import least_shown
from knowpack.records import Estimate

State = Literal["met", "not met", "not measured"]
BENCHMARK_DROP = 0.03
"""The limit where benchmarks are asked: where 4% of 1,000 items flip, as many either way, a fall of .03 is excluded in
98 of 100 cases (tests/pack/test_budget.py)."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How much may be lost, as shares 0..1; None = no limit."""

    known_lost: float | None = 0.05
    """Of the untrained facts HighlyKnown to the base, net of noise (harm.known_lost_net)."""
    refusals_lost: float | None = 0.05
    """Of the refusals to Unknown facts that the base refused, net of noise (harm.refusals_lost_net)."""
    benchmark_drop: float | None = None
    """The largest fall of an asked benchmark, as a share of its metric's range (harm.benchmark_drop)."""


@dataclass(frozen=True, slots=True)
class Harm:
    """What packing cost; None = not measured, or nothing to lose."""

    reliability: Estimate
    """Share of right answers to the packed facts."""
    known_lost_net: Estimate | None = None
    refusals_lost_net: Estimate | None = None
    benchmark_drop: Estimate | None = None
    earlier: Estimate | None = None
    """Share of right answers to the facts that were packed before."""
    old_left: Estimate | None = None
    """Share of answers to updated facts that still give the old answer."""
    removed_left: Estimate | None = None
    """Share of answers to the facts taken back that still give what was taken back."""

    @property
    def estimates(self) -> dict[str, Estimate | None]:
        """By the figure's name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def as_json(self) -> dict[str, object]:
        """Name -> value, low, high, n, ...; null where not measured."""
        return {name: None if one is None else one._asdict() for name, one in self.estimates.items()}

    @classmethod
    def from_json(cls, value: Mapping[str, Mapping[str, object] | None]) -> "Harm":
        """What `as_json` wrote."""
        return cls(**{name: None if one is None else Estimate(**one) for name, one in value.items()})  # type: ignore[arg-type]


MEASURED_BY = {"known_lost": "known_lost_net", "refusals_lost": "refusals_lost_net", "benchmark_drop": "benchmark_drop"}
"""Limit -> the figure that it limits."""
LEFT = ("old_left", "removed_left")
"""Figures whose limit is what the reliability leaves."""
COUNTED = ("reliability", "earlier", *LEFT)
"""Counts over all facts that they speak of, no samples of them: judged as they are, not on an interval."""


class Verdict(NamedTuple):
    """One limit, judged."""

    name: str
    limit: float
    verdict: State
    estimate: Estimate | None
    why: str
    """One line for a person."""

    def as_json(self) -> dict[str, str | float]:
        """Without the estimate, which stands among the figures."""
        return {"name": self.name, "limit": self.limit, "verdict": self.verdict, "why": self.why}


def parse(settings: Sequence[str], *, benchmarks: bool = False) -> Budget:
    """`name=share` settings over the defaults; `name=none` lifts a limit. Raises ConfigError in one line.

    benchmarks: whether any are asked: then they have a limit by default, BENCHMARK_DROP.
    """
    names = [field.name for field in fields(Budget)]
    limits: dict[str, float | None] = {}
    for setting in settings:
        name, sign, text = setting.partition("=")
        if name not in names or not sign:
            raise ConfigError(f"got --budget {setting!r}, expected {', '.join(names)} = a share, or none")
        if name in limits:
            raise ConfigError(f"--budget gives {name} twice; give each limit once")
        try:
            limits[name] = None if text == "none" else float(text)
        except ValueError:
            raise ConfigError(f"--budget {setting!r}: {text!r} is no number; expected a share from 0 to 1") from None
        value = limits[name]
        if value is not None and not 0 <= value <= 1:
            raise ConfigError(f"--budget {setting!r} is out of range; expected a share from 0 to 1 (0.01 is 1%)")
    if benchmarks:
        limits.setdefault("benchmark_drop", BENCHMARK_DROP)
    elif limits.get("benchmark_drop") is not None:
        raise ConfigError("--budget benchmark_drop limits benchmarks, and none is asked: name one with --tasks")
    return replace(Budget(), **limits)


def verdicts(harm: Harm, budget: Budget, reliability: float) -> list[Verdict]:
    """A verdict on the reliability and on every limit that is set."""
    return [learned(harm.reliability, reliability), *current(harm, reliability), *judged(harm.estimates, budget)]


def learned(estimate: Estimate, wanted: float) -> Verdict:
    """Reliability is a count over all trained facts, not a sample of them, and is judged as it is."""
    state: State = "met" if estimate.value >= wanted - 1e-9 else "not met"
    return Verdict(
        "reliability", wanted, state, estimate, f"{estimate.value:.6f} of the answers to {estimate.n} facts right"
    )


def current(harm: Harm, reliability: float) -> list[Verdict]:
    """What was packed before is to hold as the new facts do; what was wrong or taken back may be left as often as a
    new fact may be missed. Counts over all such facts, judged as they are."""
    verdicts = []
    if harm.earlier is not None:
        why = f"{harm.earlier.value:.6f} of {harm.earlier.n} answers"
        verdicts.append(learned(harm.earlier, reliability)._replace(name="earlier", why=why))
    for name in LEFT:
        left = harm.estimates[name]
        if left is not None:
            state: State = "met" if left.value <= 1 - reliability + 1e-9 else "not met"
            verdicts.append(
                Verdict(name, round(1 - reliability, 9), state, left, f"{left.value:.6f} of {left.n} answers")
            )
    return verdicts


def judged(figures: Mapping[str, Estimate | None], budget: Budget) -> list[Verdict]:
    """A verdict on every limit that is set, on the upper end of its figure's interval: the end that hurts.

    figures: by the names of measure/harm.py; what is absent or None was not measured.
    """
    verdicts = []
    for name, figure in MEASURED_BY.items():
        limit = getattr(budget, name)
        if limit is not None:
            verdicts.append(_judged(name, limit, figures.get(figure)))
    return verdicts


def overall(verdicts: Sequence[Verdict]) -> State:
    """One word for all limits: met where all are, not met where one is not, else not measured."""
    states = {one.verdict for one in verdicts}
    if "not met" in states:
        return "not met"
    return "not measured" if "not measured" in states or not states else "met"


def _judged(name: str, limit: float, estimate: Estimate | None) -> Verdict:
    if estimate is None or estimate.high is None:
        why = f"nothing was measured that could be lost; {name}=none lifts the limit"
        return Verdict(name, limit, "not measured", estimate, why)
    if estimate.high <= limit + 1e-9:
        return Verdict(name, limit, "met", estimate, f"{estimate.value:.6f} measured, at most {estimate.high:.6f}")
    why = f"{estimate.value:.6f} measured, may be {estimate.high:.6f}"
    least = least_shown(estimate.n) if estimate.n else 1.0
    if estimate.value <= limit:
        why += f": within the limit, not shown to be; with n = {estimate.n} the smallest loss that can be shown is"
        why += f" {least:.6f}"
    return Verdict(name, limit, "not met", estimate, why)


def excess(harm: Harm, budget: Budget, reliability: float) -> Mapping[str, float]:
    """By how much the measured values (not the ends of their intervals) overrun the limits, and fall short of the
    reliability; empty = none does. It steers the attempts, whose validation facts are too few to show a small loss.
    """
    over = {"reliability": reliability - harm.reliability.value}
    if harm.earlier is not None:
        over["earlier"] = reliability - harm.earlier.value
    for name in LEFT:
        left = harm.estimates[name]
        if left is not None:
            over[name] = left.value - (1 - reliability)
    for name, figure in MEASURED_BY.items():
        limit, estimate = getattr(budget, name), harm.estimates[figure]
        if limit is not None and estimate is not None:
            over[name] = estimate.value - limit
    return {name: value for name, value in over.items() if value > 1e-9}
