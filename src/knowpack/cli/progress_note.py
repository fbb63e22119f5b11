"""Progress that is also noted on disk, so that `knowpack show` in another terminal can say what is being done.

Progress + folder -> Progress; the note is state.NOTE, written at most every two seconds, gone when the command ends.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from knowpack.progress import Advance, Progress
from knowpack.state import NOTE

EVERY_SECONDS = 2.0


class NotedProgress:
    """Another progress, noted in a folder as soon as that is there."""

    def __init__(self, inner: Progress, folder: Path) -> None:
        self._shown, self._path = inner, folder / NOTE
        self._said = 0.0
        self._depth = 0

    @contextmanager
    def stage(self, label: str, total: int | None) -> Iterator[Advance]:
        """The same stage, counted twice."""
        started, done = time.monotonic(), 0
        self._depth += 1
        with self._shown.stage(label, total) as advance:
            self._note(label, 0, total, None)

            def counted(n: int) -> None:
                nonlocal done
                done += n
                advance(n)
                left = (time.monotonic() - started) / max(done, 1) * (total - done) if total else None
                self._note(label, done, total, left)

            try:
                yield counted
            finally:
                self._depth -= 1
                if self._depth == 0:
                    with suppress(OSError):
                        self._path.unlink(missing_ok=True)

    def _note(self, label: str, done: int, total: int | None, left: float | None) -> None:
        now = time.monotonic()
        if now - self._said < EVERY_SECONDS or not self._path.parent.is_dir():
            return
        self._said = now
        beside = self._path.with_name(f"{NOTE}.part")
        with suppress(OSError):  # a note is not worth an error
            note = {"label": label, "done": done, "total": total, "left": None if left is None else round(left)}
            beside.write_text(json.dumps(note))
            beside.replace(self._path)
