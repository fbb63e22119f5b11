"""Are the figures of two work directories the same, to the last digit? CONTRIBUTING.md: "The same figures".

    git worktree add --detach ../before main
    PYTHONPATH=../before/src python -m knowpack study examples/demo.yaml base.work=out/before
    python -m knowpack study examples/demo.yaml base.work=out/after
    python scripts/same_figures.py out/before out/after

Compared are the values and types of every parquet table, every JSON of figures, the report's tables as CSV and the
adapters' weights, file by file; not what holds times and paths: manifest, status, configuration, logs, pages. Prints
how many were compared and which differ, or are on one side only; exit code 1 where any does.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl

FIGURES = ("figures.json", "sham.json")


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__)
        return 2
    before, after = (Path(argument) for argument in sys.argv[1:])
    here, there = figures_in(before), figures_in(after)
    alone = sorted(here.keys() ^ there.keys())
    differing = [name for name in sorted(here.keys() & there.keys()) if not same(here[name], there[name])]
    for name in alone:
        print(f"only in {before if name in here else after}: {name}")
    for name in differing:
        print(f"differs: {name}")
    n = len(here.keys() & there.keys())
    print(f"{n} files compared, {len(differing)} differ, {len(alone)} on one side only")
    return 1 if differing or alone or n == 0 else 0


def figures_in(work: Path) -> dict[str, Path]:
    """Name below the work directory -> file, of all that holds figures."""
    files = [path for path in work.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return {path.relative_to(work).as_posix(): path for path in files if reader_of(path) is not None}


def reader_of(path: Path) -> Callable[[Path], pl.DataFrame | bytes] | None:
    """What reads a file's figures; None where it holds none."""
    if any(part.endswith((".part", ".parts")) or part == "training" for part in path.parts):
        return None  # of what was killed
    if path.suffix == ".parquet":
        return pl.read_parquet
    if path.name in FIGURES or path.suffix == ".safetensors" or (path.suffix == ".csv" and "tables" in path.parts):
        return Path.read_bytes
    return None


def same(path: Path, other: Path) -> bool:
    """Do both hold the same values? Of tables also the columns' names, order and types; missing equals missing."""
    reader = reader_of(path)
    assert reader is not None, "only files with a reader are listed"
    first, second = reader(path), reader(other)
    if isinstance(first, pl.DataFrame) and isinstance(second, pl.DataFrame):
        return first.schema == second.schema and first.equals(second)
    return first == second


if __name__ == "__main__":
    sys.exit(main())
