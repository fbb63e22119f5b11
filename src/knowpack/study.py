"""A grid of runs: what is missing is run, a failed cell is reported and the others go on.

StudyConfig -> `work/studies/<name>/`: study.yaml, runs.txt (one run folder's name a line). The base is loaded and
measured once. Running it again continues; adding cells extends. Several processes may work on one study, on one machine
or on many that share a disk: each holds the cell that it runs, and passes by those that others hold. `study` is all of
it in one process; workers/ starts many, each with `run_cells`.
"""

import time
from dataclasses import asdict
from pathlib import Path

import torch
import yaml

from knowpack import store
from knowpack.base import Base, measure_base, measure_knowledge, open_base
from knowpack.bench.task_names import check_names
from knowpack.config import BenchConfig, RunConfig, StudyConfig
from knowpack.config.shard import Shard
from knowpack.errors import ConfigError, KnowpackError, LockedError, StoreError
from knowpack.manifest import failure
from knowpack.measure import shifts
from knowpack.progress import SILENT, Progress
from knowpack.records import Fact, Shift
from knowpack.run import check, folder_of, lacking, run
from knowpack.state import cells, read_state, run_names
from knowpack.train.drawable import check_runs

POLL_SECONDS = 1.0


def study(
    config: StudyConfig, progress: Progress = SILENT, base: Base | None = None, shard: Shard | None = None
) -> Path:
    """Run all cells, or a shard's, that are not done. base: of the first cell, where it is loaded already.

    Returns the study's folder; `cells` says how each one ended.
    """
    since = begun(config)
    run_cells(config, since, progress, base=lay_out(config, progress, base), shard=shard)
    compare_shams(config)
    return folder_of_study(config)


def folder_of_study(config: StudyConfig) -> Path:
    """work/studies/<name>."""
    return Path(config.base.work) / "studies" / config.name


def begun(config: StudyConfig) -> float:
    """Now, by the clock of the disk that the study lies on, in seconds: a cell that failed before is run again.

    Raises ConfigError for a study without cells, BenchError for a benchmark that does not exist, in whichever cell.
    """
    if not config.cells or not config.seeds:
        raise ConfigError(f"the study {config.name} has no cells; add some under cells:")
    looked_at = [BenchConfig()]
    for cell in config.runs():
        if cell.bench not in looked_at:
            check_names(cell.bench)
            looked_at.append(cell.bench)
    return store.disk_seconds(folder_of_study(config))


def lay_out(config: StudyConfig, progress: Progress = SILENT, base: Base | None = None) -> Base:
    """Check every cell, before a model is loaded where that can be; write study.yaml and runs.txt.

    Returns the last cell's base, loaded.
    """
    folder = folder_of_study(config)
    if base is None:
        check_runs(config.runs())
    names = []
    for cell in config.runs():
        base = _serving(base, cell)
        base = open_base(cell, progress) if base is None else base
        check(cell, base)
        names.append(folder_of(cell, base).name)
    assert base is not None, "`begun` refuses a study without cells"
    with store.folder_lock(folder, progress):
        store.write_text(folder / "study.yaml", _as_yaml(config))
        store.write_text(folder / "runs.txt", "\n".join(names) + "\n")
    return base


def measure_bases(config: StudyConfig, base: Base | None, progress: Progress = SILENT) -> None:
    """Ask every base of the grid what its cells need; what is on disk already is kept. A cell whose mix cannot be drawn
    needs nothing: whoever takes it says so."""
    for cell in config.runs():
        base = _serving(base, cell)
        base = open_base(cell, progress) if base is None else base
        measure_knowledge(base, cell, progress)
        if lacking(cell, base) is None:
            measure_base(base, cell, progress)


