"""How the runs of a work directory stand: done, running, stopped, failed, missing. Reads files, never a model.

A run's folder -> Cell; a study's, or the whole work directory -> one Line a run. Written by manifest.recorded
(status.json) and study.study (runs.txt).
"""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from knowpack import store
from knowpack.errors import ConfigError, StoreError

BENCH = "bench"
"""The folder of a run's benchmarks."""
NOTE, NOTE_LIVES_SECONDS = ".now.json", 60.0  # what the command line notes while it works; older: it was killed
STAGES = ("mix", "train", "further-base", "probe", "further", "knowledge", "shifts", "bench", "figures")  # as run.py


class Cell(NamedTuple):
    """One run and how it stands."""

    folder: Path
    state: str
    """done, running, stopped (killed on its way), failed or missing."""
    error: str | None
    """The error in one line, where it failed."""


def cells(study: Path) -> Iterator[Cell]:
    """How each run of a study stands, in the study's order; `study` is its folder."""
    for name in run_names(study):
        yield read_state(study.parent.parent / "runs" / name)


def run_names(study: Path) -> list[str]:
    """The folders of a study's runs, in its order. Raises ConfigError where it is no study, StoreError for a damaged
    list."""
    path = study / "runs.txt"
    try:
        return path.read_text(encoding="utf-8").split()
    except OSError:
        raise ConfigError(f"{study} is no study: it has no runs.txt") from None
    except UnicodeDecodeError:
        raise StoreError(f"{path} is damaged; run the same study again: it is written anew, and no run is") from None


def read_state(folder: Path) -> Cell:
    """How one run stands, from its status.json and manifest; what is damaged stands as it must be treated."""
    path = folder / "status.json"
    if not path.is_file():
        return Cell(folder, "missing", None)
    try:
        status = store.read_json(path)
        lacking = gone(folder)
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


def gone(folder: Path) -> list[str]:
    """Finished files of a run that are not there any more, those of its benchmarks too, which have a manifest of their
    own; lm-eval's own results are for people, and nothing is made of them."""
    of_bench = [f"{BENCH}/{name}" for name in store.lacking(folder / BENCH) if not name.startswith("lm_eval/")]
    return store.lacking(folder) + of_bench


class Line(NamedTuple):
    """One run."""

    name: str
    """Of its folder."""
    label: str
    """As its settings name it; the folder's name where it has not begun."""
    seed: int | None
    """None = it has not begun."""
    state: str
    stages: str
    """The stages that are done, in order."""
    step: str
    """The stage that comes next, and which one of how many it is; empty where all is done."""
    seconds: float
    """The whole command, or all stages together where that was not kept."""
    left: float | None
    """Seconds, by the mean of the runs that are done; None = nothing to go by."""
    error: str | None
    worker: str | None
    """Who runs it now: process and host."""


class Now(NamedTuple):
    """What the process that works in a folder is doing."""

    label: str
    done: int
    total: int | None
    left: float | None
    """Seconds left of this stage; None = not known."""


def listing(folder: Path) -> list[Line]:
    """A study's runs in its order, all runs of a work directory by name, or the one of a pack, a diff or a run."""
    lines = [_line(cell) for cell in _cells(folder)]
    took = [line.seconds for line in lines if line.state == "done" and line.seconds]
    if not took:
        return lines
    mean = sum(took) / len(took)
    unfinished = ("running", "stopped", "missing")
    return [one._replace(left=max(0.0, mean - one.seconds)) if one.state in unfinished else one for one in lines]


def now(folder: Path) -> Now | None:
    """The stage that a running command noted last (NOTE, beside what it writes); None where none is running."""
    path = folder / NOTE
    try:
        note = store.read_json(path) if path.is_file() else None
        stale = time.time() - path.stat().st_mtime > NOTE_LIVES_SECONDS if note else True
    except (StoreError, OSError):  # written anew, or removed, at this moment
        return None
    if stale or not isinstance(note, dict):
        return None
    return Now(str(note["label"]), int(note["done"]), note["total"], note["left"])


def _cells(folder: Path) -> Iterator[Cell]:
    if (folder / "runs.txt").is_file():
        return cells(folder)
    if (folder / "status.json").is_file():
        return iter([read_state(folder)])
    if (folder / "runs").is_dir():
        return (read_state(run) for run in sorted((folder / "runs").iterdir()))
    what = "holds no study and no runs" if folder.is_dir() else "is a file" if folder.exists() else "is not there"
    raise ConfigError(f"{folder} {what}; give a work directory or a study inside it")


def _line(cell: Cell) -> Line:
    try:
        manifest = store.read_manifest(cell.folder)
    except StoreError as error:
        return Line(
            name=cell.folder.name,
            label=cell.folder.name,
            seed=None,
            state=cell.state,
            stages="",
            step="",
            seconds=0.0,
            left=None,
            error=cell.error or str(error),
            worker=_worker(cell),
        )
    stages_read = manifest.get("stages")
    stages = stages_read if isinstance(stages_read, dict) else {}
    known = [name for name in STAGES if name in stages] + sorted(set(stages) - set(STAGES))
    value = manifest.get("seconds")
    summed = sum(float(stage["seconds"]) for stage in stages.values())
    seconds = float(value) if isinstance(value, int | float) else summed
    label, seed = str(manifest.get("label") or cell.folder.name), manifest.get("seed")
    if "request" in manifest:  # a folder of the user's choice: a pack, a diff
        label = cell.folder.name
    return Line(
        name=cell.folder.name,
        label=label,
        seed=seed if isinstance(seed, int) else None,
        state=cell.state,
        stages=" ".join(known),
        step="" if cell.state == "done" else _step(stages),
        seconds=seconds,
        left=None,
        error=cell.error,
        worker=_worker(cell),
    )


def _step(stages: Mapping[str, object]) -> str:
    """bench is a stage of every run, done at once where no task is asked; attempts of a pack come before all."""
    left = [name for name in STAGES if name not in stages]
    attempts = [name for name in stages if name.startswith("validate ")]
    if attempts and len(left) == len(STAGES):
        return f"attempt {len(attempts)} validated"
    return f"{left[0]} ({len(STAGES) - len(left) + 1} of {len(STAGES)})" if left else ""


def _worker(cell: Cell) -> str | None:
    holder = store.holder(cell.folder) if cell.state == "running" else None
    return f"{holder.number} on {holder.host}" if holder else None
