"""Imports go down the layers only; the command line starts without torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "src" / "knowpack"

# From the bottom up. A module may import from strictly lower layers, and from its own room.
LAYERS = [
    {"errors", "seeds"},
    {"records", "progress", "settings"},
    {"store", "stats", "paper", "config", "console"},
    {"grading", "prompts", "cells"},
    {"lab"},
    {"facts", "model"},
    {"probe", "knowledge", "mix", "replay", "shifts", "causes", "collapse", "bench"},
    {"base"},
    {"manifest"},
    {"run"},
    {"study", "pack", "diff"},
    {"show"},
    {"report"},
    {"cli"},
]
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
# These files inside a room are part of the command line, or measure the whole as a user does: anything below serves.
TOP = LEVEL["cli"]
ON_TOP = ("cli.py", "__main__.py", "lab/card.py")


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("knowpack.")}
    return found & LEVEL.keys()


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down(path: Path) -> None:
    room = room_of(path)
    if room == "__init__":
        return
    level = TOP if str(path.relative_to(ROOT)).endswith(ON_TOP) else LEVEL[room]
    wrong = {other for other in imported_rooms(path) if other != room and LEVEL[other] >= level}
    assert not wrong, f"{path.name} (layer {level}) imports {wrong} from its own layer or above"


def test_relative_imports_are_not_used() -> None:
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            assert not (isinstance(node, ast.ImportFrom) and node.level), f"{path}: relative import"


def test_help_imports_no_torch() -> None:
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from knowpack.cli import app\n"
        "result = CliRunner().invoke(app, ['--help'])\n"
        "assert result.exit_code == 0, result.output\n"
        "heavy = {'torch', 'transformers', 'peft', 'lm_eval', 'matplotlib', 'datasets'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
