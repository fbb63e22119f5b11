"""Answers of a server, kept one by one in a file until they are part of a table.

(key of a request, answer) -> a line of JSON. A line that was torn when the process was killed is dropped.
"""

import json
from pathlib import Path
from typing import IO

from knowpack.store.writing import store_error


class AnswerJournal:
    """What was answered before and what is answered now, by the request's key; open while it is used."""

    def __init__(self, path: Path) -> None:
        """Raises StoreError where the file cannot be written."""
        self._path = path
        self.known: dict[str, object] = {}
        n_bytes = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a+b") as file:
                file.seek(0)
                for line in file:
                    if not line.endswith(b"\n") or not self._read(line):
                        break
                    n_bytes += len(line)
                file.truncate(n_bytes)
            self._file: IO[str] = path.open("a", encoding="utf-8")
        except OSError as error:
            raise store_error(path, error) from error

    def add(self, key: str, answer: object) -> None:
        """Append one answer; it is on its way to the disk when this returns."""
        self.known[key] = answer
        try:
            self._file.write(json.dumps([key, answer], ensure_ascii=True) + "\n")
            self._file.flush()
        except OSError as error:
            raise store_error(self._path, error) from error

    def close(self) -> None:
        """No more answers."""
        self._file.close()

    def _read(self, line: bytes) -> bool:
        try:
            key, answer = json.loads(line)
        except (ValueError, TypeError, RecursionError):
            return False
        self.known[str(key)] = answer
        return True
