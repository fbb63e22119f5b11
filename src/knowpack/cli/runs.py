"""`knowpack run` and `knowpack study`. Parsing and printing only."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from knowpack.cli import terminal
from knowpack.cli.dry_run import DryRun, say_plan
from knowpack.cli.results import Json, finish
from knowpack.cli.stages import Quiet, Sample

ExecutorName = Annotated[
    Literal["local", "submitit", "ray"], typer.Option("--executor", help="Where the workers run: docs/scale.md.")
]
Settings = Annotated[list[str] | None, typer.Argument(help="Dotted settings to change: train.lr=1e-3")]


def run_command(
    config: Annotated[Path, typer.Argument(help="The run as YAML.")],
    settings: Settings = None,
    dry_run: DryRun = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """One cell, all stages. Running it again goes on where it stopped.

    Example: knowpack run examples/run.yaml mix.n_unknown=100 train.lr=3e-3
    """
    from knowpack.cli.console import progress, starting
    from knowpack.config import RunConfig
    from knowpack.settings import load

    run_config = load(config, RunConfig, settings or [])
    with starting(quiet):
        from knowpack.cli.input_checks import check_cells

        check_cells([run_config])
        from knowpack.base import open_base
        from knowpack.forecast import of_run
        from knowpack.run import run as run_one
    base = open_base(run_config, progress(quiet))
    if dry_run or not quiet:
        say_plan(of_run(base, run_config, progress(quiet)), err=not dry_run)
    if dry_run:
        return
    folder = run_one(run_config, base, progress(quiet))
    finish(folder, quiet, as_json=as_json)


def study_command(
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
    from knowpack.cli.console import progress, starting
    from knowpack.cli.workers import run_study
    from knowpack.config import StudyConfig
    from knowpack.config.shard import Shard
    from knowpack.errors import ConfigError
    from knowpack.settings import load

    sized = [] if sample is None else [f"base.facts.sample={sample}"]
    study_config = load(config, StudyConfig, [*sized, *(settings or [])])
    part = None if shard is None else Shard.parsed(shard)
    if part is not None and (executor != "local" or jobs != 1):
        raise ConfigError("--shard is one worker of many that you start yourself; leave out --executor and --jobs")
    runs, base = study_config.runs(), None
    with starting(quiet):
        from knowpack.cli.input_checks import check_cells

        check_cells(runs)
        from knowpack.base import open_base
        from knowpack.forecast import of_study
        from knowpack.state import cells
    alone = executor == "local" and jobs == 1 and shard is None  # else the model is loaded by the workers only
    mine = part.part(runs) if part else runs
    if mine and (dry_run or (alone and not quiet)):
        base = open_base(mine[0], progress(quiet))
        say_plan(of_study(study_config, base, progress(quiet), part), err=not dry_run)
    elif dry_run:
        terminal.echo(
            f"plan: nothing to do, of {len(runs)} cells none is " + (f"in shard {shard}" if part else "there")
        )
    if dry_run:
        return
    folder = run_study(study_config, executor, jobs, part, quiet, base)
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
