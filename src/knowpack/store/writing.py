"""Files that are whole or not there: written beside, flushed, renamed; and hashes of what they hold."""

import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import polars as pl

from knowpack.errors import StoreError
from knowpack.store import process

FULL = "No space left"  # what every system and library says of a full disk
PART = ".part"


@contextmanager
def atomic(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """Yield a path beside `path` (a file or a folder to fill); rename it over `path` if nothing went wrong.

    replace: a folder that holds something already may be replaced, because the caller knows it as its own; else it is
    left as it is, and StoreError says so.
    """
    path = path.absolute()
    beside = path.with_name(f".{path.name}.{process.machine()}-{os.getpid()}{PART}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove(beside)
        _remove_killed(path)
        yield beside
        if beside.is_file():
            with beside.open("rb") as handle:
                os.fsync(handle.fileno())
        elif path.is_dir() and any(path.iterdir()):
            if not replace:
                raise StoreError(f"{path} holds other files; name a new or an empty folder")
            remove(path)
        beside.replace(path)
    except OSError as error:
        raise store_error(path, error) from error
    except Exception as error:
        if FULL not in str(error):  # safetensors tells a full disk by an error of its own
            raise
        raise store_error(path, OSError(errno.ENOSPC, FULL)) from error
    finally:
        with suppress(OSError):
            remove(beside)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically; a file that holds it already is left as it is."""
    with suppress(OSError):
        if path.read_bytes() == text.encode():
            return
    with atomic(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    """Write JSON atomically: indented, keys sorted."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")


def parsed(path: Path) -> object:
    """A JSON file's value, not checked against what was written. Raises StoreError in one line."""
    try:
        value: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(
            f"cannot read {path}: {first_line(error)}; if knowpack wrote it, remove it and run the same command again"
        ) from None
    except RecursionError:
        raise StoreError(f"cannot read {path}: its JSON is nested too deep") from None
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


def sweep(folder: Path, stale_seconds: float) -> None:
    """Remove what processes that are gone were writing when they were killed, and parts of a table that is whole.

    A process elsewhere is gone where its part was not touched for `stale_seconds`, by this machine's clock.
    """
    # os.walk passes by what another process takes away meanwhile; Path.rglob raises
    inside = [Path(place) / name for place, folders, files in os.walk(folder) for name in (*folders, *files)]
    for path in inside:
        if path.name.startswith(".") and path.name.endswith(PART):
            if _is_gone(path, path.name.split(".")[-2], stale_seconds):
                remove(path)
        elif path.name.endswith(".parquet.parts") and path.with_suffix("").is_file():
            remove(path)  # killed between the whole table and their removal


def remove(path: Path) -> None:
    """Remove a file, or a folder with all it holds; nothing where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def store_error(path: Path, error: OSError) -> StoreError:
    """What a user reads of a failed write."""
    if error.errno == errno.ENOSPC:
        return StoreError(f"the disk is full: {path} was not written; free some space and run the same command again")
    return StoreError(f"cannot write {path}: {error.strerror or error}")


def first_line(error: BaseException) -> str:
    """The first line of an error's text."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _remove_killed(path: Path) -> None:
    """Remove what processes of this machine that are gone had begun to write for this path."""
    begins = f".{path.name}.{process.machine()}-"
    for name in os.listdir(path.parent):
        part = path.parent / name
        if name.startswith(begins) and name.endswith(PART) and _is_gone(part, name.split(".")[-2], float("inf")):
            remove(part)


def _is_gone(part: Path, owner: str, stale_seconds: float) -> bool:
    """owner: `number` (knowpack 0.1.0) or `machine-number`, with more behind it in a lease's name."""
    first, _, rest = owner.partition("-")
    machine, number = (first, rest.partition("-")[0]) if rest else (process.machine(), first)
    if not number.isdigit():
        return False
    if machine == process.machine():
        return not process.is_alive(int(number))
    with suppress(OSError):
        return time.time() - part.stat().st_mtime > stale_seconds
    return False
