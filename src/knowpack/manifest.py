"""What a run's folder says of itself: config.yaml, manifest.json (versions, hashes, seconds a stage), status.json.

A stage is done when its file exists; `stage` hands out the file while it is still to be made.
"""

import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import yaml

from knowpack import store
from knowpack.base import Base
from knowpack.config import RunConfig

PACKAGES = ("knowpack", "torch", "transformers", "peft", "lm_eval", "polars", "numpy")


@contextmanager
def stage(folder: Path, name: str, file: str) -> Iterator[Path | None]:
    """Yield the stage's file if it is still to be made, else None; its time goes to the manifest."""
    path = folder / file
    if path.exists():
        yield None
        return
    started = time.perf_counter()
    yield path
    if path.exists():
        manifest = _manifest(folder)
        stages = manifest.get("stages")
        done = {"seconds": round(time.perf_counter() - started, 3), "done_at": _now()}
        manifest["stages"] = {**(stages if isinstance(stages, dict) else {}), name: done}
        store.write_json(folder / "manifest.json", manifest)


def failure(error: Exception) -> str:
    """An error as status.json holds it: one line."""
    return f"{type(error).__name__}: {error}".splitlines()[0]


@contextmanager
def recorded(folder: Path) -> Iterator[None]:
    """Keep status.json: running, then done, or failed with the error in one line."""
    store.write_json(folder / "status.json", {"state": "running"})
    try:
        yield
    except Exception as error:
        store.write_json(folder / "status.json", {"state": "failed", "error": failure(error)})
        raise
    store.write_json(folder / "status.json", {"state": "done"})


def begin(folder: Path, config: RunConfig, base: Base, more: dict[str, object] | None = None) -> None:
    """Write config.yaml and the manifest, once."""
    if (folder / "manifest.json").is_file():
        return
    settings = config.model_dump(mode="json")
    store.write_text(folder / "config.yaml", yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))
    manifest: dict[str, object] = {
        "run_id": folder.name,
        "label": config.label,
        "seed": config.seed,
        "config": settings,
        "facts_hash": store.hash_table(base.facts),
        "base_hash": base.folder.name,
        "base_dir": str(base.folder.resolve()),
        "base_weights_hash": base.asker.identity.weights,
        "versions": {name: version(name) for name in PACKAGES},
        "machine": {
            "python": platform.python_version(),
            "system": platform.system(),
            "device": base.asker.device,
        },
        "command": "knowpack run config.yaml",
        "stages": {},
    }
    store.write_json(folder / "manifest.json", manifest | (more or {}))


def _manifest(folder: Path) -> dict[str, object]:
    manifest = store.read_json(folder / "manifest.json")
    assert isinstance(manifest, dict)
    return manifest


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