def run_cells(
    config: StudyConfig,
    since: float,
    progress: Progress = SILENT,
    *,
    base: Base | None = None,
    shard: Shard | None = None,
    wait: bool = True,
) -> None:
    """Take cells until all have ended. since: `begun`; a cell that failed after it has had its turn.

    base: one in memory already; another is loaded where a cell is free, and not to see that it has ended. wait: for
    cells that others hold, in case those processes are lost; else the worker leaves when it finds nothing to do.
    """
    runs, folders = config.runs(), _laid_out(config)
    left = list(shard.part(range(len(runs))) if shard else range(len(runs)))
    with progress.stage(f"study {config.name}: cells", len(left)) as advance:
        while left:
            others = []
            for number in left:
                cell, folder = runs[number], folders.get(number)
                ended = folder is not None and is_ended(folder, since)
                if not ended and (folder is None or store.holder(folder) is None):
                    base = _serving(base, cell)
                    base = open_base(cell, progress) if base is None else base
                    folders[number] = folder_of(cell, base)
                    ended = is_ended(folders[number], since) or _run_one(cell, base, progress)
                if ended:
                    advance(1)
                else:
                    others.append(number)
            if len(others) == len(left):
                if not wait:
                    return
                time.sleep(POLL_SECONDS)
            left = others


def _laid_out(config: StudyConfig) -> dict[int, Path]:
    """Each cell's folder, by the cell's number, as `lay_out` named them; none where another grid was laid out since."""
    folder = folder_of_study(config)
    try:
        named = run_names(folder)
        written = (folder / "study.yaml").read_text(encoding="utf-8")
    except (ConfigError, StoreError, OSError, UnicodeDecodeError):
        return {}
    runs = config.runs()
    if written != _as_yaml(config) or len(named) != len(runs):
        return {}
    return {i: Path(cell.work) / "runs" / name for i, (cell, name) in enumerate(zip(runs, named, strict=True))}


def _as_yaml(config: StudyConfig) -> str:
    return str(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True))


def is_ended(folder: Path, since: float) -> bool:
    """Done; or failed in whatever process since this study was begun."""
    state = read_state(folder).state
    if state != "failed":
        return state == "done"
    try:
        return (folder / "status.json").stat().st_mtime >= since
    except OSError:
        return False


def compare_shams(config: StudyConfig) -> None:
    """Write sham.json beside every cell that has a sham, where both are done; needs no model."""
    ended = cells(folder_of_study(config))
    for _, sham in config.grid():
        beside = next(ended) if sham is not None else None
        cell = next(ended)
        if beside is not None and cell.state == beside.state == "done":
            _beside(cell.folder, beside.folder)


def _beside(cell: Path, sham: Path) -> None:
    """What the sham's training cost, and the cell's figures minus it."""
    base = cell / str(store.read_manifest(cell)["base_dir"])
    facts = store.read_table(base / "facts.parquet", Fact)
    moved, other = (store.read_table(folder / "shifts.parquet", Shift) for folder in (cell, sham))
    figures = [figure for figure in shifts.summary(moved, facts, sham=other) if "sham" in figure.name]
    with store.lock(cell, POLL_SECONDS * 60):
        store.write_json(cell / "sham.json", [asdict(figure) for figure in figures])
        store.record(cell, "sham.json")


def _run_one(cell: RunConfig, base: Base, progress: Progress) -> bool:
    """Run a cell; False where another process holds it: it is looked at again when the others are through.

    A cell's own failure is written to its status.json by `run`; the study goes on. What is not written there is no
    failure of this cell alone (the base; a disk too full to say so), and ends it.
    """
    try:
        run(cell, base, progress, wait=False)
    except LockedError:
        return False
    except (KnowpackError, ValueError, ArithmeticError, OSError, MemoryError, torch.OutOfMemoryError) as error:
        now = read_state(folder_of(cell, base))
        if now.state != "failed" or now.error != failure(error):
            raise
    return True


def _serving(base: Base | None, cell: RunConfig) -> Base | None:
    """The base in memory where the cell asks for the same model, facts and prompts; else None, which its holder keeps
    in its place: one model is gone before the next is loaded."""
    return base if base is not None and base.serves(cell) else None
