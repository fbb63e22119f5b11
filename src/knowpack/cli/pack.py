"""`knowpack pack`. Parsing and printing only."""

from pathlib import Path
from typing import Annotated

import typer

from knowpack.cli import terminal
from knowpack.cli.benchmark_options import Task, Tasks, named_tasks
from knowpack.cli.dry_run import DryRun, say_plan
from knowpack.cli.pack_options import Known, Limits, Model, Out, Sample, Shots, check_request, sized
from knowpack.cli.results import NOT_MET, Json, finish
from knowpack.cli.stages import Quiet, Screen, Seed, Set, Work
from knowpack.cli.terminal import echo

MOST_LEFT_OUT = 10  # lines


def pack_command(
    out: Out,
    facts: Annotated[str, typer.Argument(help="The facts to pack: CSV, JSONL, parquet or Excel.")] = "",
    onto: Annotated[
        str | None, typer.Option("--onto", help="Add them to this adapter: a folder that `knowpack pack` wrote.")
    ] = None,
    remove: Annotated[
        str | None,
        typer.Option("--remove", help="Take these facts of that adapter back: a table with their questions."),
    ] = None,
    earlier: Annotated[
        str | None, typer.Option("--earlier", help="The facts in that adapter, where its folder does not say.")
    ] = None,
    model: Model = "lab",
    known: Known = "auto",
    limits: Limits = [],  # noqa: B006
    reliability: Annotated[float, typer.Option(help="Share of right answers that is wanted.", min=0, max=1)] = 0.99,
    effort: Annotated[str, typer.Option(help="quick, normal or thorough: how many attempts.")] = "normal",
    tasks: Tasks = [],  # noqa: B006
    task: Task = [],  # noqa: B006
    shots: Shots = "auto",
    sample: Sample = None,
    screen: Screen = None,
    settings: Set = [],  # noqa: B006
    seed: Seed = 42,
    dry_run: DryRun = False,
    as_json: Json = False,
    drop_problems: Annotated[
        bool, typer.Option("--drop-problems", help="Leave out contradictory facts instead of stopping.")
    ] = False,
    work: Work = "work",
    quiet: Quiet = False,
) -> None:
    """Teach a model these facts and keep the rest; exit code 3 where a limit is not met or not measured.

    Example: knowpack pack facts.csv --model lab --out out/packed --budget known_lost=0.01 --tasks lab_mc

    More later: knowpack pack more.csv --onto out/packed --out out/second

    Taken back: knowpack pack --remove gone.csv --onto out/second --out out/third
    """
    from knowpack.cli.console import progress, starting
    from knowpack.config import BenchConfig, ModelConfig, ProbeConfig
    from knowpack.errors import BudgetError, ConfigError
    from knowpack.pack import budget, plan
    from knowpack.pack.request import Request, check
    from knowpack.settings import override

    efforts = {name: name for name in plan.EFFORTS}
    if effort not in efforts:
        raise ConfigError(f"got --effort {effort!r}, expected one of {', '.join(efforts)}")
    benchmarks = named_tasks(tasks, task)
    has_benchmarks = bool(benchmarks) or any(one.startswith("bench.tasks=") for one in settings)
    request = Request(
        facts=facts,
        onto=onto,
        remove=remove,
        earlier=earlier,
        out=out,
        known=known,
        model=ModelConfig(name=model),
        budget=budget.parse(limits, benchmarks=has_benchmarks),
        reliability=reliability,
        effort=efforts[effort],
        seed=seed,
        probe=ProbeConfig(shots=shots),
        bench=BenchConfig(tasks=benchmarks),
        n_screen=screen,
        drop_problems=drop_problems,
        work=work,
    )
    request = override(sized(request, sample), settings)
    check(request)
    with starting(quiet):
        check_request(request, "knowpack pack")
        from knowpack.pack.flow import pack
        from knowpack.pack.pack_forecast import of_pack
    asker = None
    if dry_run or not quiet:
        forecast = of_pack(request, progress(quiet))
        terminal.console(err=not dry_run).print(f"facts: {forecast.counts}", soft_wrap=True)
        say_plan(forecast.forecast, err=not dry_run)
        asker = forecast.asker
    if dry_run:
        return
    try:
        pack(request, progress(quiet, out), asker=asker)
    except BudgetError as error:  # all files are there; the advice is in its last words
        terminal.failed(f"knowpack: {str(error).rpartition('. ')[2]}")
    if not as_json:
        _say_left_out(out)
        _say_current(out)
    word = finish(out, quiet, as_json=as_json)
    if not as_json:
        echo(f"adapter: {out / 'adapter'}")
    if word != "met":
        raise typer.Exit(NOT_MET)


def _say_left_out(out: Path) -> None:
    """The facts that were left out of a pack, and why: ten of them, and how many more."""
    from knowpack.store import read_json

    packed = read_json(out / "pack.json")
    left_out = packed["left_out"] if isinstance(packed, dict) else []
    for one in left_out[:MOST_LEFT_OUT]:
        echo(f"left out ({one['check']}): {one['detail']}")
    if len(left_out) > MOST_LEFT_OUT:
        echo(f"... and {len(left_out) - MOST_LEFT_OUT} more, in {out / 'pack.json'}")


def _say_current(out: Path) -> None:
    """How many facts are new and how many are updates, and what was measured of either."""
    from knowpack.measure.current import NAMES
    from knowpack.records import Estimate
    from knowpack.report.first_screen import estimate_text
    from knowpack.store import read_json

    packed = read_json(out / "pack.json")
    if not isinstance(packed, dict):
        return
    counts = packed["counts"]
    words = {
        "known": "known already and trained along",
        "earlier": "packed earlier",
        "removed": "taken back",
        "removed_earlier": "taken back earlier",
    }
    more = [f"{counts.get(name, 0)} {word}" for name, word in words.items()]
    echo(
        f"facts: {counts['new']} new, {counts['updates']} updates"
        + "".join(f", {one}" for one in more if one[0] != "0")
    )
    if not (any(counts.get(name) for name in ("updates", *words)) or "own_kept" in packed["current"]):
        return
    for name, line in NAMES.items():
        if name in packed["current"]:
            echo(f"  {line}: {estimate_text(Estimate(**packed['current'][name]))}")
