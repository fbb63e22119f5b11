"""`knowpack diff`. Parsing and printing only."""

from pathlib import Path
from typing import Annotated

import typer

from knowpack.cli.benchmark_options import Task, Tasks, named_tasks
from knowpack.cli.dry_run import DryRun, say_plan
from knowpack.cli.pack_options import Limits
from knowpack.cli.results import NOT_MET, Json, finish
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
    refuse_unread,
    say_live,
)
from knowpack.errors import ConfigError


def diff_command(
    out: Out,
    model: Model = "lab",
    adapter: Adapter = None,
    tuned: Annotated[
        str | None, typer.Option("--tuned", help="A whole fine-tuned model instead: as --model; owner/name@revision.")
    ] = None,
    facts: Facts = "auto",
    trained: Annotated[Path | None, typer.Option("--trained", help="What it was trained on, where known.")] = None,
    shots: Shots = "auto",
    sample: Sample = None,
    screen: Screen = None,
    limits: Limits = [],  # noqa: B006
    tasks: Tasks = [],  # noqa: B006
    task: Task = [],  # noqa: B006
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
    from knowpack.cli.console import progress, starting
    from knowpack.config import ModelConfig
    from knowpack.model.locations import whole_model
    from knowpack.pack import budget

    if (adapter is None) == (tuned is None):
        raise ConfigError("give one of --adapter and --tuned: what is the model to be compared with?")
    benchmarks = named_tasks(tasks, task)
    config = config_of(
        model=model,
        facts=facts,
        shots=shots,
        sample=sample,
        screen=screen,
        work=work,
        settings=["label=diff", *([f"bench.tasks={','.join(benchmarks)}"] if benchmarks else []), *settings],
    )
    judged_by = budget.parse(limits, benchmarks=bool(config.bench.tasks)) if limits else None
    with_adapter = config.model.model_copy(update={"adapter": adapter})
    after = ModelConfig.model_validate(with_adapter if tuned is None else whole_model(tuned, config.model))
    refuse_unread("diff", settings, "train", "mix")
    with starting(quiet):
        from knowpack.cli.input_checks import check_inputs, check_model

        written = trained is not None and trained.is_file() and trained.suffix == ".parquet"  # it may hold examples
        tables = [] if written or trained is None else [str(trained)]
        check_inputs(config, out=out, command="knowpack diff", tables=tables)
        check_model(after)
        from knowpack.diff import diff as diff_model
        from knowpack.diff import open_for_diff, trained_on
        from knowpack.forecast import of_diff
        from knowpack.store import read_json
    examples = None if trained is None else trained_on(trained)
    base = None
    if dry_run or not quiet:
        base = open_for_diff(config, examples, progress(quiet))
        say_plan(of_diff(base, config, out, progress(quiet)), err=not dry_run)
    if dry_run:
        return
    asker = None if base is None else base.asker
    folder = diff_model(config, after, out, examples, progress(quiet, out), asker=asker)
    tuned_json = read_json(folder / "tuned.json")
    if not as_json:
        say_live(tuned_json.get("largest_logit_change") if isinstance(tuned_json, dict) else None)
    if finish(folder, quiet, as_json=as_json, budget=judged_by) != "met" and judged_by is not None:
        raise typer.Exit(NOT_MET)
