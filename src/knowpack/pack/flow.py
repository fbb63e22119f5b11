"""Pack, from facts to an adapter worth shipping; the file of this room to read first.

    screen -> base probe -> plan -> [train -> validate] until one fits the budget -> the report of the best

`Request` -> the folder `out`: a run's folder (adapter, examples, responses, shifts, figures) with pack.json (budget,
what was measured, the frontier of the attempts) and attempts/. Attempts are judged on prompts and facts that the
final report does not use.
"""

import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import polars as pl

from knowpack import run, store
from knowpack.base import bench_folder, measure_base, open_base
from knowpack.bench.compare import compare
from knowpack.decode.transformers_asker import weights_of
from knowpack.errors import BudgetError, FactsError
from knowpack.facts import sources
from knowpack.further.asking import ask_base
from knowpack.manifest import begin, owned, stage, start_from
from knowpack.measure.harm import benchmark_drop
from knowpack.pack import budget as limits
from knowpack.pack import plan
from knowpack.pack.budget import Harm, Verdict
from knowpack.pack.request import HELD_OUT, Request, command_of, config_of, identity, known_of
from knowpack.pack.screen import CONTRADICTS, INDISTINGUISHABLE, KNOWN, MEANING, Problem, screen
from knowpack.pack.trial import Attempt, Trial, attempt, open_trial
from knowpack.probe.askers import Asker
from knowpack.progress import SILENT, Progress
from knowpack.records import Estimate, Example, Figure, Kind
from knowpack.store import read_table, write_json, write_table
from knowpack.train import card, lora, recipes, replay_prompts
from knowpack.train.base_answers import Replay, build
from knowpack.train.contexts import Contexts


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


def pack(request: Request, progress: Progress = SILENT, *, asker: Asker | None = None) -> Outcome:
    """Facts -> adapter and report. asker: the request's model, where it is loaded already.

    Raises BudgetError (exit code 3), all files written, where no attempt fits.
    """
    started = time.perf_counter()
    facts, problems = screened(request)
    known = sources.load(known_of(request))
    with owned(request.out, "knowpack pack", identity(request, facts, known), progress, started):
        split = plan.parts(known, facts, request.seed, request.n_report, request.n_validation)
        if not (request.out / "facts.parquet").is_file():
            write_table(request.out / "facts.parquet", pl.concat([facts, split.report]))
        config = config_of(request, facts)
        base = open_base(config, progress, asker=asker)
        weights_of(base.asker, "training")  # said before anything is asked
        begin(request.out, config, base, {"again": command_of(request)})
        measure_base(base, config, progress)
        trial = open_trial(base, config, facts, split, request, progress)
        problems += screen(facts, trial.before)
        new = facts.filter(~pl.col("fact_id").is_in([p.fact_id for p in problems if p.check == KNOWN]))
        if new.is_empty():
            raise FactsError(f"the base answers all {facts.height} facts already, under every prompt; nothing to pack")
        frontier = _attempts(trial, new, progress)
        best = best_of(frontier, request)
        harm = _report(trial, new, best, progress)
        base.check_unchanged()
        judged = limits.verdicts(harm, request.budget, request.reliability)
        outcome = Outcome(request.out, harm, judged, _lines(frontier), problems)
        _write(outcome, request, trial, new, best)
    _raise_if_missed(outcome)
    return outcome


def screened(request: Request) -> tuple[pl.DataFrame, list[Problem]]:
    """The facts to pack, and what was left out. Raises FactsError that names what cannot be packed."""
    facts = sources.load(request.facts, contradictions="keep")  # screen names them
    problems = screen(facts)
    if problems and not request.drop_problems:
        counts = {check: sum(p.check == check for p in problems) for check in (CONTRADICTS, INDISTINGUISHABLE)}
        told = "; ".join(f"{n} ({MEANING[check]})" for check, n in counts.items() if n)
        shown = " | ".join(p.detail for p in problems[:3])
        raise FactsError(
            f"{request.facts}: {len(problems)} facts cannot be packed: {told}: {shown}; mend or --drop-problems"
        )
    return facts.filter(~pl.col("fact_id").is_in([p.fact_id for p in problems])), problems


def _attempts(trial: Trial, new: pl.DataFrame, progress: Progress) -> list[Attempt]:
    """Train and validate in turn until one meets the budget."""
    request, base = trial.request, trial.base
    n_bits = plan.bits(*base.by_ids, new)
    per_rank = lora.n_parameters(base.loaded.model, recipes.for_model(request.model.name, 1, new.height))
    rank = plan.rank_for(n_bits, per_rank)
    config = request.train or recipes.for_model(request.model.name, rank, new.height)
    found: list[Attempt] = []
    asked: Replay | None = None
    for index in range(1 if request.train else plan.N_ATTEMPTS[request.effort]):
        replayed = replay_prompts.as_examples(replay_prompts.prompts(trial.split.replay, new, config, request.seed))
        told = plan.examples(new, HELD_OUT, replayed)
        if asked is None:
            contexts = Contexts(base.by_ids.prompter, trial.contexts)
            questions = replayed["question"].to_list()
            asked = build(base.loaded, questions, contexts, config, request.seed, progress=progress)
        key = store.hash_of([config.model_dump(mode="json"), request.seed, store.hash_table(told)])
        folder = request.out / "attempts" / f"{index:02d}-{key}"
        found.append(attempt(trial, told, config, folder, asked, progress))
        over = limits.excess(found[-1].harm, request.budget, request.reliability)
        if not over:
            break
        config = recipes.after_a_miss(config, over)
    return found


