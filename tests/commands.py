"""Commands called in this process, on what tiny.save_all left in a folder."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from knowpack.cli import main as cli
from knowpack.config import KeepRecipe


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


def capacity(given: Path, ranks: str = "1") -> list[object]:
    """`knowpack capacity` on the folder's model, two adapters of two facts a rank; --out is missing."""
    asked: list[object] = ["capacity", "--model", given / "model", "--known", given / "facts.parquet"]
    asked += ["--shots", given / "shots.csv", "--work", given / "work", "--sample", 32, "--ranks", ranks, "--loads", 2]
    for setting in ("probe.n_prompts=1", "probe.n_shots=1", "probe.max_new_tokens=4"):
        asked += ["--set", setting]
    return [*asked, "--quiet"]


def two_steps(_: str, rank: int, *__: int) -> KeepRecipe:
    """In place of `recipes.for_model`: pack's recipe, shortened to what shows that it ran."""
    few = {"n_replay": 8, "n_made_up": 0, "n_texts": 0, "n_contexts": 0, "max_steps": 2, "tail_steps": 2}
    return KeepRecipe(rank=rank, alpha=rank, batch_size=4, replay_batch=4, from_layer=0, **few)
