"""What a person sees while a command works: progress bars with the time left; plain lines where nobody watches."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from knowpack.cli import terminal
from knowpack.cli.progress_note import NotedProgress
from knowpack.progress import SILENT, Advance, Progress

PLAIN_EVERY_SECONDS = 15.0


class Watched:
    """Bars on a terminal; stages open inside stages stack below each other."""

    def __init__(self, console: Console) -> None:
        self._bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._console = console
        self._depth = 0
        self._handlers: list[logging.StreamHandler[TextIO]] = []

    @contextmanager
    def stage(self, label: str, total: int | None) -> Iterator[Advance]:
        """A bar while it lasts, one line when it took long enough to matter."""
        label = terminal.one_line(label)
        if self._depth == 0:
            self._start()
        self._depth += 1
        task = self._bars.add_task(label, total=total)
        started = time.perf_counter()
        ended = "stopped after "
        try:
            yield lambda n: self._bars.advance(task, n)
            ended = ""
        finally:
            self._bars.remove_task(task)
            self._depth -= 1
            seconds = time.perf_counter() - started
            if seconds >= 1 or label.startswith("FAILED"):
                counted = "" if total is None else f" ({total:,})"
                self._console.print(f"  {label}{counted}: {ended}{seconds:.0f} s")
            if self._depth == 0:
                self._stop()

    def _start(self) -> None:
        """The libraries' logs go above the bars: their handlers hold the stream that they found when they were made."""
        before = sys.stderr
        self._handlers = [one for one in _stream_handlers() if one.stream is before]
        self._bars.start()
        for handler in self._handlers:
            handler.setStream(sys.stderr)

    def _stop(self) -> None:
        self._bars.stop()
        for handler in self._handlers:
            handler.setStream(sys.stderr)


def _stream_handlers() -> list["logging.StreamHandler[TextIO]"]:
    loggers = [logging.root, *logging.Logger.manager.loggerDict.values()]
    handlers = [one for logger in loggers if isinstance(logger, logging.Logger) for one in logger.handlers]
    return [one for one in handlers if type(one) is logging.StreamHandler]


class Plain:
    """One line when a stage begins, one every quarter minute, one at its end; for logs and pipes."""

    @contextmanager
    def stage(self, label: str, total: int | None) -> Iterator[Advance]:
        """Lines on stderr."""
        started = last_line = time.perf_counter()
        done = 0
        label = terminal.one_line(label)
        print(f"{label} ..." if total is None else f"{label} (0/{total}) ...", file=sys.stderr, flush=True)

        def advance(n: int) -> None:
            nonlocal done, last_line
            done += n
            now = time.perf_counter()
            if total and done < total and now - last_line >= PLAIN_EVERY_SECONDS:
                left = (now - started) / max(done, 1) * (total - done)
                print(f"{label} ({done}/{total}), about {left:.0f} s left", file=sys.stderr, flush=True)
                last_line = now

        yield advance
        print(f"{label}: {time.perf_counter() - started:.1f} s", file=sys.stderr, flush=True)


def progress(quiet: bool, note: Path | None = None) -> Progress:
    """The right one for where stderr goes. note: the folder in which `knowpack show` may read how far it is."""
    bars = SILENT if quiet else Watched(terminal.console(err=True)) if sys.stderr.isatty() else Plain()
    return bars if note is None else NotedProgress(bars, note)


def starting(quiet: bool) -> AbstractContextManager[Advance]:
    """Around the imports of a command that needs a model: torch and transformers take seconds."""
    return progress(quiet).stage("starting", None)
