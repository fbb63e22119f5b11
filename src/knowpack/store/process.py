"""Who writes: this process, named so that another process, on this machine or on another one, can tell if it lives.

A process is known by machine and number. The machine's name covers host, boot and process namespace: numbers mean
nothing outside of them, so that of a process elsewhere only its heartbeat is known (see lease.py).
"""

import hashlib
import os
import platform
from contextlib import suppress
from functools import cache
from pathlib import Path


@cache
def machine() -> str:
    """8 hex digits: this host since it was started, and the namespace in which process numbers hold (containers)."""
    parts = [platform.node()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
    with suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=4).hexdigest()


def is_alive(number: int, born: str | None = None) -> bool:
    """Does a process of this machine still run? born: as `birth` gave it; a number that was given again is another."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # somebody else's, or no process at all: not ours to judge
    return born is None or birth(number) in (born, None)


def birth(number: int) -> str | None:
    """When a process was started, in the kernel's ticks since boot (proc(5), field 22); None where it cannot be read.

    A process that ended and waits for its parent to ask (a zombie) counts as none: its birth is "ended".
    """
    try:
        fields = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return "ended" if fields[0] in ("Z", "X") else fields[19]
