"""Progress seen from below: a stage says what it counts, the command line decides how it looks.

Functions that take over five seconds take `progress: Progress = SILENT` and call the counter with steps done.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Advance = Callable[[int], None]


class Progress(Protocol):
    """Opens a counted stage; the returned function advances it by n."""

    def stage(self, label: str, total: int | None) -> AbstractContextManager[Advance]:
        """label: what is counted, for a person; total: how many, None where not known."""
        ...


class _Silent:
    @contextmanager
    def stage(self, label: str, total: int | None) -> Iterator[Advance]:
        yield lambda n: None


SILENT: Progress = _Silent()
