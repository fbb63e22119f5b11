"""A folder of the user's choice belongs to one request: what is in it is never written over by another one."""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from knowpack.errors import ConfigError
from knowpack.store.sums import read_manifest, write_manifest


def claim(out: Path, command: str, request: dict[str, object]) -> None:
    """Make a folder of the user's choice the folder of this request. Raises ConfigError where it holds something else.

    request: what decides the result, in a person's words -> plain JSON, facts and weights by hash. Nothing is written
    over: neither another request's results nor files that knowpack did not write.
    """
    refuse_other(out, command, request)
    if not read_manifest(out):
        write_manifest(out, {"command": command, "request": request, "stages": {}, "files": {}})


def refuse_other(out: Path, command: str, request: dict[str, object]) -> None:
    """`claim` without claiming: to say it before any work."""
    refuse_foreign(out, command)
    known = read_manifest(out)
    earlier = known.get("request")
    differing = list(_differing(earlier if isinstance(earlier, dict) else {}, request)) if known else []
    if differing:
        name = command.removeprefix("knowpack ")
        raise ConfigError(f"{out} holds another {name} (other {', '.join(differing)}); give another --out")


def refuse_foreign(out: Path, command: str) -> None:
    """What of `refuse_other` can be said before the request is known: `out` is no folder, or no folder of `command`."""
    refuse_file(out)
    known = read_manifest(out)
    if not known:
        foreign = sorted(path.name for path in out.iterdir() if path.name[0] != ".") if out.is_dir() else []
        if foreign:
            raise ConfigError(
                f"{out} holds files that `{command}` did not write ({', '.join(foreign[:3])}); give another --out"
            )
    elif known.get("command") != command:
        raise ConfigError(f"{out} holds the files of `{known.get('command')}`, not of `{command}`; give another --out")


def refuse_file(out: Path, named: str = "--out") -> None:
    """Raise ConfigError where a folder cannot be made or written to: a file is in its place or in that of one above it,
    or it is somebody else's. named: the option, for the message."""
    _refuse_above((out, *out.parents), f"{named} {out}", "; give the name of a folder")


def refuse_folder(out: Path, named: str = "--out") -> None:
    """Raise ConfigError where a file cannot be written: a folder is in its place, or what `refuse_file` says."""
    if out.is_dir():
        raise ConfigError(f"{named} {out}: that is a folder; give the name of a file")
    _refuse_above(tuple(out.parents), f"{named} {out}", "")


def _refuse_above(places: Sequence[Path], message: str, advice: str) -> None:
    """The first place that is there must be a folder that may be written to."""
    for one in places:
        try:
            mode = one.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise ConfigError(f"{message}: {error.strerror}; give a folder of your own") from None
        if not stat.S_ISDIR(mode):
            raise ConfigError(f"{message}: {one} is {'a file' if stat.S_ISREG(mode) else 'no folder'}{advice}")
        if not os.access(one, os.W_OK | os.X_OK):
            raise ConfigError(f"{message}: you may not write to {one}; give a folder of your own")
        return


def _differing(one: dict[str, object], other: dict[str, object]) -> Iterator[str]:
    for key in sorted(one.keys() | other.keys()):
        if one.get(key) != other.get(key):
            yield key
