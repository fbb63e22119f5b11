"""`knowpack pack` and `knowpack capacity`. Parsing and printing only."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from knowpack.cli import terminal
from knowpack.cli.benchmarks import Task, Tasks, named
from knowpack.cli.plan import DryRun, say_plan
from knowpack.cli.results import NOT_MET, Json, finish, say_json
from knowpack.cli.stages import Screen
from knowpack.cli.terminal import echo

if TYPE_CHECKING:
    from knowpack.pack.request import Request

app = typer.Typer(no_args_is_help=True)
MOST_LEFT_OUT = 10  # lines
UNREAD = ("train", "facts", "onto", "earlier", "remove", "n_screen", "n_written", "reliability", "effort", "bench")
"""Of a request's settings: what `capacity` does not read."""

Model = Annotated[str, typer.Option("--model", help="A hub name, a folder, a GGUF file, smollm2 or lab.")]
Known = Annotated[
    str,
    typer.Option(
        "--known",
        help="Facts to keep, for harm: a table, world, lab; auto: by the model; none: it writes some itself.",
    ),
]
Shots = Annotated[
    str, typer.Option("--shots", help="Few-shot pool: question and answer columns, general or lab; auto: by the model.")
]
Limits = Annotated[
    list[str],
    typer.Option(
        "--budget",
        help="known_lost=0.05, refusals_lost=0.1, benchmark_drop=0.03: what may be lost, at most; =none lifts one.",
    ),
]
Sample = Annotated[
    int | None, typer.Option("--sample", help="Facts to measure harm on; a quarter as many judge the attempts.", min=8)
]
Set = Annotated[list[str], typer.Option("--set", help="Any other setting, dotted: --set probe.n_prompts=5")]
Out = Annotated[Path, typer.Option("--out", help="Folder to write.")]
Seed = Annotated[int, typer.Option("--seed")]
Work = Annotated[str, typer.Option("--work", help="The work directory: base answers are kept there and shared.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress.")]


