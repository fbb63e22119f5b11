"""Which benchmarks a command is to ask: one option wherever they are asked, and its other spelling.

--tasks a,b, or --task a --task b -> the names, in that order.
"""

from collections.abc import Sequence
from typing import Annotated

import typer

from knowpack.errors import ConfigError

Tasks = Annotated[
    list[str], typer.Option("--tasks", help="Benchmarks: lm-eval task, group or tag names, with commas between them.")
]
Task = Annotated[list[str], typer.Option("--task", hidden=True)]


def named_tasks(*given: Sequence[str]) -> tuple[str, ...]:
    """What --tasks and --task name, each once. Raises ConfigError where one of them was given and names none."""
    texts = [text for option in given for text in option]
    names = tuple(dict.fromkeys(name.strip() for text in texts for name in text.split(",") if name.strip()))
    if texts and not names:
        raise ConfigError(f"got --tasks {' '.join(texts)!r}, expected names of lm-eval tasks with commas between them")
    return names
