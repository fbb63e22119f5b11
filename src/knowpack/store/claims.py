"""A folder of the user's choice belongs to one request: what is in it is never written over by another one."""

from collections.abc import Iterator
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
    name = command.removeprefix("knowpack ")
    refuse_file(out)
    known = read_manifest(out)
    if not known:
        foreign = sorted(path.name for path in out.iterdir() if path.name[0] != ".") if out.is_dir() else []
        if foreign:
            raise ConfigError(
                f"{out} holds files that `{command}` did not write ({', '.join(foreign[:3])}); give another --out"
            )
        return
    if known.get("command") != command:
        raise ConfigError(f"{out} holds the files of `{known.get('command')}`, not of `{command}`; give another --out")
    told = known.get("request")
    differing = list(_differing(told if isinstance(told, dict) else {}, request))
    if differing:
        raise ConfigError(f"{out} holds another {name} (other {', '.join(differing)}); give another --out")


def refuse_file(out: Path) -> None:
    """Raise ConfigError where a folder cannot be made, since a file is in its place or in that of one above it."""
    for one in (out, *out.parents):
        if one.is_file():
            raise ConfigError(f"--out {out}: {one} is a file; give the name of a folder")


def _differing(one: dict[str, object], other: dict[str, object]) -> Iterator[str]:
    for key in sorted(one.keys() | other.keys()):
        if one.get(key) != other.get(key):
            yield key
