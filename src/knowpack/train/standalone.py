"""Training by itself: an example table and a model -> an adapter in a folder of the user's choice."""

from dataclasses import replace
from pathlib import Path

from knowpack import store
from knowpack.config import RunConfig, fingerprint
from knowpack.model.load import load
from knowpack.probe.prompts import Prompter
from knowpack.progress import SILENT, Progress
from knowpack.records import Example
from knowpack.settings import differing, typed
from knowpack.train import track
from knowpack.train.train import TrainResult, train

TRAIN = "knowpack train"


def train_into(config: RunConfig, examples: Path, out: Path, progress: Progress = SILENT) -> TrainResult:
    """Train on an example table alone, into a folder of the user's choice; what is there already is kept."""
    rows = store.read_table(examples, Example)
    with progress.stage(f"loading {config.model.name}", None):
        loaded = load(config.model)
    prompter = Prompter(loaded.tokenizer, chat=config.probe.chat, system=config.probe.system)
    settings = fingerprint(config, "seed", "train") | {"chat": prompter.chat, "system": prompter.system}
    request: dict[str, object] = {
        "examples": store.hash_table(rows),
        "model": loaded.weights_hash,
        "settings": store.hash_of(settings),
    }
    out = out.absolute()
    store.refuse_other(out, TRAIN, request)
    kept, state = store.read_manifest(out), out.with_name(f".{out.name}.training")
    if kept and not store.lacking(out):
        store.remove(state)  # a kill may have come just before it
        return TrainResult(out, track.read(out), float(str(kept["seconds"])), float(str(kept["effect"])))
    with store.atomic(out, replace=bool(kept)) as beside:
        result = train(
            loaded,
            rows,
            config.train,
            config.seed,
            beside,
            prompter=prompter,
            progress=progress,
            resume_in=state,
            command=_command(config, examples, out),
        )
        manifest = {
            "command": TRAIN,
            "request": request,
            "seconds": result.seconds,
            "effect": result.effect,
            "files": {},
        }
        store.write_manifest(beside, manifest)
        store.record_all(beside)
    store.remove(state)
    return replace(result, adapter_dir=out)


def _command(config: RunConfig, examples: Path, out: Path) -> str:
    """The command that trains it again, as one types it."""
    options: dict[str, object] = {"model": config.model.name, "examples": examples, "seed": config.seed, "out": out}
    return typed(TRAIN, options, differing(config, {"label", "model.name", "seed"}))
