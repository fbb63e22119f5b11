"""Pack, from facts to an adapter worth shipping; the file of this room to read first.

    changes -> base probe -> updates -> plan -> [train -> validate] until one fits the budget -> report of the best

`Request` -> the folder `out`: a run's folder (adapter, examples, responses, shifts, figures) with pack.json (budget,
what was measured, the frontier of the attempts) and attempts/. Attempts are judged on prompts and facts that the
final report does not use.
"""

import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import polars as pl

from knowpack import run, run_replay, store
from knowpack.base import bench_folder, measure_base, open_base
from knowpack.bench.compare import compare
from knowpack.decode.transformers_asker import weights_of
from knowpack.errors import BudgetError, FactsError
from knowpack.further.asking import ask_base
from knowpack.manifest import begin, owned, stage, start_from
from knowpack.measure.harm import benchmark_drop
from knowpack.measure.own_answers import named
from knowpack.pack import budget as limits
from knowpack.pack import continuing, plan
from knowpack.pack.attempts import attempts
from knowpack.pack.budget import Harm, Verdict
from knowpack.pack.changes import Changes, read_changes
from knowpack.pack.earlier_adapter import TAKEN_BACK_FILE
from knowpack.pack.facts_to_measure import to_measure
from knowpack.pack.problems import KNOWN, Problem, find_problems
from knowpack.pack.request import NONE, Request, command_of, config_of, identity, known_of
from knowpack.pack.self_written import known_facts
from knowpack.pack.trial import Attempt, Trial, find_updates, open_trial
from knowpack.pack.upkeep import Upkeep, ask_removed, measure_upkeep
from knowpack.probe.askers import Asker
from knowpack.progress import SILENT, Progress
from knowpack.records import Estimate, Example, Figure, Kind
from knowpack.store import read_table, write_json, write_table
from knowpack.train import card


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it."""

    folder: Path
    harm: Harm
    """Of the adapter in `folder`, on the report's facts and prompts."""
    verdicts: list[Verdict]
    """On the reliability and every limit of the budget."""
    frontier: list[dict[str, float | int | None]]
    """Every attempt as it was validated."""
    problems: list[Problem]
    upkeep: Upkeep
    """New facts, updates, those packed earlier and taken back: counts, and what was measured of them."""


def pack(request: Request, progress: Progress = SILENT, *, asker: Asker | None = None) -> Outcome:
    """Facts -> adapter and report. asker: the request's model, where it is loaded already.

    Raises BudgetError (exit code 3), all files written, where no attempt fits.
    """
    started = time.perf_counter()
    changes = read_changes(request)
    # a wrong base or shape is said before anything is asked
    asker = continuing.open_model(request, changes, asker, progress)
    known, asker = known_facts(request, asker, progress)
    key = identity(request, changes.new, known, _begun_as(changes))
    with owned(request.out, "knowpack pack", key, progress, started):
        stakes, asker = to_measure(request, known, asker, progress)
        with progress.stage("comparing with the facts to keep", None):
            split = plan.parts(known, changes.touched, request.seed, request.n_report, request.n_validation, stakes)
        if not (request.out / "facts.parquet").is_file():
            write_table(request.out / "facts.parquet", pl.concat([changes.packed, split.report]))
        if changes.removed.height and not (request.out / TAKEN_BACK_FILE).is_file():
            write_table(request.out / TAKEN_BACK_FILE, changes.removed)
        config = config_of(request, changes.packed)
        base = replace(open_base(config, progress, asker=asker), looks_back=changes.onto is not None)
        weights_of(base.asker, "training")  # said before anything is asked
        begin(request.out, config, base, {"again": command_of(request)})
        trial = open_trial(base, config, changes, split, request, progress)
        trial = _known_apart(replace(trial, updates=find_updates(trial, progress)))  # nothing to pack is said here
        measure_base(base, config, progress)
        frontier = attempts(trial, progress)
        best = best_of(frontier, request)
        harm, kept = _report(trial, best, progress)
        base.check_unchanged()
        judged = limits.verdicts(harm, request.budget, request.reliability)
        lines = _lines(frontier, harm)
        if known_of(request) == NONE:  # what is kept of its own answers was never shown to be known
            judged = [one._replace(name=name) for name, one in named({one.name: one for one in judged}).items()]
            lines = [named(line) for line in lines]
        outcome = Outcome(request.out, harm, judged, lines, trial.changes.problems, kept)
        _write(outcome, request, trial, best)
    _raise_if_missed(outcome)
    return outcome


def _begun_as(changes: Changes) -> dict[str, str]:
    """The adapter that this one begins as, in the request's own words; nothing where there is none."""
    if changes.onto is None:
        return {}
    return {
        "adapter to go on from": changes.onto.key,
        "facts in it": store.hash_table(changes.onto.facts),
        "facts taken back": store.hash_table(changes.removed),
    }


def _known_apart(trial: Trial) -> Trial:
    """With the new facts that the base answers already counted apart: all but those that take another answer's place
    in the adapter. They are not packed, but trained along: nobody's replay would hold them, and an adapter full of
    their neighbours' answers loses them first. Raises FactsError where nothing is left to do."""
    changes = trial.changes
    needed = changes.new.filter(pl.col("fact_id").is_in(list(changes.replaced)))["fact_id"].to_list()
    problems = find_problems(changes.new, trial.before)
    sure = [one.fact_id for one in problems if one.check == KNOWN and one.fact_id not in needed]
    is_known = pl.col("fact_id").is_in(sure)
    new, known = changes.new.filter(~is_known), changes.new.filter(is_known)
    if new.is_empty() and not changes.n_removed:
        many = changes.new.height or len(changes.problems)
        who = "base answers" if changes.new.height else "adapter holds"
        raise FactsError(f"the {who} all {many} facts already, under every prompt; nothing to pack")
    slim = replace(changes, new=new, known=known)
    return replace(trial, changes=slim, facts=trial.facts.filter(~is_known), packed=trial.packed - set(sure))


