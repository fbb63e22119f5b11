"""What lies in a work directory: runs done, running, stopped, failed, missing.

A folder (a study's, or the whole work directory) -> one line a run.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from knowpack import store
from knowpack.cells import Cell, cells, read_state
from knowpack.errors import ConfigError

STAGES = ("mix", "train", "probe", "knowledge", "shifts", "bench", "figures")  # in the order of run.py


class Line(NamedTuple):
    """One run."""

    name: str
    state: str
    stages: str
    """The stages that are done, in order."""
    seconds: float
    """All stages together."""
    error: str | None


def listing(folder: Path) -> list[Line]:
    """A study's runs in its order, or all runs of a work directory by name."""
    return [_line(cell) for cell in _cells(folder)]


def _cells(folder: Path) -> Iterator[Cell]:
    if (folder / "runs.txt").is_file():
        return cells(folder)
    if (folder / "status.json").is_file():
        return iter([read_state(folder)])
    if (folder / "runs").is_dir():
        return (read_state(run) for run in sorted((folder / "runs").iterdir()))
    raise ConfigError(f"{folder} holds no study and no runs; give a work directory or a study inside it")


def _line(cell: Cell) -> Line:
    path = cell.folder / "manifest.json"
    manifest = store.read_json(path) if path.is_file() else {}
    stages = manifest.get("stages", {}) if isinstance(manifest, dict) else {}
    known = [name for name in STAGES if name in stages] + sorted(set(stages) - set(STAGES))
    seconds = sum(float(stage["seconds"]) for stage in stages.values())
    return Line(cell.folder.name, cell.state, " ".join(known), seconds, cell.error)
