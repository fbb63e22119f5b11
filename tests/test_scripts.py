"""Scripts and benchmarks, which no other test imports: the names that they import are there."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = (ROOT / "src", ROOT / "benchmarks", ROOT / "scripts", ROOT / "scripts" / "reaching")
FILES = sorted([*(ROOT / "benchmarks").rglob("*.py"), *(ROOT / "scripts").rglob("*.py")])


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_what_a_script_imports_is_defined_where_it_looks_for_it(file: Path) -> None:
    """cities.py imported a function by the name that it had before: the table of facts could not be built again."""
    missing = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        module = _file_of(node.module) if isinstance(node, ast.ImportFrom) and node.module else None
        if module is not None:
            assert isinstance(node, ast.ImportFrom)
            names = _defined(module)
            missing += [f"{node.module}.{one.name}" for one in node.names if one.name not in names]
    assert missing == []


def _file_of(module: str) -> Path | None:
    """Of this repository; None for others' modules."""
    for folder in FOLDERS:
        path = folder.joinpath(*module.split("."))
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return file
    return None


def _defined(file: Path) -> set[str]:
    """Names that the file defines itself; of a package its files, and what it imports to hand on, too."""
    names: set[str] = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {one.id for target in node.targets for one in ast.walk(target) if isinstance(one, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
        elif isinstance(node, ast.ImportFrom) and file.name == "__init__.py":
            names |= {one.asname or one.name for one in node.names}
    if file.name == "__init__.py":
        names |= {one.stem for one in file.parent.glob("*.py")} | {one.name for one in file.parent.iterdir()}
    return names
