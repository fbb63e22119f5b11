"""Imports go down only, between rooms and between files; the command line starts without torch.

Prints what it counted (`pytest -s`, or `make check`): root modules, upward imports, circles.
"""

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1] / "src" / "knowpack"
MOST_ROOT_MODULES = 14

# From the bottom up. A room may import from strictly lower layers, and from itself.
LAYERS = [
    {"errors", "seeds", "progress"},
    {"settings", "presets"},
    {"records", "config"},
    {"store", "paper"},
    {"state", "lab"},
    {"measure"},
    {"facts", "model"},
    {"facts.graphs", "probe"},
    {"decode"},
    {"served"},
    {"train", "bench"},
    {"base"},
    {"manifest"},
    {"further"},
    {"run_figures", "run_replay", "run_epochs"},
    {"run"},
    {"forecast"},
    {"study", "pack", "diff", "export"},
    {"workers"},
    {"report"},
    {"api"},
    {"cli"},
    {"__main__"},
]
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in sorted(ROOT.rglob("*.py"))}


def room_of(module: str) -> str:
    """The longest beginning of the dotted name that has a layer."""
    parts = module.split(".")
    return next(name for n in range(len(parts), 0, -1) if (name := ".".join(parts[:n])) in LEVEL)


def imports(path: Path) -> set[str]:
    """Modules of knowpack that a file imports, wherever the statement stands (for types only, too)."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            _, _, inside = name.partition("knowpack.")
            if name.startswith("knowpack.") and inside:
                found.add(inside if inside in MODULES else inside.rpartition(".")[0] or inside)
    return (found & MODULES.keys()) - {module_of(path)}


GRAPH = {module: imports(path) for module, path in MODULES.items() if module}


def circles(graph: dict[str, set[str]]) -> list[str]:
    """The modules that cannot be put in an order in which each one imports only what stands before it."""
    left = {module: set(targets) for module, targets in graph.items()}
    while free := [module for module, targets in left.items() if not targets & left.keys()]:
        for module in free:
            del left[module]
    return sorted(left)


def upward() -> list[str]:
    return [
        f"{module} imports {target}"
        for module, targets in GRAPH.items()
        for target in targets
        if room_of(module) != room_of(target) and LEVEL[room_of(target)] >= LEVEL[room_of(module)]
    ]


def root_modules() -> list[str]:
    return sorted(module for module in MODULES if module and "." not in module and MODULES[module].stem != "__init__")


def test_imports_go_down_and_in_no_circle() -> None:
    print(f"\nroot modules {len(root_modules())}, upward imports {len(upward())}, import circles {len(circles(GRAPH))}")
    assert upward() == []
    assert circles(GRAPH) == []
    assert len(root_modules()) <= MOST_ROOT_MODULES


def test_a_circle_and_an_upward_import_are_seen() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}, "e": set()}) == ["a", "b", "c", "d"]
    assert "store" in imports(ROOT / "run.py")
    assert "train.train" in imports(ROOT / "run.py")  # inside a function
    assert "train.base_answers" in imports(ROOT / "run_replay.py")  # inside a function, and for types only


def test_no_two_files_have_one_name() -> None:
    """A command's file may be called as the room that it drives, and a room's main file as the room."""
    named = [module for module in MODULES if not module.startswith("cli.") and "__" not in module]
    names = Counter(module.rpartition(".")[2] for module in named)
    rooms = {module.rpartition(".")[2] for module, path in MODULES.items() if path.stem == "__init__"}
    assert [name for name, n in names.items() if n > (2 if name in rooms else 1)] == []


def test_relative_imports_are_not_used() -> None:
    for path in MODULES.values():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.ImportFrom) and node.level), f"{path}: relative import"


def test_help_imports_no_torch() -> None:
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from knowpack.cli.main import app\n"
        "result = CliRunner().invoke(app, ['--help'])\n"
        "assert result.exit_code == 0, result.output\n"
        "heavy = {'torch', 'transformers', 'peft', 'lm_eval', 'matplotlib', 'datasets'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
