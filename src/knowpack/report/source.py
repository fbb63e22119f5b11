"""What lies in a work directory, as the report reads it: a study, a run, a pack or a diff. Never a model.

A folder -> Source, with a Run (finished_run.py) for every finished cell.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

import polars as pl

from knowpack.errors import StoreError
from knowpack.report.finished_run import Run, json_object
from knowpack.state import read_state, run_names

Kind = Literal["study", "run", "pack", "diff"]


class Unfinished(NamedTuple):
    """A cell without results."""

    name: str
    state: str
    """failed, running, stopped or missing."""
    error: str
    """"" where it did not end with one."""

    @property
    def line(self) -> str:
        """The cell, its state and its error, for a person."""
        return ": ".join(filter(None, (self.name, self.state, self.error)))


@dataclass(frozen=True)
class Source:
    """All that one report is made of."""

    folder: Path
    title: str
    kind: Kind
    runs: tuple[Run, ...]
    unfinished: tuple[Unfinished, ...]

    @cached_property
    def facts(self) -> pl.DataFrame:
        """The facts that any run was asked about: a study of two models or tables does not ask all runs the same."""
        of_bases: dict[str, pl.DataFrame] = {}
        for run in self.runs:
            if run.base_name not in of_bases:
                of_bases[run.base_name] = run.facts()
        return pl.concat(of_bases.values()).unique("fact_id", keep="first", maintain_order=True)


def load(folder: Path) -> Source:
    """Find out what `folder` is and what is in it. Raises StoreError where there is nothing to report."""
    folder = folder.resolve()
    if (folder / "runs.txt").is_file():
        return _study(folder)
    if not folder.exists():
        raise StoreError(f"there is no folder {folder}; give that of a study, run, pack or diff")
    if not (folder / "shifts.parquet").is_file():
        raise StoreError(
            f"{folder} is no study (no runs.txt) and no finished run (no shifts.parquet); "
            "give the folder of a study, run, pack or diff"
        )
    run = _run(folder, folder.parent.parent)
    kind: Kind = "pack" if (folder / "pack.json").is_file() else "run" if run.log else "diff"
    return Source(folder, run.label, kind, (run,), ())


def _study(folder: Path) -> Source:
    work = folder.parent.parent
    runs, unfinished = [], []
    for name in run_names(folder):
        path = work / "runs" / name
        stands = read_state(path)
        finished = stands.state in ("done", "missing")  # missing: a folder laid out by hand, without status.json
        if finished and (path / "shifts.parquet").is_file() and (path / "manifest.json").is_file():
            runs.append(_run(path, work))
        else:
            unfinished.append(Unfinished(name, stands.state, stands.error or ""))
    if not runs:
        raise StoreError(f"no run of {folder} is finished yet; run the study again, it goes on where it was")
    return Source(folder, folder.name, "study", tuple(runs), tuple(unfinished))


def _run(folder: Path, work: Path) -> Run:
    manifest = json_object(folder / "manifest.json")
    named = [str(manifest[key]) for key in ("base_dir", "base_hash") if manifest.get(key)]
    places = [place / text for text in named for place in (folder, work, work / "base")]
    base = next((place.resolve() for place in (*places, folder / "base") if place.is_dir()), None)
    return Run(folder, manifest, base)
