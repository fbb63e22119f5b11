"""One writer at a time, on local and on shared disks.

No flock: NFS and Lustre may be mounted without it, or keep it to one machine. Held is what holds a folder `.lock` with
one file in it, named by its holder. Three operations, all of them atomic on the server of a shared disk:

    take      make a folder beside with the holder's file, rename it to `.lock`. A rename over a folder that holds a
              file fails, over an empty one it succeeds (POSIX rename), so that exactly one of many comes through.
    free      remove one's own file; the empty folder that is left can be taken.
    break     remove the file of a holder that is gone. The file bears that holder's name and no other, so that a slow
              process never breaks the lease of whoever came after.

Gone is a holder on this machine whose process is gone (at once), and one elsewhere that has not touched its file for
STALE_SECONDS by the disk's own clock. A holder touches it every BEAT_SECONDS. A machine that slept for longer than
that may find its lease taken; both then write the same bytes, each file whole.
"""

import errno
import json
import os
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from knowpack.errors import LockedError
from knowpack.progress import Progress
from knowpack.store import process
from knowpack.store.writing import remove, store_error, sweep

LOCK = ".lock"
BEAT_SECONDS, STALE_SECONDS = 20.0, 600.0
POLL_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 7 * 24 * 3600.0


class Holder(NamedTuple):
    """Who holds a folder."""

    file: Path
    host: str
    machine: str
    number: int
    """Of the process."""
    born: str | None


@contextmanager
def lock(folder: Path, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold `folder` for one process. Raises LockedError if another still holds it after the wait."""
    name = f"{process.machine()}-{os.getpid()}-{secrets.token_hex(4)}"
    mine = folder / LOCK / name
    end = time.monotonic() + wait_seconds
    try:
        while not _take(folder, name):
            other = holder(folder)
            if other is None:
                continue  # it was freed, or broken, just now
            if time.monotonic() >= end:
                raise LockedError(
                    f"another knowpack process ({other.number} on {other.host}) works in {folder}; "
                    "wait for it, or give another --out / work"
                )
            time.sleep(POLL_SECONDS)
        sweep(folder, STALE_SECONDS)
    except OSError as error:
        raise store_error(folder, error) from error
    over = threading.Event()
    beat = threading.Thread(target=_beat, args=(mine, over), daemon=True)
    beat.start()
    try:
        yield
    finally:
        over.set()
        with suppress(OSError):
            mine.unlink()
            mine.parent.rmdir()


@contextmanager
def folder_lock(folder: Path, progress: Progress) -> Iterator[None]:
    """Hold a folder for this process; wait, and say so, while another holds it."""
    with ExitStack() as stack:
        try:
            stack.enter_context(lock(folder))
        except LockedError:
            with progress.stage(f"waiting for another process that works in {folder}", None):
                stack.enter_context(lock(folder, LONGEST_WAIT_SECONDS))
        yield


def holder(folder: Path) -> Holder | None:
    """Who holds `folder` now; None = nobody. The lease of a process that is gone is broken."""
    try:
        files = [path for path in (folder / LOCK).iterdir() if path.is_file()]
    except (FileNotFoundError, NotADirectoryError):
        return None
    for file in files:
        candidate = _read(file)
        if _is_there(candidate):
            return candidate
        with suppress(OSError):
            file.unlink()
    return None


def _take(folder: Path, name: str) -> bool:
    beside = folder / f".{LOCK[1:]}.{name}.part"
    beside.mkdir(parents=True)
    try:
        record = {"host": os.uname().nodename, "born": process.birth(os.getpid())}
        (beside / name).write_text(json.dumps(record), encoding="utf-8")
        if (folder / LOCK).is_file():  # of knowpack 0.1.0
            (folder / LOCK).unlink()
        beside.rename(folder / LOCK)
    except OSError as error:
        # Held by another, who may have freed it since; or the server's reply was lost and sent again, and it is ours.
        if not (folder / LOCK / name).is_file():
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) and not (folder / LOCK).is_dir():
                raise
            return False
    finally:
        with suppress(OSError):
            remove(beside)
    return True


def _read(file: Path) -> Holder:
    machine, _, rest = file.name.partition("-")
    number = rest.partition("-")[0]
    record: dict[str, str] = {}
    with suppress(OSError, ValueError):
        record = json.loads(file.read_text(encoding="utf-8"))
    return Holder(file, record.get("host", "?"), machine, int(number) if number.isdigit() else 0, record.get("born"))


def _is_there(holder: Holder) -> bool:
    if holder.machine == process.machine():
        return process.is_alive(holder.number, holder.born)
    return age_seconds(holder.file) < STALE_SECONDS


def age_seconds(file: Path) -> float:
    """Since a file was last touched, by the clock of the disk it lies on; 0 where it is gone or cannot be told."""
    try:
        return _clock(file.parent.parent) - file.stat().st_mtime
    except OSError:
        return 0.0


def disk_seconds(folder: Path) -> float:
    """Now, by the clock of the disk that a folder lies on, as files written now will be dated. Makes the folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _clock(folder)
    except OSError as error:
        raise store_error(folder, error) from error


def _clock(folder: Path) -> float:
    file = folder / f".clock.{process.machine()}-{os.getpid()}-{secrets.token_hex(4)}.part"
    try:
        file.touch()
        return file.stat().st_mtime
    finally:
        with suppress(OSError):
            file.unlink()


def _beat(mine: Path, over: threading.Event) -> None:
    while not over.wait(BEAT_SECONDS):
        with suppress(OSError):
            os.utime(mine)
