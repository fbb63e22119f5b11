"""How the runs of a work directory stand: done, running, stopped, failed, missing. Reads files, never a model.

A run's folder, or a study's -> Cell. Written by manifest.recorded (status.json) and study.study (runs.txt).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from knowpack import store
from knowpack.errors import ConfigError, KnowpackError


class Cell(NamedTuple):
    """One run and how it stands."""

    folder: Path
    state: str
    """done, running, stopped (killed on its way), failed or missing."""
    error: str | None
    """The error in one line, where it failed."""


def cells(study: Path) -> Iterator[Cell]:
    """How each run of a study stands, in the study's order; `study` is its folder."""
    try:
        names = (study / "runs.txt").read_text(encoding="utf-8").split()
    except OSError:
        raise ConfigError(f"{study} is no study: it has no runs.txt") from None
    for name in names:
        yield read_state(study.parent.parent / "runs" / name)


def read_state(folder: Path) -> Cell:
    """How one run stands, from its status.json."""
    path = folder / "status.json"
    if not path.is_file():
        return Cell(folder, "missing", None)
    status = store.read_json(path)
    if not isinstance(status, dict) or "state" not in status:
        return Cell(folder, "failed", f"{path} has no state")
    state = str(status["state"])
    if state == "running" and not _is_held(folder):
        state = "stopped"
    return Cell(folder, state, status.get("error"))


def _is_held(folder: Path) -> bool:
    try:
        with store.lock(folder):
            return False
    except KnowpackError:
        return True
