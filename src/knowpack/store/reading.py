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
from knowpack.store.writing import FULL, atomic, first_line, hash_file, hash_of, parsed, write_json

HASH_DIGITS = 16


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
        columns = frame.collect_schema()
    if record is None:
        return frame
    expected = records.schema(record)
    absent = [name for name in expected if name not in columns]
    missing = [name for name in absent if name not in records.may_be_absent(record)]
    if missing:
        raise StoreError(f"{path} lacks the column(s) {', '.join(missing)} of a {record.__name__} table")
    wrong = [
        f"{name} is {columns[name]}, expected {kind}"
        for name, kind in expected.items()
        if columns.get(name, kind) != kind
    ]
    if wrong:
        raise StoreError(f"{path}: column {'; '.join(wrong)}")
    return frame.with_columns(pl.lit(None, dtype=expected[name]).alias(name) for name in absent).select(list(expected))


def read_json(path: Path) -> object:
    """Read a JSON file; one that a manifest names is checked. Raises StoreError in one line."""
    if path.is_file():
        sums.check(path)
    return parsed(path)


class Chunks:
    """A long table written in parts, so that a killed probe goes on where it was.

    Each part is a parquet file of its own, renamed into place, so a torn one never counts. Its name holds the hash of
    its bytes: one that was damaged since does not count either, and is written again with those behind it.
    """

    def __init__(self, path: Path) -> None:
        """path: the table to be; its parts lie in `<path>.parts/` until `finish`."""
        self.path = path
        self.folder = path.with_name(path.name + ".parts")
        self._whole: list[Path] | None = None

    def parts(self) -> list[Path]:
        """The parts that are whole, from the first without a gap; their bytes are compared once."""
        if self._whole is None:
            self._whole = []
            while (part := self._part(len(self._whole))) is not None:
                self._whole.append(part)
        return list(self._whole)

    def done(self) -> int:
        """How many parts are complete, counted from 0 without a gap."""
        return len(self.parts())

    def size(self, n_items: int) -> int:
        """How many items a part holds: as wanted, or as an earlier run wanted that is gone on with. Where that cannot
        be told any more, parts are removed: nobody knows which items they hold."""
        path = self.folder / "size.json"
        try:
            kept = parsed(path) if path.is_file() else None
        except StoreError:
            kept = None
        items = kept.get("items") if isinstance(kept, dict) else None
        if isinstance(kept, dict) and isinstance(items, int) and kept.get("hash") == hash_of(items):
            return items
        for part in self.folder.glob("*.parquet"):
            part.unlink()
        self._whole = []
        write_json(path, {"items": n_items, "hash": hash_of(n_items)})
        return n_items

    def append(self, frame: pl.DataFrame) -> None:
        """Write the next part."""
        parts, beside = self.parts(), self.folder / ".next.parquet"
        write_table(beside, frame)
        for old in self.folder.glob(f"{len(parts):06d}.*.parquet"):
            old.unlink()  # damaged
        path = self.folder / f"{len(parts):06d}.{hash_file(beside)[:HASH_DIGITS]}.parquet"
        beside.rename(path)
        self._whole = [*parts, path]

    def finish(self) -> Path:
        """Stream all parts into the table, in order, then remove them."""
        parts = self.parts()
        if not parts:
            raise StoreError(f"nothing was written to {self.path}")
        write_table(self.path, pl.scan_parquet(parts))
        shutil.rmtree(self.folder, ignore_errors=True)
        return self.path

    def _part(self, number: int) -> Path | None:
        """The part of that number whose bytes are those that were written."""
        named = self.folder.glob(f"{number:06d}.*.parquet")
        return next((path for path in named if path.name.split(".")[1] == hash_file(path)[:HASH_DIGITS]), None)


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
