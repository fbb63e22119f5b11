"""scripts/same_figures.py: one last digit is a difference; a missing value and a NaN equal themselves."""

import math
import subprocess
import sys
from pathlib import Path

import polars as pl

NEXT = math.nextafter(0.1, 1.0)
SCRIPT = Path(__file__).parents[1] / "scripts" / "same_figures.py"


def work(folder: Path, value: float, figures: str = "[]") -> Path:
    run = folder / "runs" / "cell-0123"
    run.mkdir(parents=True)
    pl.DataFrame({"name": ["a", "b", "c"], "value": [value, float("nan"), None]}).write_parquet(run / "shifts.parquet")
    (run / "figures.json").write_text(figures)
    (run / "manifest.json").write_text(f'{{"seconds": {value}}}')
    return folder


def compared(before: Path, after: Path) -> tuple[int, list[str]]:
    done = subprocess.run([sys.executable, SCRIPT, before, after], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines()


def test_one_last_digit_is_a_difference(tmp_path: Path) -> None:
    before, same, other = (work(tmp_path / name, value) for name, value in zip("abc", (0.1, 0.1, NEXT), strict=True))
    assert compared(before, same) == (0, ["2 files compared, 0 differ, 0 on one side only"])
    code, lines = compared(before, other)
    assert (code, lines[0]) == (1, "differs: runs/cell-0123/shifts.parquet")


def test_a_file_on_one_side_and_other_json_are_named(tmp_path: Path) -> None:
    before, after = work(tmp_path / "a", 0.5), work(tmp_path / "b", 0.5, '[{"value": 0.5}]')
    (after / "runs" / "cell-0123" / "scores.parquet").write_bytes(
        (after / "runs" / "cell-0123" / "shifts.parquet").read_bytes()
    )
    code, lines = compared(before, after)
    assert code == 1
    assert lines == [
        f"only in {after}: runs/cell-0123/scores.parquet",
        "differs: runs/cell-0123/figures.json",
        "2 files compared, 1 differ, 1 on one side only",
    ]


def test_two_empty_folders_are_not_called_the_same(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    assert compared(tmp_path / "a", tmp_path / "a")[0] == 1
