"""The work directory: atomic files, tables, hashes, resumable chunks, one writer at a time.

A file that exists is complete: it is written beside, flushed, then renamed. Parquet and JSON only.
"""

import errno
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import polars as pl

from knowpack import records
from knowpack.errors import HeldError, StoreError

FULL = "No space left"  # what every system and library says of a full disk


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` (a file or a folder to fill); rename it over `path` if nothing went wrong."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove(beside)
        yield beside
        if beside.is_file():
            with beside.open("rb") as handle:
                os.fsync(handle.fileno())
        elif path.is_dir():
            _remove(path)
        beside.replace(path)
    except OSError as error:
        raise _store_error(path, error) from error
    except Exception as error:
        if FULL not in str(error):  # safetensors tells a full disk by an error of its own
            raise
        raise _store_error(path, OSError(errno.ENOSPC, FULL)) from error
    finally:
        with suppress(OSError):
            _remove(beside)


def write_table(path: Path, frame: pl.DataFrame | pl.LazyFrame) -> None:
    """Write a table as parquet (zstd); a lazy frame is streamed."""
    with atomic(path) as beside:
        try:
            if isinstance(frame, pl.LazyFrame):
                frame.sink_parquet(beside, maintain_order=True)
            else:
                frame.write_parquet(beside)
        except pl.exceptions.ComputeError as error:
            full = FULL in str(error)  # polars' own writer hides the number
            raise OSError(errno.ENOSPC if full else errno.EIO, _first_line(error)) from None


def read_table(path: Path, record: type | None = None) -> pl.DataFrame:
    """Read a parquet table; with a record, check and order its columns. Raises StoreError in one line."""
    return scan_table(path, record).collect()


def scan_table(path: Path, record: type | None = None) -> pl.LazyFrame:
    """The table, lazily; its schema is checked at once."""
    if not path.is_file():
        raise StoreError(f"there is no table {path}")
    try:
        frame = pl.scan_parquet(path)
        found = frame.collect_schema()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise StoreError(
            f"{path} is no readable parquet file (truncated?): {_first_line(error)}; "
            "remove it and run the same command again"
        ) from None
    if record is None:
        return frame
    wanted = records.schema(record)
    missing = [name for name in wanted if name not in found]
    if missing:
        raise StoreError(f"{path} lacks the column(s) {', '.join(missing)} of a {record.__name__} table")
    wrong = [f"{name} is {found[name]}, expected {kind}" for name, kind in wanted.items() if found[name] != kind]
    if wrong:
        raise StoreError(f"{path}: column {'; '.join(wrong)}")
    return frame.select(list(wanted))


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    """Write JSON atomically: indented, keys sorted."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> object:
    """Read a JSON file. Raises StoreError in one line."""
    try:
        value: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(f"cannot read {path}: {_first_line(error)}") from None
    return value


def hash_of(value: object) -> str:
    """16 hex digits over canonical JSON."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def hash_table(frame: pl.DataFrame) -> str:
    """16 hex digits over column names and the rows in order."""
    digest = hashlib.blake2b(",".join(frame.columns).encode(), digest_size=8)
    for part in frame.iter_slices(4096):
        digest.update(part.write_ndjson().encode())
    return digest.hexdigest()


def hash_file(path: Path) -> str:
    """sha256 of a file's bytes, hex."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


class Chunks:
    """A long table written in parts, so that a killed probe goes on where it was.

    Each part is a parquet file of its own, renamed into place, so a torn one never counts.
    """

    def __init__(self, path: Path) -> None:
        """path: the table to be; its parts lie in `<path>.parts/` until `finish`."""
        self.path = path
        self.folder = path.with_name(path.name + ".parts")

    def done(self) -> int:
        """How many parts are complete, counted from 0 without a gap."""
        n = 0
        while self._part(n).is_file():
            n += 1
        return n

    def append(self, frame: pl.DataFrame) -> None:
        """Write the next part."""
        write_table(self._part(self.done()), frame)

    def finish(self) -> Path:
        """Stream all parts into the table, in order, then remove them."""
        parts = [self._part(n) for n in range(self.done())]
        if not parts:
            raise StoreError(f"nothing was written to {self.path}")
        write_table(self.path, pl.scan_parquet(parts))
        shutil.rmtree(self.folder, ignore_errors=True)
        return self.path

    def _part(self, n: int) -> Path:
        return self.folder / f"{n:06d}.parquet"


@contextmanager
def lock(folder: Path, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold `folder` for one process. Raises HeldError if another still holds it after the wait."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / ".lock").open("a")
    except OSError as error:
        raise _store_error(folder, error) from error
    with handle:
        end = time.monotonic() + wait_seconds
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise HeldError(
                        f"another knowpack process works in {folder}; wait for it, or give another --out / work"
                    ) from None
                time.sleep(0.2)
        _sweep(folder)
        yield


def _sweep(folder: Path) -> None:
    """Remove what processes that are gone were writing when they were killed (see `atomic`)."""
    for part in folder.rglob(".*.part"):
        number = part.name.split(".")[-2]
        if number.isdigit() and not _alive(int(number)):
            _remove(part)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # somebody else's, or no process at all: not ours to judge
    return True


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _store_error(path: Path, error: OSError) -> StoreError:
    if error.errno == errno.ENOSPC:
        return StoreError(f"the disk is full: {path} was not written; free some space and run the same command again")
    return StoreError(f"cannot write {path}: {error.strerror or error}")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
