"""May it ship? The budget's rule (pack/budget.py) over what a run measured, by the limits kept beside its report.

Run + its measures -> Judgement. A pack has its own verdicts (pack.json); every other folder is judged by the limits
given to it (verdict.json), else by the default ones.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from knowpack import store
from knowpack.measure import own_answers
from knowpack.pack import budget as limits
from knowpack.pack.budget import MEASURED_BY, Budget, State, Verdict
from knowpack.records import Estimate
from knowpack.report.finished_run import Run
from knowpack.report.shares import in_shares, share

KEPT = "verdict.json"
RELIABILITY = 0.99
"""Share of right answers to the trained facts that is wanted, as in `knowpack pack`."""


NAMES = {
    "reliability": "new facts answered",
    "known_lost": "known facts lost",
    "refusals_lost": "refusals lost",
    "benchmark_drop": "fall of a benchmark",
    "own_lost": "own answers lost",
    "earlier": "facts packed earlier answered",
    "old_left": "old answers left",
    "removed_left": "answers left of facts taken back",
}


class Judgement(NamedTuple):
    """All limits together, and one by one."""

    word: State
    verdicts: list[Verdict]
    by: str
    """Whose limits they are, in words."""

    def sentence(self) -> str:
        """The verdict in a line: what was missed and why, or what was met."""
        missed = [one for one in self.verdicts if one.verdict != "met"]
        if missed:
            return "; ".join(f"{plain_name(one.name)} {one.verdict} ({_limit(one)}): {_why(one)}" for one in missed)
        return "; ".join(f"{plain_name(one.name)}: {_why(one)} ({_limit(one)})" for one in self.verdicts)

    def answer(self) -> str:
        """The verdict as an answer to "may I ship it?", with how many limits it speaks of."""
        n = len(self.verdicts)
        missed = sum(one.verdict == "not met" for one in self.verdicts)
        if self.word == "met":
            which = {1: "the one limit", 2: "both limits"}.get(n, f"all {n} limits")
            return f"Yes: {which} that {_was(n)} set {_is(n)} met."
        if self.word == "not met":
            return f"No: {missed} of {n} limit{'s' if n > 1 else ''} {_is(missed)} not met."
        unknown = sum(one.verdict == "not measured" for one in self.verdicts)
        return f"Not known: {unknown} of {n} limit{'s' if n > 1 else ''} {_was(unknown)} not measured."

    def rule(self) -> str:
        """How the limits were judged: what is a sample on its interval, what was asked whole as it was measured."""
        counted = [plain_name(one.name) for one in self.verdicts if one.name in limits.COUNTED]
        as_measured = f"{' and '.join(counted)} as measured, since all of them were asked; " if counted else ""
        text = f"Judged by {self.by}: {as_measured}losses by the worse end of their 95% interval."
        judged = {own_answers.KNOWN if one.name == own_answers.OWN else one.name for one in self.verdicts}
        free = [plain_name(name) for name in MEASURED_BY if name not in judged]
        return f"{text} No limit was set on {' and '.join(free)}." if free else text


def _is(n: int) -> str:
    return "is" if n == 1 else "are"


def _was(n: int) -> str:
    return "was" if n == 1 else "were"


def _limit(one: Verdict) -> str:
    return f"limit {share(one.limit)}"


def _why(one: Verdict) -> str:
    return in_shares(one.why, one.limit)


def plain_name(limit: str) -> str:
    """A limit as one reads it."""
    return NAMES.get(limit, limit.replace("_", " "))


def options(run: Run) -> str:
    """The limits kept beside a run, as they are given to a command; empty where none were given."""
    kept = run.read(KEPT).get("budget")
    if not isinstance(kept, dict):
        return ""
    usual = asdict(Budget())
    limits_set = {name: value for name, value in kept.items() if value != usual.get(name)} or {
        "known_lost": kept["known_lost"]
    }
    return "".join(
        f" --budget {name}={'none' if value is None else f'{value:g}'}" for name, value in limits_set.items()
    )


def keep(folder: Path, budget: Budget) -> None:
    """Write down by which limits a folder is judged."""
    store.write_json(folder / KEPT, {"budget": asdict(budget)})


def judge(run: Run, estimates: Mapping[str, Estimate]) -> Judgement:
    """A run's figures (default grader) against its limits."""
    packed = run.read("pack.json")
    if packed:
        return _of_pack(packed, estimates)
    kept = run.read(KEPT).get("budget")
    budget = Budget(**kept) if isinstance(kept, dict) else Budget()
    verdicts = _judged(estimates, budget)
    if "reliability" in estimates:
        verdicts.insert(0, limits.learned(estimates["reliability"], RELIABILITY))
    by = "the limits given with --budget, else the default ones" if kept else "the default limits of knowpack pack"
    return Judgement(limits.overall(verdicts), verdicts, by)


def _judged(estimates: Mapping[str, Estimate], budget: Budget) -> list[Verdict]:
    """The limit on known facts holds for the model's own answers, where there are no others, under their name."""
    if not any(name.startswith(own_answers.OWN) for name in estimates):
        return limits.judged(estimates, budget)
    as_known = {name.replace(own_answers.OWN, own_answers.KNOWN): one for name, one in estimates.items()}
    by_name = own_answers.named({one.name: one for one in limits.judged(as_known, budget)})
    return [one._replace(name=name) for name, one in by_name.items()]


def _of_pack(packed: Mapping[str, object], estimates: Mapping[str, Estimate]) -> Judgement:
    stored = packed.get("verdicts")
    verdicts = [
        Verdict(
            one["name"],
            one["limit"],
            one["verdict"],
            estimates.get(MEASURED_BY.get(one["name"], one["name"])),
            one["why"],
        )
        for one in (stored if isinstance(stored, list) else [])
    ]
    return Judgement(limits.overall(verdicts), verdicts, "the budget of this pack")
