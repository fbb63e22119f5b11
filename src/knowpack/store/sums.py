"""What was written: the manifest of a folder holds the hash of every finished file, and its own.

    folder/manifest.json   {..., "files": {"shifts.parquet": sha256, ...}, "hash": of all the rest}

A file that the nearest manifest above it names is checked when it is read, once a process: sha256 of some megabytes
costs milliseconds, and a flipped byte in a parquet file is otherwise read as other data in one of five cases.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from knowpack.errors import StoreError
from knowpack.store import writing
from knowpack.store.writing import hash_file, hash_of, parsed, write_json

MANIFEST = "manifest.json"
DEPTH = 4  # folders above a file in which its manifest may lie: a pack's, of an attempt's adapter
CARD, LOCK = "README.md", ".lock"  # the card is for people, and written again when more is measured
NOT_RECORDED = {MANIFEST, "status.json", "tables", "figures", "report.html", "report_files", "verdict.json", "training"}

_seen: dict[Path, tuple[tuple[int, int, int], str]] = {}  # files whose hash this process has computed


class Damage(NamedTuple):
    """One file that is not as it was written."""

    path: Path
    what: str


def read_manifest(folder: Path) -> dict[str, object]:
    """manifest.json, checked against the hash that it holds; empty where there is none."""
    path = folder / MANIFEST
    if not path.is_file():
        return {}
    advice = f"put it back, or remove {folder} and run the same command again"
    try:
        value = parsed(path)
    except StoreError as error:
        raise StoreError(f"{str(error).partition('; ')[0]}; {advice}") from None
    if not isinstance(value, dict):
        raise StoreError(f"{path} holds {type(value).__name__}, expected an object; {advice}")
    digest = value.pop("hash", None)
    if digest is not None and digest != hash_of(value):
        raise StoreError(f"{path} is damaged: its content is not what was written; {advice}")
    return value


def write_manifest(folder: Path, manifest: dict[str, object]) -> None:
    """Write manifest.json with its hash."""
    write_json(folder / MANIFEST, manifest | {"hash": hash_of(manifest)})


def record(folder: Path, *names: str, again: bool = True) -> None:
    """Put the hashes of these files (or of all in these folders) into the manifest of `folder`, where it has one.

    again: those that are recorded already, too.
    """
    manifest = read_manifest(folder)
    if not manifest:
        return
    known = _files(manifest)
    paths = {name: folder / name for pattern in names for name in _names(folder, pattern)}
    new = {name: hash_file(path) for name, path in paths.items() if again or name not in known}
    if {**known, **new} != known:
        write_manifest(folder, manifest | {"files": known | new})


def record_all(folder: Path) -> None:
    """Record every finished file that is not recorded yet; folders inside with a manifest keep their own."""
    record(folder, *(path.name for path in folder.iterdir()), again=False)


def recorded_files(folder: Path, *names: str) -> dict[str, str]:
    """Paths from `folder` -> sha256, as its manifest has them: of all files, or of these and those in these folders."""
    files = _files(read_manifest(folder))
    return {name: digest for name, digest in files.items() if not names or _is_in(name, names)}


def lacking(folder: Path) -> list[str]:
    """Recorded files that are not there any more."""
    return [name for name in recorded_files(folder) if not (folder / name).is_file()]


def forget(folder: Path, *names: str) -> None:
    """Remove these files and folders and what is recorded of them."""
    manifest = read_manifest(folder)
    kept = {name: digest for name, digest in _files(manifest).items() if not _is_in(name, names)}
    if manifest:
        write_manifest(folder, manifest | {"files": kept})
    for name in names:
        writing.remove(folder / name)


def check(path: Path) -> None:
    """Raise StoreError where a recorded file is not as it was written; a file that no manifest names passes."""
    if path.name == MANIFEST:
        read_manifest(path.parent)
        return
    for folder in path.absolute().parents[:DEPTH]:
        if not (folder / MANIFEST).is_file():
            continue
        try:
            digest = _files(_manifest_of(folder)).get(path.absolute().relative_to(folder).as_posix())
        except StoreError:
            if _is_ours(folder):
                raise
            continue
        if digest is not None and digest != _hash(path):
            raise StoreError(
                f"{path} is damaged: its bytes are not those that were written; "
                "remove it and run the same command again (all damage: knowpack show --verify)"
            )
        return


def verify(folder: Path) -> Iterator[Damage]:
    """Every recorded file below `folder` that is missing, damaged or cannot be read; and damaged manifests."""
    for path in sorted(folder.rglob(MANIFEST)):
        try:
            known = _files(read_manifest(path.parent))
        except StoreError:
            yield Damage(path, "damaged")
            continue
        for name, digest in sorted(known.items()):
            file = path.parent / name
            try:
                if hash_file(file) != digest:
                    yield Damage(file, "damaged")
            except FileNotFoundError:
                yield Damage(file, "missing")
            except OSError as error:
                yield Damage(file, f"cannot be read: {error.strerror}")


def n_recorded(folder: Path) -> int:
    """How many files below `folder` have their hash recorded; a manifest that cannot be read counts as one."""
    n = 0
    for path in folder.rglob(MANIFEST):
        try:
            n += len(_files(read_manifest(path.parent)))
        except StoreError:  # named by `verify`
            n += 1
    return n


def _files(manifest: dict[str, object]) -> dict[str, str]:
    files = manifest.get("files")
    return {str(name): str(digest) for name, digest in files.items()} if isinstance(files, dict) else {}


def _names(folder: Path, name: str) -> Iterator[str]:
    """The finished files that a name stands for: itself, or all in that folder, as paths from `folder`."""
    path = folder / name
    if name in NOT_RECORDED or path.name in (CARD, LOCK) or path.name.endswith((writing.PART, ".parts")):
        return
    if path.is_file():
        yield name
    elif path.is_dir() and not path.is_symlink() and not (path / MANIFEST).is_file():
        for part in sorted(path.iterdir()):
            yield from _names(folder, f"{name}/{part.name}")


def _is_in(name: str, folders: tuple[str, ...]) -> bool:
    return any(name == one or name.startswith(f"{one}/") for one in folders)


def _is_ours(folder: Path) -> bool:
    try:
        value = parsed(folder / MANIFEST)
    except StoreError:
        return False
    return isinstance(value, dict) and "files" in value and "hash" in value


_manifests: dict[Path, tuple[tuple[int, int, int], dict[str, object]]] = {}


def _manifest_of(folder: Path) -> dict[str, object]:
    stamp = _stamp(folder / MANIFEST)
    known = _manifests.get(folder)
    if known is None or known[0] != stamp:
        known = _manifests[folder] = (stamp, read_manifest(folder))
    return known[1]


def _hash(path: Path) -> str:
    stamp = _stamp(path)
    known = _seen.get(path.absolute())
    if known is None or known[0] != stamp:
        known = _seen[path.absolute()] = (stamp, hash_file(path))
    return known[1]


def _stamp(path: Path) -> tuple[int, int, int]:
    stat = path.stat()
    return stat.st_ino, stat.st_mtime_ns, stat.st_size
