"""Answers of one model, kept by content: a killed bench goes on where it was, whatever was asked first.

(request's key -> answer) in parquet parts under a folder. The folder is of one model: another weights hash empties
it. Keys are hashes of the tokens, so another limit or another task with the same question finds its answers too.
"""

import hashlib
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import polars as pl

from knowpack.store import Chunks, read_json, read_table, write_json

SECONDS = 15.0  # between two parts: what a kill can cost
COLUMNS = {"key": pl.String(), "logprob": pl.Float64(), "greedy": pl.Boolean(), "text": pl.String()}


class Answer(NamedTuple):
    """What a model said to one request."""

    key: str
    logprob: float | None = None
    """Nats; None for a generation."""
    greedy: bool | None = None
    text: str | None = None
    """The generated text; None for a log-likelihood."""


class Journal:
    """Known answers of one model; without a folder they live in memory only."""

    def __init__(self, folder: Path | None, weights_hash: str) -> None:
        self.known: dict[str, Answer] = {}
        self._waiting: list[Answer] = []
        self._written = time.monotonic()
        self._chunks = None if folder is None else self._open(folder, weights_hash)

    def add(self, answers: Iterable[Answer]) -> None:
        """Keep answers; they reach the disk every few seconds and at `flush`."""
        for answer in answers:
            self.known[answer.key] = answer
            self._waiting.append(answer)
        if time.monotonic() - self._written > SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if self._chunks is not None and self._waiting:
            self._chunks.append(pl.DataFrame(self._waiting, COLUMNS, orient="row"))
        self._waiting, self._written = [], time.monotonic()

    def _open(self, folder: Path, weights_hash: str) -> Chunks:
        owner = folder / "model.json"
        if not owner.is_file() or read_json(owner) != weights_hash:
            if folder.exists():
                shutil.rmtree(folder)  # of another model, or of nobody knows which: a removal was killed half way
            write_json(owner, weights_hash)
        chunks = Chunks(folder / "answers.parquet")
        for part in chunks.parts():
            self.known.update({row[0]: Answer(*row) for row in read_table(part).iter_rows()})
        return chunks


def key_of(*parts: bytes | str | int) -> str:
    """16 hex digits over a request's content."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()
