"""The commands. Parsing and printing only: each one calls a function that can be called without it."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from knowpack.cli import terminal
from knowpack.cli.bench import app as bench_app
from knowpack.cli.export import export_command
from knowpack.cli.facts import app as facts_app
from knowpack.cli.lab import app as lab_app
from knowpack.cli.pack import Limits, capacity_command, pack_command
from knowpack.cli.plan import DryRun, say_plan
from knowpack.cli.push import push_command
from knowpack.cli.results import NOT_MET, Json, finish, say_json
from knowpack.cli.stages import (
    Adapter,
    Facts,
    Model,
    Out,
    Quiet,
    Sample,
    Screen,
    Set,
    Shots,
    Work,
    config_of,
    mix_command,
    probe_command,
    say_live,
    train_command,
)
from knowpack.errors import ConfigError, KnowpackError

STOPPED = 130  # exit code after Ctrl-C: 128 + SIGINT


class StoppedError(Exception):
    """The user pressed Ctrl-C."""


class Commands(TyperGroup):
    """The commands. Ctrl-C comes out as `StoppedError`, for typer ends without a word at a KeyboardInterrupt; an option
    that no setting may have, as a ConfigError."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise StoppedError from None
        except ValueError as error:
            from knowpack.settings import of_section

            told = of_section(error)
            if told is None:
                raise
            raise ConfigError(told) from None


