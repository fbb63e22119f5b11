"""What was worked out from large files, remembered in the user's cache: hashes, and GGUF files as safetensors; and
numbers that every process must take alike.

A file is known by its path, size, times and inode; one that changed is read again. Nothing here is needed for a right
answer: a cache that cannot be read or written is done without.
"""

import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from knowpack import store
from knowpack.errors import StoreError

VARIABLE = "KNOWPACK_CACHE"
SETTLED_SECONDS = 2.0
"""A file younger than this may change again within one tick of its clock: it is not remembered yet."""


def cache_dir() -> Path:
    """$KNOWPACK_CACHE, else knowpack in the user's cache directory (XDG)."""
    folder = os.environ.get(VARIABLE)
    if folder:
        return Path(folder)
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "knowpack"


def hash_once(files: Sequence[Path], of: object, work_out: Callable[[], str]) -> str:
    """The text that `work_out` gives for these files, remembered until one of them changes. of: what else it is of."""
    stamps = [_stamp(file) for file in sorted(files)]
    if not stamps or any(stamp is None for stamp in stamps):
        return work_out()
    path = cache_dir() / "hashes" / f"{store.hash_of([stamps, of])}.json"
    with suppress(OSError, ValueError):
        cached = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(cached, str):
            return cached
    value = work_out()
    if [_stamp(file) for file in sorted(files)] == stamps and _settled(files):
        with suppress(StoreError):
            store.write_json(path, value)
    return value


def first_number(of: object, work_out: Callable[[], float]) -> float:
    """The number that `work_out` gave the first process that asked, for all that share the cache; of: what it is of."""
    path = cache_dir() / "numbers" / f"{store.hash_of(of)}.json"
    kept = _number(path)
    if kept is not None:
        return kept
    value = work_out()
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("w", dir=path.parent) as beside:
            beside.write(json.dumps(value))
            beside.flush()
            os.link(beside.name, path)  # unlike a rename, never over what another process put there meanwhile
    kept = _number(path)
    return value if kept is None else kept


def _number(path: Path) -> float | None:
    with suppress(OSError, ValueError):
        kept = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(kept, float):
            return kept
    return None


def _stamp(file: Path) -> list[object] | None:
    """What changes when a file is written or put in place of another."""
    try:
        stat = file.stat()
    except OSError:
        return None
    return [str(file.resolve()), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_dev]


def _settled(files: Sequence[Path]) -> bool:
    newest = max(max(file.stat().st_mtime, file.stat().st_ctime) for file in files)
    return time.time() - newest > SETTLED_SECONDS
