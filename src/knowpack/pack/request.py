"""What a user asks of pack, and the run that its report is made as.

facts, model, budget, effort -> `Request` -> RunConfig.
"""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import polars as pl
from pydantic import Field

from knowpack import store
from knowpack.config import (
    BenchConfig,
    FactsConfig,
    FurtherConfig,
    KeepRecipe,
    MixConfig,
    ModelConfig,
    ProbeConfig,
    RunConfig,
    Section,
    Seed,
)
from knowpack.errors import ConfigError
from knowpack.facts import sources
from knowpack.facts.from_config import pool_content, pool_is_file
from knowpack.measure.grading import GRADER_VERSION
from knowpack.pack import plan
from knowpack.pack.budget import Budget
from knowpack.settings import differing, typed

NONE = "none"  # as --known
HELD_OUT = 1  # wordings of each fact, its last: never trained on, and asked by the report


class Request(Section):
    """What a user asks of pack."""

    facts: str = ""
    """The table of facts to pack."""
    onto: str | None = None
    """An adapter that they are added to: a folder of `knowpack pack`, or any LoRA adapter with `earlier`."""
    earlier: str | None = None
    """The table of facts that adapter holds, where its folder does not say."""
    remove: str | None = None
    """The table of those that are taken back."""
    out: Path
    known: str = "auto"
    """The facts that harm is measured on, and that are replayed; auto: the lab's for the lab, else world; none: the
    model writes questions itself, and its own answers are held."""
    n_written: int = Field(2000, ge=40)
    """So many of them."""
    n_report: int = Field(plan.N_REPORT, ge=1)
    """Of the facts to keep, so many measure the harm that is reported: more show less."""
    n_validation: int = Field(plan.N_VALIDATION, ge=1)
    """And so many judge each attempt, where there is more than one."""
    n_screen: int | None = Field(None, ge=1)
    """Ask so many facts to keep once first, and measure on those that can be lost; None: on any."""
    model: ModelConfig = ModelConfig()
    budget: Budget = Budget()
    reliability: float = 0.99
    effort: plan.Effort = "normal"
    seed: Seed = 42
    probe: ProbeConfig = ProbeConfig()
    bench: BenchConfig = BenchConfig()
    further: FurtherConfig = FurtherConfig()
    train: KeepRecipe | None = None
    """Instead of the recipe: this one attempt."""
    drop_problems: bool = False
    """Leave out the facts that contradict others or cannot be told apart, instead of stopping."""
    work: str = "work"

    @property
    def n_attempts(self) -> int:
        """Adapters that are trained at most; a single one is judged by the report alone."""
        return 1 if self.train else plan.N_ATTEMPTS[self.effort]


def check(request: Request) -> None:
    """Raise ConfigError where nothing is asked, or something of an adapter that is not named."""
    if request.onto is None and (request.remove or request.earlier):
        raise ConfigError("--remove and --earlier say what of an adapter changes: give the adapter with --onto")
    if not request.facts and not request.remove:
        raise ConfigError("nothing to pack: give a table of facts, or --onto ADAPTER --remove FACTS")


def config_of(request: Request, facts: pl.DataFrame) -> RunConfig:
    """The run that the report is made as."""
    return RunConfig(
        label="pack",
        seed=request.seed,
        model=request.model,
        facts=FactsConfig(path=str(request.out / "facts.parquet")),
        probe=request.probe.model_copy(update={"shots": _shots_of(request), "n_held_out_forms": 1}),
        mix=MixConfig(n_unknown=facts.height, n_paraphrase=plan.TRAINED_WORDINGS, held_out_wordings=HELD_OUT),
        bench=request.bench,
        further=request.further,
        work=request.work,
    )


def identity(
    request: Request, facts: pl.DataFrame, known: pl.DataFrame, onto: Mapping[str, str] | None = None
) -> dict[str, object]:
    """What decides an adapter, besides the base's weights: whose folder --out is. A budget may change: the attempts
    that are there are judged by it. onto: the adapter that it begins as, its facts and those taken back, by hash."""
    from knowpack.base import bench_key  # with torch, which parsing a command line does without
    from knowpack.further.asking import further_key

    decisive = {"seed", "probe", "bench", "further", "train", "n_report", "n_validation", "n_screen"}
    settings = request.model_dump(mode="json", include=decisive)
    config = config_of(request, facts)  # files by what is in them, wherever they lie
    settings |= further_key(config)
    if pool_is_file(config):
        settings["probe"]["shots"] = "file"
    if request.bench.tasks and (request.bench.data or request.bench.include):
        settings["bench"] = bench_key(config)
    return {
        "facts": store.hash_table(facts),
        "facts to keep": store.hash_table(known),
        "model": request.model.model_dump(mode="json", exclude={"device", "served"}),
        "settings": store.hash_of(settings),
        "grader": GRADER_VERSION,
        **pool_content(config),
        **(onto or {}),
    }


def command_of(request: Request) -> str:
    """The command that makes the pack again, as one types it."""
    own, plain = Request(out=request.out), Budget()
    options: dict[str, object] = {
        name: getattr(request, name) if getattr(request, name) != getattr(own, name) else None
        for name in ("onto", "earlier", "remove", "known", "reliability", "effort", "seed", "work")
    }
    options = {"model": request.model.name, **options, "out": request.out}
    if request.probe.shots != "auto":
        options["shots"] = request.probe.shots
    parts = [
        *([request.facts] if request.facts else []),
        *(["--tasks", ",".join(request.bench.tasks)] if request.bench.tasks else []),
    ]
    for limit in fields(Budget):
        value = getattr(request.budget, limit.name)
        if value != getattr(plain, limit.name):
            parts += ["--budget", f"{limit.name}={'none' if value is None else value}"]
    parts += ["--drop-problems"] if request.drop_problems else []
    covered = {"facts", "out", "budget", "model.name", "bench.tasks", "drop_problems", "probe.shots", *options}
    return typed("knowpack pack", options, differing(request, covered), parts)


def known_of(request: Request) -> str:
    """The facts that must be kept: a source's name, or a file."""
    return sources.facts_for(request.model.name, request.known)


def _shots_of(request: Request) -> str:
    """By the facts to keep: the report's own table is a file, which says nothing of its pool."""
    return sources.shots_for(request.model.name, known_of(request), request.probe.shots)