def _report(trial: Trial, best: Attempt, progress: Progress) -> tuple[Harm, Upkeep]:
    """The best attempt's adapter in the run's place, probed as the report asks, and its harm."""
    out, base = trial.request.out, trial.base
    start_from(out, best.folder.name)
    if not (out / "examples.parquet").is_file():
        examples = read_table(best.folder / "examples.parquet", Example)
        run_replay.keep_replayed(out, trial.split.replay, examples)
        write_table(out / "examples.parquet", examples)
    with stage(out, "adapter", "adapter") as path:
        if path:
            with store.atomic(path, replace=True) as beside:
                shutil.copytree(best.folder / "adapter", beside, dirs_exist_ok=True)
    ask_base(out, trial.config, base, progress)
    ask_removed(trial, base.asker, "base", progress)
    with base.tuned(out / "adapter") as tuned:
        ask_removed(trial, tuned, "tuned", progress)
        run.measure(out, trial.config, base, tuned, progress)
    figures = [Figure(**figure) for figure in _dicts(store.read_json(out / "figures.json"))]  # type: ignore[arg-type]
    estimates = {figure.name: figure.estimate for figure in figures if figure.grader == "default"}
    upkeep = measure_upkeep(trial)
    harm = Harm(
        reliability=estimates["reliability"],
        known_lost_net=estimates.get("known_lost_net", estimates.get("own_lost_net")),
        refusals_lost_net=estimates.get("refusals_lost_net"),
        benchmark_drop=_drop(trial),
        earlier=upkeep.measured.get("earlier_right"),
        old_left=upkeep.measured.get("updates_old_left"),
        removed_left=upkeep.measured.get("removed_left"),
    )
    return harm, upkeep


def _drop(trial: Trial) -> Estimate | None:
    """The largest fall of the benchmarks, item by item; None where none was asked."""
    if not (trial.request.out / "scores.parquet").is_file():
        return None
    return benchmark_drop(compare(bench_folder(trial.base, trial.config), trial.request.out / "bench"))


def _write(outcome: Outcome, request: Request, trial: Trial, best: Attempt) -> None:
    """pack.json, and the card with what was measured."""
    new_examples = read_table(best.folder / "examples.parquet", Example).filter(pl.col("kind") != str(Kind.REPLAY))
    figures, harm = outcome.harm.estimates, outcome.harm.as_json()
    if known_of(request) == NONE:
        figures, harm = named(figures), named(harm)
    measured = {name: card.text(estimate) for name, estimate in figures.items() if estimate is not None}
    packed, onto = trial.changes.packed, trial.changes.onto
    measured |= {"packed facts": str(packed.height), "facts of the report": str(trial.split.report.height)}
    measured |= {} if onto is None else {"went on from the adapter": onto.key}
    base, again = trial.base.asker, command_of(request)
    out = outcome.folder / "adapter"
    card.write(out, base.name, base.identity.weights, new_examples, best.config, request.seed, measured, again)
    write_json(
        outcome.folder / "pack.json",
        {
            "budget": asdict(request.budget) | {"reliability": request.reliability},
            "facts to keep": "self-written" if known_of(request) == NONE else known_of(request),
            "measured": harm,
            "met": all(one.verdict == "met" for one in outcome.verdicts),
            "verdicts": [one.as_json() for one in outcome.verdicts],
            "recipe": best.config.model_dump(mode="json"),
            "frontier": outcome.frontier,
            "left_out": [problem._asdict() for problem in outcome.problems],
            "n_screen": request.n_screen,
            "known_already": trial.changes.known["question"].to_list(),
            "n_packed": packed.height,
            "counts": outcome.upkeep.counts,
            "current": {name: one._asdict() for name, one in outcome.upkeep.measured.items()},
            "updates": [one._asdict() for one in trial.updates],
        },
    )
    store.record(outcome.folder, "pack.json")


def _raise_if_missed(outcome: Outcome) -> None:
    unmet = [one for one in outcome.verdicts if one.verdict != "met"]
    if unmet:
        missed = "; ".join(f"{one.name} (limit {one.limit:g}) {one.verdict}: {one.why}" for one in unmet)
        n = len(outcome.frontier)
        tried = "one attempt" if n == 1 else f"best of {n} attempts"
        raise BudgetError(
            f"the budget is not met: {missed}. The {tried} is in {outcome.folder}, "
            "the frontier in its pack.json; try --effort thorough, fewer facts, a larger --known or a wider --budget"
        )


def best_of(frontier: Sequence[Attempt], request: Request) -> Attempt:
    """The attempt that overran the budget by the least, summed over its limits; of equals the first."""

    def over(one: Attempt) -> float:
        return 0.0 if one.harm is None else sum(limits.excess(one.harm, request.budget, request.reliability).values())

    return min(frontier, key=over)


def _lines(frontier: Sequence[Attempt], reported: Harm) -> list[dict[str, float | int | None]]:
    """Each attempt's figures; those of the report where it was the only one, and not validated."""
    return [
        {
            **_values(one.harm or reported),
            "rank": one.config.rank,
            "lr": one.config.lr,
            "kl_weight": one.config.kl_weight,
        }
        for one in frontier
    ]


def _values(harm: Harm) -> dict[str, float | int | None]:
    return {name: None if one is None else one.value for name, one in harm.estimates.items()}


def _dicts(value: object) -> list[dict[str, object]]:
    assert isinstance(value, list)
    return value
