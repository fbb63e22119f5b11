"""What must be the same, byte for byte, however a study was run: its tables, adapters, report."""

from pathlib import Path

from knowpack import store
from knowpack.report import build
from knowpack.run import BESIDE_FIGURES

TIMED = {"manifest.json", "status.json", "train_log.jsonl", "README.md"}  # they hold seconds and dates


def finished(work: Path) -> dict[str, tuple[int, int]]:
    """Every stage's file that is there, with what tells a second writing: inode and time.

    Of the last stage figures.json alone: it is written last and says that the tables beside it are finished.
    """
    files = [path for path in _compared(work) if path.name not in BESIDE_FIGURES]
    return {str(path.relative_to(work)): (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}


def _compared(work: Path) -> list[Path]:
    return [path for path in work.rglob("*") if path.is_file() and not _is_ignored(path)]


def _is_ignored(path: Path) -> bool:
    torn = any(part.endswith((".part", ".parts")) or part in ("training", ".lock") for part in path.parts)
    return torn or path.name in TIMED or "studies" in path.parts


def contents(work: Path) -> dict[str, str]:
    """All tables, figures and adapters by hash; config.yaml names the work directory."""
    files = [path for path in _compared(work) if path.name != "config.yaml"]
    return {str(path.relative_to(work)): store.hash_file(path) for path in files}


def printed(work: Path, study: str) -> dict[str, bytes]:
    """The report's tables and figures, every file."""
    folder = work / "studies" / study
    build(folder)
    found = {path.name: path.read_bytes() for path in folder.rglob("*.*") if path.parent.name in ("tables", "figures")}
    assert {"table2_reliability.csv", "table3_shifts.tex", "matrix.svg"} <= found.keys()
    return found
