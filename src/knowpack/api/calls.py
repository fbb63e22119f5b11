"""The four things people do, as functions: the options of the commands, and a result object.

facts are a path, a source's name (world, lab) or a polars frame with the columns question and answer (or answers).
Every other setting goes by its dotted name, as on the command line: settings={"probe.n_prompts": 5}. What was done
already lies in `out` and in `work`, and is not done again.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import polars as pl

from knowpack import store
from knowpack.api.result import ProbeResult, Result
from knowpack.base import probe_into
from knowpack.config import BenchConfig, FactsConfig, ModelConfig, ProbeConfig, RunConfig, StudyConfig
from knowpack.diff import diff as diff_into
from knowpack.diff import trained_on
from knowpack.errors import BudgetError, ConfigError
from knowpack.model.locations import whole_model
from knowpack.pack import budget as limits
from knowpack.pack.budget import Budget
from knowpack.pack.flow import pack as pack_into
from knowpack.pack.plan import Effort
from knowpack.pack.request import Request
from knowpack.progress import SILENT, Progress
from knowpack.report import built
from knowpack.settings import changed, load
from knowpack.study import study as run_study

Table = str | Path | pl.DataFrame
Limits = Mapping[str, float | None]
Settings = Mapping[str, object]


def pack(
    facts: Table | None = None,
    *,
    model: str,
    out: str | Path,
    onto: str | Path | None = None,
    remove: Table | None = None,
    earlier: Table | None = None,
    budget: Limits | None = None,
    known: Table = "auto",
    reliability: float = 0.99,
    effort: Effort = "normal",
    tasks: Sequence[str] = (),
    sample: int | None = None,
    screen: int | None = None,
    seed: int = 42,
    drop_problems: bool = False,
    work: str | Path = "work",
    settings: Settings | None = None,
    progress: Progress = SILENT,
) -> Result:
    """Teach a model these facts and keep the rest: an adapter in `out`, and whether it may ship.

    onto: an adapter that they are added to, the `out` of an earlier pack: the new one holds its facts too, but for
    those that a new fact contradicts and those in `remove`, whose answers return to the base's. earlier: the facts of
    an adapter that knowpack did not pack. Without facts, something is to be removed.
    budget: shares 0..1 that may be lost at most: known_lost, refusals_lost, benchmark_drop; None lifts a limit.
    known: the facts that harm is measured on. sample: so many of them. screen: of so many, asked once, those that can
    be lost. tasks: benchmarks that are asked. reliability: the share of right answers to the new facts that is wanted.
    effort: one, two or four attempts. drop_problems: leave contradictory facts out instead of stopping.
    A missed budget is a verdict, not an error. Raises FactsError, ModelError or ConfigError in one line.
    """
    request = Request(
        facts="" if facts is None else _path(facts, work),
        onto=None if onto is None else str(onto),
        remove=None if remove is None else _path(remove, work),
        earlier=None if earlier is None else _path(earlier, work),
        out=Path(out),
        known=_path(known, work),
        model=ModelConfig(name=model),
        budget=_budget(budget or {}, benchmarks=bool(tasks) or "bench.tasks" in (settings or {})),
        reliability=reliability,
        effort=effort,
        seed=seed,
        bench=BenchConfig(tasks=tuple(tasks)),
        drop_problems=drop_problems,
        work=str(work),
    )
    sized = {} if sample is None else {"n_report": sample, "n_validation": max(2, sample // 4)}
    screened = {} if screen is None else {"n_screen": screen}
    request = changed(request, {**sized, **screened, **(settings or {})})
    with suppress(BudgetError):  # everything is written; the result says what was missed
        pack_into(request, progress)
    return Result(built(Path(out)))


def diff(
    *,
    model: str,
    out: str | Path,
    adapter: str | Path | None = None,
    tuned: str | None = None,
    facts: Table = "auto",
    trained: str | Path | None = None,
    sample: int | None = None,
    screen: int | None = None,
    budget: Limits | None = None,
    work: str | Path = "work",
    settings: Settings | None = None,
    progress: Progress = SILENT,
) -> Result:
    """What an adapter, or a whole fine-tuned model, from anywhere changed.

    tuned: as model; on the hub also owner/name@revision. trained: what it was trained on, where that is known: a fact
    table or an example table. budget: as in `pack`, for a verdict. Raises ConfigError unless one of adapter and tuned
    is given; ModelError where it does not fit the base.
    """
    if (adapter is None) == (tuned is None):
        raise ConfigError("give one of adapter and tuned: what is the model to be compared with?")
    which = FactsConfig(path=_path(facts, work), sample=sample, screen=screen)
    config = _run(model, None, which, work, {"label": "diff", **(settings or {})})
    with_adapter = config.model.model_copy(update={"adapter": adapter and str(adapter)})
    after = with_adapter if tuned is None else whole_model(tuned, config.model)
    examples = None if trained is None else trained_on(Path(trained))
    folder = diff_into(config, ModelConfig.model_validate(after.model_dump()), Path(out), examples, progress)
    judged = None if budget is None else _budget(budget, benchmarks=bool(config.bench.tasks))
    return Result(built(folder, budget=judged))


def probe(
    *,
    model: str,
    out: str | Path,
    adapter: str | Path | None = None,
    facts: Table = "auto",
    sample: int | None = None,
    screen: int | None = None,
    work: str | Path = "work",
    settings: Settings | None = None,
    progress: Progress = SILENT,
) -> ProbeResult:
    """What a model knows: every fact under several few-shot prompts, and the knowledge map."""
    which = FactsConfig(path=_path(facts, work), sample=sample, screen=screen)
    base = probe_into(_run(model, adapter, which, work, settings or {}), Path(out), progress)
    return ProbeResult(base.folder, base.asker.name, base.facts)


def study(config: str | Path | StudyConfig, *, settings: Settings | None = None, progress: Progress = SILENT) -> Result:
    """A grid of runs, from its YAML file or a StudyConfig; goes on where it was stopped.

    A cell that failed does not stop the others: see Result.unfinished. Raises StoreError where none is finished.
    """
    given = config if isinstance(config, StudyConfig) else load(Path(config), StudyConfig)
    return Result(built(run_study(changed(given, settings or {}), progress)))


def _run(model: str, adapter: str | Path | None, facts: FactsConfig, work: str | Path, settings: Settings) -> RunConfig:
    plain = RunConfig(
        model=ModelConfig(name=model, adapter=adapter and str(adapter)),
        facts=facts,
        probe=ProbeConfig(),
        work=str(work),
    )
    return changed(plain, settings)


def _budget(given: Limits, *, benchmarks: bool) -> Budget:
    names = {field.name for field in fields(Budget)}
    unknown = given.keys() - names
    if unknown:
        raise ConfigError(f"got the limits {', '.join(sorted(unknown))}, expected {', '.join(sorted(names))}")
    return limits.parse([f"{k}={'none' if v is None else v}" for k, v in given.items()], benchmarks=benchmarks)


def _path(facts: Table, work: str | Path) -> str:
    """A frame is kept as a file named by its content, so that the same frame is the same request."""
    if not isinstance(facts, pl.DataFrame):
        return str(facts)
    path = Path(work) / "tables" / f"{store.hash_table(facts)}.parquet"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        store.write_table(path, facts)
    return str(path)