@app.command("pack")
def pack_command(
    out: Out,
    facts: Annotated[str, typer.Argument(help="The facts to pack: CSV, JSONL or parquet.")] = "",
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
    benchmarks = named(tasks, task)
    asked = bool(benchmarks) or any(one.startswith("bench.tasks=") for one in settings)
    request = Request(
        facts=facts,
        onto=onto,
        remove=remove,
        earlier=earlier,
        out=out,
        known=known,
        model=ModelConfig(name=model),
        budget=budget.parse(limits, benchmarks=asked),
        reliability=reliability,
        effort=efforts[effort],
        seed=seed,
        probe=ProbeConfig(shots=shots),
        bench=BenchConfig(tasks=benchmarks),
        n_screen=screen,
        drop_problems=drop_problems,
        work=work,
    )
    request = override(_sized(request, sample), settings)
    check(request)
    with starting(quiet):
        _look(request)
        from knowpack.pack.flow import pack
        from knowpack.pack.stages import of_pack
    asker = None
    if dry_run or not quiet:
        opened = of_pack(request, progress(quiet))
        terminal.console(err=not dry_run).print(f"facts: {opened.counts}", soft_wrap=True)
        say_plan(opened.forecast, err=not dry_run)
        asker = opened.asker
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

    told = read_json(out / "pack.json")
    left_out = told["left_out"] if isinstance(told, dict) else []
    for one in left_out[:MOST_LEFT_OUT]:
        echo(f"left out ({one['check']}): {one['detail']}")
    if len(left_out) > MOST_LEFT_OUT:
        echo(f"... and {len(left_out) - MOST_LEFT_OUT} more, in {out / 'pack.json'}")


def _say_current(out: Path) -> None:
    """How many facts are new and how many are updates, and what was measured of either."""
    from knowpack.measure.current import NAMES
    from knowpack.records import Estimate
    from knowpack.report.first import said
    from knowpack.store import read_json

    told = read_json(out / "pack.json")
    if not isinstance(told, dict):
        return
    counts = told["counts"]
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
    if not (any(counts.get(name) for name in ("updates", *words)) or "own_kept" in told["current"]):
        return
    for name, line in NAMES.items():
        if name in told["current"]:
            echo(f"  {line}: {said(Estimate(**told['current'][name]))}")


@app.command("capacity")
def capacity_command(
    out: Out,
    model: Model = "lab",
    known: Known = "auto",
    ranks: Annotated[str, typer.Option(help="Ranks, separated by commas.")] = "1,4,16",
    loads: Annotated[str, typer.Option(help="Numbers of facts, separated by commas.")] = "50,100,200,400",
    limits: Limits = [],  # noqa: B006
    shots: Shots = "auto",
    sample: Sample = None,
    settings: Set = [],  # noqa: B006
    seed: Seed = 42,
    work: Work = "work",
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """How many facts fit into an adapter of each rank: at 99% recall, and within the harm budget.

    Example: knowpack capacity --model lab --ranks 1,4 --loads 50,200 --out out/capacity
    """
    from knowpack.cli.console import progress, starting
    from knowpack.config import ModelConfig, ProbeConfig
    from knowpack.errors import ConfigError
    from knowpack.pack import budget
    from knowpack.pack.request import Request
    from knowpack.settings import override

    try:
        wanted_ranks, wanted_loads = ([int(text) for text in option.split(",")] for option in (ranks, loads))
    except ValueError:
        raise ConfigError(f"got --ranks {ranks} --loads {loads}, expected numbers separated by commas") from None
    if min(*wanted_ranks, *wanted_loads) < 1:
        raise ConfigError(f"got --ranks {ranks} --loads {loads}, expected numbers from 1 on")
    request = Request(
        facts="",
        out=out,
        known=known,
        model=ModelConfig(name=model),
        budget=budget.parse(limits),
        seed=seed,
        probe=ProbeConfig(shots=shots),
        work=work,
    )
    request = override(_sized(request, sample), settings)
    for name in UNREAD:
        if getattr(request, name) != Request.model_fields[name].default:
            raise ConfigError(f"`knowpack capacity` reads no setting {name}; leave it out")
    with starting(quiet):
        _look(request)
        from knowpack.pack.capacity import FULL_MODEL_BITS_PER_PARAMETER, capacity, largest
    table = capacity(request, wanted_ranks, wanted_loads, progress(quiet, out))
    if as_json:
        found = {"cells": table.to_dicts(), "largest": largest(table).to_dicts(), "folder": str(out)}
        say_json({"kind": "capacity", "model": model, **found})
        return
    echo("replay  rank  facts  bits/parameter  recall    known lost, n  refusals lost, n  within budget")
    for row in table.iter_rows(named=True):
        lost, refusals = (
            "-" if row[name] is None else f"{row[name]:.3f} {row[n]:>7,}"
            for name, n in (("known_lost_net", "n_known"), ("refusals_lost_net", "n_refused"))
        )
        echo(
            f"{'yes' if row['kept'] else 'no':>6}  {row['rank']:>4}  {row['n_facts']:>5}  "
            f"{row['bits_per_parameter']:>14.4f}  {row['recall']:>6.3f}  {lost:>15}  {refusals:>16}  "
            f"{'yes' if row['within_budget'] else 'no':>13}"
        )
    for row in largest(table).iter_rows(named=True):
        plain, safe = (
            _held(row[name], row[f"{name}_bits_per_parameter"], max(wanted_loads)) for name in ("d99", "safe_d99")
        )
        echo(f"rank {row['rank']}: D99 {plain}; safe D99 {safe}")
    echo(f"published, full models: {FULL_MODEL_BITS_PER_PARAMETER} bits a parameter (arXiv 2404.05405)")


def _held(n: int | None, bits: float | None, most: int) -> str:
    """A load for reading: none held, or how much; the largest that was tried is a lower bound."""
    if n is None:
        return "none of these loads"
    return f"{'at least ' if n == most else ''}{n} facts ({bits:.3f} bits a parameter)"


def _look(request: "Request") -> None:
    """What the request names, before torch is imported."""
    from knowpack.cli.looked import look
    from knowpack.config import FactsConfig, RunConfig
    from knowpack.model.places import adapter_folder, is_hub_name
    from knowpack.pack.screen import screened

    known = "auto" if request.known == "none" else request.known
    kept = RunConfig(model=request.model, facts=FactsConfig(path=known), probe=request.probe, bench=request.bench)
    if request.facts:
        screened(request)
    look(kept, out=request.out, tables=[request.remove, request.earlier])
    onto = request.onto
    if onto is not None and not (Path(onto) / "pack.json").is_file() and not is_hub_name(onto):
        adapter_folder(onto)


def _sized(request: "Request", sample: int | None) -> "Request":
    """So many facts report the harm, and a quarter as many judge the attempts."""
    if sample is None:
        return request
    return request.model_copy(update={"n_report": sample, "n_validation": max(2, sample // 4)})
