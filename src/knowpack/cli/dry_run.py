"""The plan before the work, on the terminal: stages, what is on disk, minutes, memory."""

from typing import TYPE_CHECKING, Annotated

import typer

from knowpack.cli import terminal
from knowpack.cli.terminal import duration

if TYPE_CHECKING:
    from knowpack.forecast import Forecast, Stage

DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan, with minutes from a timed sample, and stop.")]
SHOWN = 14  # stages; a grid has hundreds


def say_plan(forecast: "Forecast", *, err: bool) -> None:
    """A line a stage and the sum. err: on stderr, as progress is, where the command goes on."""
    from rich.table import Table

    stages = [stage for stage in forecast.stages if stage.n or stage.done]
    left = [stage for stage in stages if not stage.done]
    n_done = len(stages) - len(left)
    console = terminal.console(err=err)
    if not left:
        console.print(f"plan: all {n_done} stages are on disk already")
        return
    table = Table("stage", "work", "about", box=None, pad_edge=False)
    table.columns[1].justify = table.columns[2].justify = "right"
    table.columns[1].no_wrap = table.columns[2].no_wrap = True  # names of stages are folded, between words
    for stage in left[:SHOWN]:
        table.add_row(stage.what, _work(stage), _time(forecast.seconds(stage), stage.at_most))
    if len(left) > SHOWN:
        rest = sum(forecast.seconds(stage) or 0.0 for stage in left[SHOWN:])
        table.add_row(f"... and {len(left) - SHOWN} more stages", "", duration(rest))
    console.print("plan" + (f" ({n_done} stages are on disk already)" if n_done else ""))
    console.print(table)
    peak = forecast.rates.peak_bytes / 2**30
    unpriced = " and the benchmarks" if any(forecast.seconds(stage) is None for stage in left) else ""
    console.print(f"in all about {duration(forecast.total)}{unpriced}; memory {peak:.1f} GiB")


def _work(stage: "Stage") -> str:
    unit = stage.unit.removesuffix("s") if stage.n == 1 else stage.unit
    return f"{'at most ' if stage.at_most else ''}{stage.n:,} {unit}"


def _time(seconds: float | None, at_most: bool) -> str:
    return "not timed" if seconds is None else f"{'up to ' if at_most else ''}{duration(seconds)}"
