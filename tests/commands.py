"""Commands called in this process, on what tiny.save_all left in a folder."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from knowpack.cli import main as cli


def call(monkeypatch: pytest.MonkeyPatch, *args: object) -> int:
    """Run a command in this process; its exit code."""
    monkeypatch.setattr(sys, "argv", ["knowpack", *map(str, args)])
    try:
        cli.main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def options(given: Path, settings: Sequence[str]) -> list[object]:
    """Model, facts and shots of the folder, and settings as key=value."""
    small = [part for setting in settings for part in ("--set", setting)]
    return ["--model", given / "model", "--facts", given / "facts.parquet", "--shots", given / "shots.csv", *small]
