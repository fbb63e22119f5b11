"""What a run's folder says of itself: manifest.json (request, versions, hashes, seconds a stage), status.json.

A stage is done when its file exists; `stage` hands out the file while it is still to be made, or to be made again
because a file that was finished is gone. config.yaml is the manifest's config for a person and for `knowpack run`.
"""

import os
import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import yaml

from knowpack import store
from knowpack.base import Base, bench_folder
from knowpack.config import RunConfig
from knowpack.decode.transformers_asker import TransformersAsker
from knowpack.errors import ConfigError, StoreError
from knowpack.model import machine
from knowpack.progress import Progress

MADE_OF_THE_LAST = (
    "examples.parquet",
    "replayed.parquet",
    "adapter",
    "train_log.jsonl",
    "held_out.parquet",
    *(f"fresh-{number}" for number in range(1, 10)),
    "responses.parquet",
    "knowledge.parquet",
    "shifts.parquet",
    "scores.parquet",
    "bench",
    "further",
    "removed",
    "figures.json",
)  # a run's files: each is made of those before it
PACKAGES = ("knowpack", "torch", "transformers", "peft", "lm_eval", "polars", "numpy")


@contextmanager
def stage(folder: Path, name: str, file: str, also: Sequence[str] = ()) -> Iterator[Path | None]:
    """Yield the stage's file if it is still to be made, else None; its time and hashes go to the manifest.

    also: files that the stage makes beside it, where it has something to put in them. A stage that is made again, and
    comes out otherwise, takes what was made of it along.
    """
    path = folder / file
    hashes_then = store.recorded_files(folder, file, *also)
    if path.exists() and all((folder / one).is_file() for one in hashes_then):
        store.record(folder, file, *also, again=False)
        yield None
        return
    started = time.perf_counter()
    yield path
    if not path.exists():
        return
    _done(folder, name, time.perf_counter() - started)
    store.record(folder, file, *also)
    now = store.recorded_files(folder)
    if any(now[one] != digest for one, digest in hashes_then.items()) and file in MADE_OF_THE_LAST:
        store.forget(folder, *MADE_OF_THE_LAST[MADE_OF_THE_LAST.index(file) + 1 :])


def start_from(folder: Path, adapter: str) -> None:
    """The adapter that a folder is about, by name; where it was another one, all that was made of that goes."""
    manifest = store.read_manifest(folder)
    if manifest.get("adapter_of") == adapter:
        return
    if "adapter_of" in manifest:
        store.forget(folder, *MADE_OF_THE_LAST)
    store.write_manifest(folder, store.read_manifest(folder) | {"adapter_of": adapter})


@contextmanager
def owned(
    folder: Path, command: str, request: dict[str, object], progress: Progress, started: float | None = None
) -> Iterator[None]:
    """A folder of the user's choice: of this request alone, held by this process, its state recorded."""
    store.refuse_other(folder, command, request)
    with store.folder_lock(folder, progress):
        store.claim(folder, command, request)
        with recorded(folder, started):
            yield


def _done(folder: Path, name: str, seconds: float) -> None:
    manifest = store.read_manifest(folder)
    stages = manifest.get("stages")
    done = {"seconds": round(seconds, 3), "done_at": _now()}
    manifest["stages"] = {**(stages if isinstance(stages, dict) else {}), name: done}
    store.write_manifest(folder, manifest)


def failure(error: Exception) -> str:
    """An error as status.json holds it: one line."""
    return f"{type(error).__name__}: {error}".splitlines()[0]


@contextmanager
def recorded(folder: Path, started: float | None = None) -> Iterator[None]:
    """Keep status.json: running, then done, or failed with the error in one line. Done: every file has its hash.

    started: when the command began, by time.perf_counter; what it took is added to the manifest's `seconds`, unless all
    was done before. A killed command adds nothing.
    """
    began = time.perf_counter() if started is None else started
    finished = read_status(folder) == "done"
    store.write_json(folder / "status.json", {"state": "running"})
    try:
        yield
    except Exception as error:
        _spent(folder, began)
        store.write_json(folder / "status.json", {"state": "failed", "error": failure(error)})
        raise
    store.record_all(folder)
    if not finished:
        _spent(folder, began)
    store.write_json(folder / "status.json", {"state": "done"})


def read_status(folder: Path) -> str | None:
    """The state that status.json holds; None where there is none, or it cannot be read."""
    path = folder / "status.json"
    try:
        status = store.read_json(path) if path.is_file() else None
    except StoreError:  # damaged: one file must not stop what can be made again
        return None
    return str(status.get("state")) if isinstance(status, dict) else None


def _spent(folder: Path, began: float) -> None:
    manifest = store.read_manifest(folder)
    before = manifest.get("seconds")
    seconds = (before if isinstance(before, int | float) else 0.0) + time.perf_counter() - began
    store.write_manifest(folder, manifest | {"seconds": round(seconds, 1)})


def begin(folder: Path, config: RunConfig, base: Base, more: dict[str, object] | None = None) -> None:
    """Write the manifest, in one step and once; config.yaml is made of it where it is not there."""
    manifest = store.read_manifest(folder)
    if manifest.get("base_hash", base.folder.name) != base.folder.name:
        raise ConfigError(f"{folder} was begun with another model, other facts or prompts; give another --out")
    if "run_id" not in manifest:
        manifest = _described(folder, config, base) | (more or {}) | manifest
        store.write_manifest(folder, manifest)
    if not (folder / "config.yaml").is_file():
        in_order = config.model_dump(mode="json")  # read back its keys would stand by the alphabet
        settings = in_order if in_order == manifest["config"] else manifest["config"]
        store.write_text(folder / "config.yaml", yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))
    store.record(folder, "config.yaml", again=False)


def command_of(folder: Path) -> str | None:
    """The command that makes a folder again; None where its manifest has none."""
    manifest = store.read_manifest(folder)
    command = manifest.get("again") or manifest.get("command")
    return command if isinstance(command, str) else None


def _described(folder: Path, config: RunConfig, base: Base) -> dict[str, object]:
    loaded = base.asker.loaded if isinstance(base.asker, TransformersAsker) else None  # a server does not say
    return {
        "run_id": folder.name,
        "label": config.label,
        "seed": config.seed,
        "config": config.model_dump(mode="json"),
        "facts_hash": store.hash_table(base.facts),
        "base_hash": base.folder.name,
        "base_dir": os.path.relpath(base.folder, folder),
        "base_bench": bench_folder(base, config).relative_to(base.folder).as_posix(),
        "base_weights_hash": base.asker.identity.weights,
        "model": machine.of_model(loaded) if loaded else {},
        "versions": {name: version(name) for name in PACKAGES},
        "machine": {
            "python": platform.python_version(),
            "system": platform.system(),
            "device": base.asker.device,
            **(machine.of_machine(loaded.device) if loaded else {}),
        },
        "command": "knowpack run config.yaml",
        "stages": {},
        "files": {},
    }


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
