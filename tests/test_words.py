"""One word an idea: participles that stood for three things each name nothing (CONTRIBUTING.md, "Plain words")."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
WORDS = {"told", "asked", "held", "taught", "said", "found"}


def names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of every variable, parameter, function and class."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name


def stumbles(source: str) -> list[tuple[int, str]]:
    return [(line, name) for line, name in names(ast.parse(source)) if name.strip("_").lower() in WORDS]


def test_no_name_is_a_participle_that_means_three_things() -> None:
    files = [path for folder in ("src", "benchmarks", "scripts") for path in sorted((ROOT / folder).rglob("*.py"))]
    assert len(files) > 300
    listed = {str(path.relative_to(ROOT)): stumbles(path.read_text(encoding="utf-8")) for path in files}
    allowed = {"src/knowpack/measure/abstract_claims.py": ["FOUND"]}  # Ruling.FOUND: a claim of the paper is found here
    left = {path: [name for _, name in names] for path, names in listed.items() if names}
    assert left == allowed


def test_each_kind_of_name_is_seen() -> None:
    assert [name for _, name in stumbles("def found(told):\n    _said: int = 1\n    for asked in (): pass")] == [
        "found",
        "told",
        "_said",
        "asked",
    ]
    assert stumbles("class Held: pass") == [(1, "Held")]
    assert stumbles("held_out = found_in = 1; text = 'found'") == []
