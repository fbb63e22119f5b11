"""How `knowpack show` prints runs: labels, states, the step and the time left; failures below, one line each.

With --watch again and again, until every run has ended.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.live import Live
from rich.table import Table

from knowpack import store
from knowpack.cli import terminal
from knowpack.cli.terminal import duration, echo, fitted, say_table
from knowpack.errors import StoreError
from knowpack.state import Line, Now, listing

WATCH_SECONDS = 2.0
LEFT = {"missing", "running", "stopped"}


def say(lines: Sequence[Line], at: Now | None) -> None:
    """A table, what is done now, and errors below, where they can be copied."""
    say_table(_table(lines), narrow=_one_a_line(lines))
    for line in _below(lines, at):
        echo(line)


def watch_runs(folder: Path) -> None:
    """The table anew every WATCH_SECONDS until no run is left; where nobody watches, a line for each change."""
    console = terminal.console()
    if not console.is_terminal:
        _say_changes(folder)
        return
    lines = listing(folder)
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while any(line.state in LEFT for line in lines):
            live.update(fitted(_table(lines), console, _one_a_line(lines)), refresh=True)
            time.sleep(WATCH_SECONDS)
            lines = listing(folder)
    say(lines, None)


def say_verified(folder: Path) -> None:
    """A line a file that is not as it was written. Raises StoreError where there is one, or nothing to compare."""
    n, damaged = store.n_recorded(folder), list(store.verify(folder))
    if not n and not damaged:
        raise StoreError(f"{folder} holds no finished file of knowpack: nothing to compare")
    for one in damaged:
        echo(f"{one.what}: {one.path}")
    if damaged:
        raise StoreError(
            f"{len(damaged)} of {n:,} files are not as they were written; remove them and run the same commands again"
        )
    echo(f"{n:,} files are as they were written")


def _say_changes(folder: Path) -> None:
    states: dict[str, str] = {}
    while True:
        lines = listing(folder)
        for line in lines:
            who = f" by {line.worker}" if line.worker else ""
            what = f"{line.name}: {line.state}{who}" + (f", {line.step}" if line.step else "")
            if states.get(line.name) != what:
                echo(what)
            states[line.name] = what
        if not any(line.state in LEFT for line in lines):
            echo(", ".join(f"{n} {state}" for state, n in sorted(Counter(line.state for line in lines).items())))
            return
        time.sleep(WATCH_SECONDS)


def _table(lines: Sequence[Line]) -> Table:
    """One row a run. Seeds only where there are several, workers only where one runs."""
    seeded = len({line.seed for line in lines if line.seed is not None}) > 1
    open_ = any(line.state != "done" for line in lines)
    table = Table("run", *(["seed"] if seeded else []), "state", *(["step"] if open_ else []), "time")
    if open_:
        table.add_column("left")
    has_workers = any(line.worker for line in lines)
    if has_workers:
        table.add_column("worker")
    for line in lines:
        seed = ["" if line.seed is None else str(line.seed)] if seeded else []
        took = duration(line.seconds) if line.seconds else ""
        left = "" if line.left is None else f"about {duration(line.left)}"
        who = [line.worker or ""] if has_workers else []
        step, ahead = ([line.step], [left]) if open_ else ([], [])
        table.add_row(line.label, *seed, line.state, *step, took, *ahead, *who)
    return table


def _one_a_line(lines: Sequence[Line]) -> list[str]:
    """The same for a terminal that is too narrow for the table."""
    seeded = len({line.seed for line in lines if line.seed is not None}) > 1
    texts = []
    for line in lines:
        parts = [
            f"seed {line.seed}" if seeded and line.seed is not None else "",
            line.state,
            line.step,
            duration(line.seconds) if line.seconds else "",
            "" if line.left is None else f"about {duration(line.left)} left",
            f"by {line.worker}" if line.worker else "",
        ]
        texts.append(f"  {terminal.one_line(line.label)}: {', '.join(part for part in parts if part)}")
    return texts


def _below(lines: Sequence[Line], at: Now | None) -> Iterator[str]:
    if at is not None:
        counted = "" if at.total is None else f" {at.done:,} of {at.total:,}"
        left = "" if at.left is None else f", about {duration(at.left)} left"
        yield f"now: {at.label}{counted}{left}"
    ahead = sum(line.left for line in lines if line.left is not None)
    if ahead and len(lines) > 1:
        yield f"about {duration(ahead)} left for all of them, one after the other"
    for line in lines:
        if line.error:
            yield f"{line.state}: {line.label}: {line.error}"