def _report(trial: Trial, new: pl.DataFrame, best: Attempt, progress: Progress) -> Harm:
    """The best attempt's adapter in the run's place, probed as the report asks, and its harm."""
    out, base = trial.request.out, trial.base
    start_from(out, best.folder.name)
    if not (out / "examples.parquet").is_file():
        told = read_table(best.folder / "examples.parquet", Example)
        run.keep_replayed(out, trial.split.replay, told)
        write_table(out / "examples.parquet", told)
    with stage(out, "adapter", "adapter") as path:
        if path:
            with store.atomic(path, replace=True) as beside:
                shutil.copytree(best.folder / "adapter", beside, dirs_exist_ok=True)
    ask_base(out, trial.config, base, progress)
    with base.tuned(out / "adapter") as tuned:
        run.measure(out, trial.config, base, tuned, progress)
    figures = [Figure(**figure) for figure in _dicts(store.read_json(out / "figures.json"))]  # type: ignore[arg-type]
    found = {figure.name: figure.estimate for figure in figures if figure.grader == "default"}
    return Harm(
        reliability=found["reliability"],
        known_lost_net=found.get("known_lost_net"),
        refusals_lost_net=found.get("refusals_lost_net"),
        benchmark_drop=_drop(trial),
    )


def _drop(trial: Trial) -> Estimate | None:
    """The largest fall of the benchmarks, item by item; None where none was asked."""
    if not (trial.request.out / "scores.parquet").is_file():
        return None
    return benchmark_drop(compare(bench_folder(trial.base, trial.config), trial.request.out / "bench"))


def _write(outcome: Outcome, request: Request, trial: Trial, new: pl.DataFrame, best: Attempt) -> None:
    """pack.json, and the card with what was measured."""
    told = read_table(best.folder / "examples.parquet", Example).filter(pl.col("kind") != str(Kind.REPLAY))
    figures = {field.name: getattr(outcome.harm, field.name) for field in fields(outcome.harm)}
    measured = {name: card.text(estimate) for name, estimate in figures.items() if estimate is not None}
    measured |= {"packed facts": str(new.height), "facts of the report": str(trial.split.report.height)}
    base, again = trial.base.asker, command_of(request)
    out = outcome.folder / "adapter"
    card.write(out, base.name, base.identity.weights, told, best.config, request.seed, measured, again)
    write_json(
        outcome.folder / "pack.json",
        {
            "budget": asdict(request.budget) | {"reliability": request.reliability},
            "measured": outcome.harm.as_json(),
            "met": all(one.verdict == "met" for one in outcome.verdicts),
            "verdicts": [
                {"name": v.name, "limit": v.limit, "verdict": v.verdict, "why": v.why} for v in outcome.verdicts
            ],
            "recipe": best.config.model_dump(mode="json"),
            "frontier": outcome.frontier,
            "left_out": [problem._asdict() for problem in outcome.problems],
            "n_packed": new.height,
        },
    )
    store.record(outcome.folder, "pack.json")


def _raise_if_missed(outcome: Outcome) -> None:
    unmet = [one for one in outcome.verdicts if one.verdict != "met"]
    if unmet:
        said = "; ".join(f"{one.name} (limit {one.limit:g}) {one.verdict}: {one.why}" for one in unmet)
        n = len(outcome.frontier)
        tried = "one attempt" if n == 1 else f"best of {n} attempts"
        raise BudgetError(
            f"the budget is not met: {said}. The {tried} is in {outcome.folder}, "
            "the frontier in its pack.json; try --effort thorough, fewer facts, a larger --known or a wider --budget"
        )


def best_of(frontier: Sequence[Attempt], request: Request) -> Attempt:
    """The attempt that overran the budget by the least, summed over its limits; of equals the first."""
    return min(frontier, key=lambda one: sum(limits.excess(one.harm, request.budget, request.reliability).values()))


def _lines(frontier: Sequence[Attempt]) -> list[dict[str, float | int | None]]:
    return [
        {**_values(one.harm), "rank": one.config.rank, "lr": one.config.lr, "kl_weight": one.config.kl_weight}
        for one in frontier
    ]


def _values(harm: Harm) -> dict[str, float | int | None]:
    found = {field.name: getattr(harm, field.name) for field in fields(harm)}
    return {name: None if one is None else one.value for name, one in found.items()}


def _dicts(value: object) -> list[dict[str, object]]:
    assert isinstance(value, list)
    return value
