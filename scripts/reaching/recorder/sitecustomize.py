"""On PYTHONPATH: every function of knowpack that a process enters is written to $REACHED_OUT, a line the first time.

knowpack's modules are compiled with a call at the head of each function, so that nothing else runs slower. A line is
written at once: a process that is killed, or ends by os._exit, has told what it entered.
"""

import ast
import builtins
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType

CALL = "__entered__"


class Finder:
    """Knows where knowpack's modules are, and has them loaded by Loader."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name.partition(".")[0] != "knowpack":
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = Loader(spec.loader.name, spec.loader.path)
        return spec


class Loader(SourceFileLoader):
    """Compiles from the source each time: no file beside it is read or written."""

    def get_code(self, fullname: str) -> CodeType:
        tree = ast.parse(self.get_data(self.path), self.path)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                at = 1 if ast.get_docstring(node, clean=False) is not None else 0
                call = ast.parse(f"{CALL}({f'{self.path}:{first_line(node)}'!r})").body[0]
                for part in ast.walk(call):
                    ast.copy_location(part, node.body[0])
                node.body.insert(at, call)
        return compile(tree, self.path, "exec", dont_inherit=True)


def first_line(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Of its first decorator, else of its def."""
    return min([function.lineno, *(one.lineno for one in function.decorator_list)])


def record(out: str) -> None:
    """From here on, in this process and those forked from it; O_APPEND keeps the lines of many processes whole."""
    seen: set[str] = set()
    file = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def entered(function: str) -> None:
        if function not in seen:
            seen.add(function)
            os.write(file, f"{function}\n".encode())

    setattr(builtins, CALL, entered)
    sys.meta_path.insert(0, Finder)  # type: ignore[arg-type]


if "REACHED_OUT" in os.environ:
    record(os.environ["REACHED_OUT"])
