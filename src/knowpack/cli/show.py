"""How `knowpack show` prints runs: labels, states, the step and the time left; failures below, one line each."""

from collections.abc import Sequence

from rich.table import Table

from knowpack.cli import terminal
from knowpack.cli.console import duration
from knowpack.cli.terminal import echo
from knowpack.state import Line, Now


def say(lines: Sequence[Line], at: Now | None) -> None:
    """One row a run. Seeds only where there are several; errors below the table, where they can be copied."""
    seeded = len({line.seed for line in lines if line.seed is not None}) > 1
    open_ = any(line.state != "done" for line in lines)
    table = Table("run", *(["seed"] if seeded else []), "state", *(["step"] if open_ else []), "time")
    if open_:
        table.add_column("left")
    for line in lines:
        seed = ["" if line.seed is None else str(line.seed)] if seeded else []
        took = duration(line.seconds) if line.seconds else ""
        left = "" if line.left is None else f"about {duration(line.left)}"
        table.add_row(line.label, *seed, line.state, *([line.step] if open_ else []), took, *([left] if open_ else []))
    terminal.console().print(table)
    if at is not None:
        counted = "" if at.total is None else f" {at.done:,} of {at.total:,}"
        left = "" if at.left is None else f", about {duration(at.left)} left"
        echo(f"now: {at.label}{counted}{left}")
    ahead = sum(line.left for line in lines if line.left is not None)
    if ahead and len(lines) > 1:
        echo(f"about {duration(ahead)} left for all of them, one after the other")
    for line in lines:
        if line.error:
            echo(f"{line.state}: {line.label}: {line.error}")