app = typer.Typer(
    name="knowpack",
    cls=Commands,
    help="Teach a language model new facts with a LoRA adapter, and know exactly what it cost.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.add_typer(facts_app, name="facts")
app.add_typer(lab_app, name="lab")
app.add_typer(bench_app, name="bench")
app.command("pack")(pack_command)
app.command("capacity")(capacity_command)
app.command("export")(export_command)
app.command("push")(push_command)
app.command("probe")(probe_command)
app.command("mix")(mix_command)
app.command("train")(train_command)

ExecutorName = Annotated[
    Literal["local", "submitit", "ray"], typer.Option("--executor", help="Where the workers run: docs/scale.md.")
]
Settings = Annotated[list[str] | None, typer.Argument(help="Dotted settings to change: train.lr=1e-3")]


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        terminal.echo(f"knowpack {version('knowpack')}")
        raise typer.Exit


@app.callback()
def whole(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Teach a language model new facts with a LoRA adapter, and know exactly what it cost."""


@app.command()
def diff(
    out: Out,
    model: Model = "lab",
    adapter: Adapter = None,
    tuned: Annotated[
        str | None, typer.Option("--tuned", help="A whole fine-tuned model instead of an adapter.")
    ] = None,
    facts: Facts = "auto",
    trained: Annotated[Path | None, typer.Option("--trained", help="What it was trained on, where known.")] = None,
    shots: Shots = "auto",
    sample: Sample = None,
    screen: Screen = None,
    limits: Limits = [],  # noqa: B006
    work: Work = "work",
    settings: Set = [],  # noqa: B006
    dry_run: DryRun = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """What an adapter, or a fine-tuned model, from anywhere changed: matrix, shifts, causes, a page.

    With --budget: exit code 3 where a limit is not met or not measured, so that it can gate what is shipped.

    Example: knowpack diff --model lab --adapter out/adapter --sample 2000 --out out/diff --budget known_lost=0.02
    """
    from knowpack.base import open_base
    from knowpack.cli.console import progress
    from knowpack.config import ModelConfig
    from knowpack.diff import diff as diff_model
    from knowpack.forecast import of_diff
    from knowpack.pack import budget
    from knowpack.store import read_json

    if (adapter is None) == (tuned is None):
        raise ConfigError("give one of --adapter and --tuned: what is the model to be compared with?")
    config = config_of(
        model=model,
        facts=facts,
        shots=shots,
        sample=sample,
        screen=screen,
        work=work,
        settings=["label=diff", *settings],
    )
    judged_by = budget.parse(limits, benchmarks=bool(config.bench.tasks)) if limits else None
    after = config.model.model_copy(update={"adapter": adapter, "name": tuned or model})
    base = None
    if dry_run or not quiet:
        base = open_base(config, progress(quiet))
        say_plan(of_diff(base, config, out), err=not dry_run)
    if dry_run:
        return
    asker = None if base is None else base.asker
    folder = diff_model(config, ModelConfig.model_validate(after), out, trained, progress(quiet, out), asker=asker)
    told = read_json(folder / "tuned.json")
    if not as_json:
        say_live(told.get("largest_logit_change") if isinstance(told, dict) else None)
    if finish(folder, quiet, as_json=as_json, budget=judged_by) != "met" and judged_by is not None:
        raise typer.Exit(NOT_MET)


@app.command()
def run(
    config: Annotated[Path, typer.Argument(help="The run as YAML.")],
    settings: Settings = None,
    dry_run: DryRun = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """One cell, all stages. Running it again goes on where it stopped.

    Example: knowpack run examples/run.yaml mix.n_unknown=100 train.lr=3e-3
    """
    from knowpack.base import open_base
    from knowpack.cli.console import progress
    from knowpack.config import RunConfig
    from knowpack.forecast import of_run
    from knowpack.run import run as run_one
    from knowpack.settings import load

    asked = load(config, RunConfig, settings or [])
    base = open_base(asked, progress(quiet))
    if dry_run or not quiet:
        say_plan(of_run(base, asked), err=not dry_run)
    if dry_run:
        return
    folder = run_one(asked, base, progress(quiet))
    finish(folder, quiet, as_json=as_json)


@app.command()
def study(
    config: Annotated[Path, typer.Argument(help="The study as YAML: a base run, cells, seeds.")],
    settings: Settings = None,
    sample: Sample = None,
    executor: ExecutorName = "local",
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Workers at a time.")] = 1,
    shard: Annotated[
        str | None, typer.Option("--shard", help="i/n: every n-th cell from the i-th; for schedulers of one's own.")
    ] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """A grid of runs. Running it again continues; adding cells extends. Many machines: docs/scale.md.

    Example: knowpack study examples/demo.yaml
    """
    from knowpack.base import open_base
    from knowpack.cli.console import progress
    from knowpack.cli.workers import run_study
    from knowpack.config import StudyConfig
    from knowpack.forecast import of_study
    from knowpack.settings import load
    from knowpack.state import cells

    sized = [] if sample is None else [f"base.facts.sample={sample}"]
    asked = load(config, StudyConfig, [*sized, *(settings or [])])
    runs, base = asked.runs(), None
    alone = executor == "local" and jobs == 1 and shard is None  # else the model is loaded by the workers only
    if runs and (dry_run or (alone and not quiet)):
        base = open_base(runs[0], progress(quiet))
        say_plan(of_study(asked, base), err=not dry_run)
    if dry_run:
        return
    folder = run_study(asked, executor, jobs, shard, quiet, base)
    ended = list(cells(folder))
    left = [cell for cell in ended if cell.state in ("missing", "running", "stopped")]
    if shard and left:
        terminal.echo(f"shard {shard} is through; {len(left)} of {len(ended)} cells are for the others: {folder}")
    elif any(cell.state == "done" for cell in ended):
        finish(folder, quiet, as_json=as_json)
    bad = [cell for cell in ended if cell.state == "failed" or (cell in left and not shard)]
    for cell in bad:
        terminal.failed(f"{cell.state}: {cell.folder.name}: {cell.error}")
    if bad:
        raise typer.Exit(1)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="A study, a run, a pack or a diff.")], quiet: Quiet = False
) -> None:
    """Tables (terminal, CSV, LaTeX), figures (SVG, PDF, PNG) and one page of HTML.

    Example: knowpack report work/studies/demo
    """
    finish(folder, quiet)


@app.command()
def show(
    folder: Annotated[Path, typer.Argument(help="A study, a pack, a diff, or a work directory.")] = Path("work"),
    watch: Annotated[bool, typer.Option("--watch", help="Go on until no run is left, with who runs what.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare every finished file below with its recorded hash.")
    ] = False,
    as_json: Json = False,
) -> None:
    """What is there: done, running, stopped, failed, missing; the step, and the time that is left.

    Example: knowpack show work/studies/demo --watch
    Whole?   knowpack show work --verify
    """
    from knowpack.cli.show import say, say_verified, watch_runs
    from knowpack.state import listing, now

    if verify:
        if watch or as_json:
            raise ConfigError("--verify goes with neither --watch nor --json; leave out one of them")
        say_verified(folder)
        return
    if watch:
        if as_json:
            raise ConfigError("--watch prints for a person and --json one object; leave out one of them")
        watch_runs(folder)
        return
    lines, at = listing(folder), now(folder)
    if as_json:
        say_json({"runs": [line._asdict() for line in lines], "now": at and at._asdict()})
    else:
        say(lines, at)


def main() -> None:
    """The `knowpack` command: a user's mistake is one line and exit code 2 (3: a budget not met)."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # ours show what matters
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    terminal.quieter()
    try:
        app()
    except KnowpackError as error:
        terminal.failed(f"knowpack: {error}")
        sys.exit(error.exit_code)
    except StoppedError:
        terminal.echo("knowpack: stopped; the same command goes on where it was", err=True)
        sys.exit(STOPPED)
