"""One worker of a study: a process, on whatever machine, that takes cells until it finds none that is free.

What travels to it is text: the study as JSON, the directory that its paths start from, when the study was begun. It
needs knowpack and the same work directory, nothing else; all that it makes lies there, so that a worker can be lost at
any moment.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from knowpack.config import StudyConfig
from knowpack.errors import KnowpackError
from knowpack.progress import Progress
from knowpack.study import lay_out, measure_bases, run_cells

Part = Literal["base", "cells"]
POLL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Worker:
    """Everything that a worker is told."""

    study: str
    """StudyConfig as JSON."""
    directory: str
    """Where relative paths start: a disk that all workers see."""
    since: float
    """When the study was begun (`study.begun`)."""
    progress: Progress

    def __call__(self, part: Part) -> str | None:
        """Lay the study out and measure its bases; or take cells. Returns a user's mistake in one line, else None."""
        os.chdir(self.directory)
        config = StudyConfig.model_validate_json(self.study)
        try:
            if part == "base":
                measure_bases(config, lay_out(config, self.progress), self.progress)
            else:
                run_cells(config, self.since, self.progress, wait=False)
        except KnowpackError as error:
            return str(error)
        return None


class WorkerEnd(NamedTuple):
    """How one worker ended."""

    error: str | None
    """In one line; None = all is well."""
    is_lost: bool = False
    """Its process or machine is gone: what it left is taken up by another. Else the study cannot go on."""


class Executor(Protocol):
    """Whoever starts workers."""

    def run(self, worker: Worker, part: Part, n: int, logs: Path, poll: Callable[[], None]) -> Sequence[WorkerEnd]:
        """Start n workers at one part and return when all have ended. logs: a folder for what they print.

        poll: call it about every POLL_SECONDS meanwhile. Raises ConfigError where its settings are wrong.
        """
        ...
