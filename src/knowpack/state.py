"""How the runs of a work directory stand: done, running, stopped, failed, missing. Reads files, never a model.

A run's folder -> Cell; a study's, or the whole work directory -> one Line a run. Written by manifest.recorded
(status.json) and study.study (runs.txt).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from knowpack import store
from knowpack.errors import ConfigError, StoreError

STAGES = ("mix", "train", "probe", "knowledge", "shifts", "bench", "figures")  # in the order of run.py


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
    """How one run stands, from its status.json and manifest; what is damaged stands as it must be treated."""
    path = folder / "status.json"
    if not path.is_file():
        return Cell(folder, "missing", None)
    try:
        status = store.read_json(path)
        lacking = store.lacking(folder)
    except StoreError as error:
        return Cell(folder, "stopped", str(error))
    if not isinstance(status, dict) or "state" not in status:
        return Cell(folder, "stopped", f"{path} has no state")
    state = str(status["state"])
    if state == "running" and store.holder(folder) is None:
        state = "stopped"
    if state == "done" and lacking:
        return Cell(folder, "stopped", f"{', '.join(lacking[:3])} is gone; the same command makes it again")
    return Cell(folder, state, status.get("error"))


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
    try:
        manifest = store.read_manifest(cell.folder)
    except StoreError as error:
        return Line(cell.folder.name, cell.state, "", 0.0, cell.error or str(error))
    found = manifest.get("stages")
    stages = found if isinstance(found, dict) else {}
    known = [name for name in STAGES if name in stages] + sorted(set(stages) - set(STAGES))
    seconds = sum(float(stage["seconds"]) for stage in stages.values())
    return Line(cell.folder.name, cell.state, " ".join(known), seconds, cell.error)
