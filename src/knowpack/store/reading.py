"""Tables (parquet) and JSON as they are read: whole, of the expected columns, with the bytes that were written."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from knowpack import records
from knowpack.errors import StoreError
from knowpack.store import sums
from knowpack.store.writing import FULL, atomic, first_line, parsed, write_json


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
            raise OSError(errno.ENOSPC if full else errno.EIO, first_line(error)) from None


def read_table(path: Path, record: type | None = None) -> pl.DataFrame:
    """Read a parquet table; with a record, check and order its columns. Raises StoreError in one line."""
    frame = scan_table(path, record)
    with _named(path):
        return frame.collect()


def scan_table(path: Path, record: type | None = None) -> pl.LazyFrame:
    """The table, lazily; its schema is checked at once."""
    if not path.is_file():
        raise StoreError(f"there is no table {path}")
    sums.check(path)
    with _named(path):
        frame = pl.scan_parquet(path)
        found = frame.collect_schema()
    if record is None:
        return frame
    wanted = records.schema(record)
    absent = [name for name in wanted if name not in found]
    missing = [name for name in absent if name not in records.may_be_absent(record)]
    if missing:
        raise StoreError(f"{path} lacks the column(s) {', '.join(missing)} of a {record.__name__} table")
    wrong = [
        f"{name} is {found[name]}, expected {kind}" for name, kind in wanted.items() if found.get(name, kind) != kind
    ]
    if wrong:
        raise StoreError(f"{path}: column {'; '.join(wrong)}")
    return frame.with_columns(pl.lit(None, dtype=wanted[name]).alias(name) for name in absent).select(list(wanted))


def read_json(path: Path) -> object:
    """Read a JSON file; one that a manifest names is checked. Raises StoreError in one line."""
    if path.is_file():
        sums.check(path)
    return parsed(path)


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

    def size(self, wanted: int) -> int:
        """How many items a part holds: as wanted, or as an earlier run wanted that is gone on with."""
        path = self.folder / "size.json"
        if not path.is_file():
            write_json(path, {"items": wanted})
        kept = parsed(path)
        return int(kept["items"]) if isinstance(kept, dict) else wanted

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
def _named(path: Path) -> Iterator[None]:
    """Errors of the parquet reader, its panics included, with the file's name."""
    try:
        yield
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(path, error) from None
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: BaseException) -> StoreError:
    return StoreError(
        f"{path} is no readable parquet file (truncated?): {first_line(error)}; "
        "if knowpack wrote it, remove it and run the same command again"
    )
