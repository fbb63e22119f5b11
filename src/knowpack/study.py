"""A grid of runs: what is missing is run, a failed cell is reported and the others go on.

StudyConfig -> `work/studies/<name>/`: study.yaml, runs.txt (one run folder's name a line). The base is loaded and
measured once. Running it again continues; adding cells extends. Several processes may work on one study, on one machine
or on many that share a disk: each holds the cell that it runs, and passes by those that others hold.
"""

import time
from dataclasses import asdict
from pathlib import Path

import polars as pl
import torch
import yaml

from knowpack import store
from knowpack.base import Base, folder_lock, open_base
from knowpack.config import RunConfig, StudyConfig
from knowpack.errors import ConfigError, HeldError, KnowpackError
from knowpack.manifest import failure
from knowpack.measure import shifts
from knowpack.progress import SILENT, Progress
from knowpack.records import Shift
from knowpack.run import check, folder_of, run
from knowpack.state import read_state

POLL_SECONDS = 1.0


def study(config: StudyConfig, progress: Progress = SILENT, base: Base | None = None) -> Path:
    """Run all cells that are not done. base: of the first cell, where it is loaded already.

    Returns the study's folder; `cells` says how each one ended.
    """
    runs = config.runs()
    if not runs:
        raise ConfigError(f"the study {config.name} has no cells; add some under cells:")
    folder = Path(config.base.work) / "studies" / config.name
    names = []
    for cell in runs:
        base = _base_for(cell, base, progress)
        check(cell, base)
        names.append(folder_of(cell, base).name)
    with folder_lock(folder, progress):
        settings = config.model_dump(mode="json")
        store.write_text(folder / "study.yaml", yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))
        store.write_text(folder / "runs.txt", "\n".join(names) + "\n")
    with progress.stage(f"study {config.name}: cells", len(runs)) as advance:
        left = runs
        while left:
            others = []
            for cell in left:
                base = _base_for(cell, base, progress)
                if _is_ended(cell, base, waited=left is not runs) or _run_one(cell, base, progress):
                    advance(1)
                else:
                    others.append(cell)
            if len(others) == len(left):
                time.sleep(POLL_SECONDS)
            left = others
    for cell, sham in config.grid():
        if sham is not None:
            base = _base_for(cell, base, progress)
            _beside(folder_of(cell, base), folder_of(sham, base), base.facts)
    return folder


def _beside(cell: Path, sham: Path, facts: pl.DataFrame) -> None:
    """Write sham.json into a finished cell's folder: what the sham's training cost, and the cell's figures minus it."""
    if any(read_state(folder).state != "done" for folder in (cell, sham)):
        return
    moved, other = (store.read_table(folder / "shifts.parquet", Shift) for folder in (cell, sham))
    found = [figure for figure in shifts.summary(moved, facts, sham=other) if "sham" in figure.name]
    with store.lock(cell, POLL_SECONDS * 60):
        store.write_json(cell / "sham.json", [asdict(figure) for figure in found])
        store.record(cell, "sham.json")


def _is_ended(cell: RunConfig, base: Base, waited: bool) -> bool:
    """Done; or failed in the hands of another process for which this one waited."""
    state = read_state(folder_of(cell, base)).state
    return state == "done" or (waited and state == "failed")


def _run_one(cell: RunConfig, base: Base, progress: Progress) -> bool:
    """Run a cell; False where another process holds it: it is looked at again when the others are through.

    A cell's own failure is written to its status.json by `run`; the study goes on. What is not written there is no
    failure of this cell alone (the base; a disk too full to say so), and ends it.
    """
    try:
        run(cell, base, progress, wait=False)
    except HeldError:
        return False
    except (KnowpackError, ValueError, ArithmeticError, OSError, MemoryError, torch.OutOfMemoryError) as error:
        now = read_state(folder_of(cell, base))
        if now.state != "failed" or now.error != failure(error):
            raise
    return True


def _base_for(cell: RunConfig, base: Base | None, progress: Progress) -> Base:
    """The base in memory where the cell asks for the same model, facts and prompts; else it is loaded."""
    if base is not None and base.serves(cell):
        return base
    return open_base(cell, progress)
