"""The names of benchmarks, read off the task files as text: a typo is said in a second, without lm-eval's import.

BenchConfig -> nothing, or a BenchError with near names. lm-eval's own index, which resolves every include of 14,000
files, takes twelve seconds of processor time; here the lab's tasks, the user's and the usual ones are looked at first,
then the lines `task:`, `group:` and `tag:` of all files. None of the index is missed (tests/bench/test_task_names.py).
"""

import difflib
import hashlib
import os
import re
from collections.abc import Collection, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from knowpack.config import BenchConfig
from knowpack.errors import BenchError
from knowpack.lab import files

USUAL = ("mmlu/default", "truthfulqa", "arc", "logiqa")  # of lm-eval's folders: looked at first
_KEYS = re.compile(rb"""^["']?(?:task|group|tag)["']?[ \t]*:[ \t]*(.*(?:\n[ \t]*- .*)*)""", re.MULTILINE)
_NAME = re.compile(rb"""[^\s,\[\]"'#-][^\n,\]"'#]*""")


def check_names(config: BenchConfig) -> None:
    """Raise BenchError for a task that does not exist, with names that are near, or data that do not; nothing is
    loaded."""
    if config.data is not None and not Path(config.data).is_dir():
        raise BenchError(f"there is no folder {config.data} of benchmark data; `knowpack bench prepare` writes one")
    tasks = set(config.tasks)
    near = [name for folder in first_folders(config) for name in known(folder)]
    if tasks.issubset(near):
        return
    everything = {*near, *_all_of_lm_eval()}
    for name in config.tasks:
        if name not in everything:
            raise unknown(name, everything)


def unknown(name: str, names: Collection[str]) -> BenchError:
    """That there is no such task, and which names are near."""
    near = difflib.get_close_matches(name, names, n=5)
    hint = f"near names: {', '.join(near)}" if near else "see `lm-eval ls tasks`"
    return BenchError(f"unknown benchmark task {name!r}; {hint}")


@cache
def _all_of_lm_eval() -> frozenset[str]:
    """Every name of lm-eval's own folder, read once a process: a study asks for each of its cells."""
    return frozenset(known(lm_eval_tasks()))


def lm_eval_tasks() -> Path:
    """The folder of lm-eval's own tasks; lm-eval is not imported."""
    spec = find_spec("lm_eval")
    if spec is None or spec.origin is None:
        raise BenchError("lm-eval is not installed: pip install 'lm-eval>=0.4.13'")
    return Path(spec.origin).parent / "tasks"


def first_folders(config: BenchConfig) -> list[Path]:
    """lm-eval's usual tasks, the lab's and the user's own."""
    return [*(lm_eval_tasks() / usual for usual in USUAL), *lab_folders(), *own_folders(config)]


def lab_folders() -> list[Path]:
    """The folder with the lab's own tasks, where the lab is there."""
    folder = files.task_dir()
    return [folder] if folder.is_dir() else []


def own_folders(config: BenchConfig) -> list[Path]:
    """The folder of the user's own tasks, where one is named."""
    if config.include is None:
        return []
    folder = Path(config.include)
    if not any(folder.rglob("*.yaml")):
        raise BenchError(f"bench.include={folder} holds no task: expected a folder with lm-eval's YAML files")
    return [folder]


def included(config: BenchConfig) -> str | None:
    """Hash of the user's own tasks: every file of their folder, by name and bytes; None where none is named."""
    digest = hashlib.blake2b(digest_size=8)
    for folder in own_folders(config):
        for file in sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
            digest.update(str(file.relative_to(folder)).encode() + hashlib.blake2b(file.read_bytes()).digest())
    return digest.hexdigest() if config.include is not None else None


def known(folder: Path) -> Iterator[str]:
    """What stands behind task:, group: and tag:, one value or a list, in every file of a folder that may be YAML."""
    for file in _yaml_files(folder):
        with open(file, "rb") as handle:
            text = handle.read()
        for given in _KEYS.findall(text):
            for line in given.split(b"\n"):
                declared = re.sub(rb"^[ \t]*- (?:task|group)[ \t]*:", b"", line.partition(b" #")[0])
                yield from (name.strip().decode("utf-8", "replace") for name in _NAME.findall(declared))


def _yaml_files(folder: Path) -> Iterator[str]:
    """Paths as text, for there are many. Included templates often have no suffix."""
    for parent, _, names in os.walk(folder):
        yield from (os.path.join(parent, name) for name in names if "." not in name or name.endswith("yaml"))
