"""One run, its stages in order; the file to read first.

    facts -> [base: probe, knowledge] -> mix -> train -> probe -> knowledge -> shifts, causes -> benchmarks -> figures

RunConfig -> the folder `work/runs/<label>-<hash>/`. A stage is done when its file exists, so a run that was killed
goes on where it stopped. The hash covers whatever changes a result. `diff` is the same without the first half: the
adapter, or the tuned model, comes from somebody else.
"""

import platform
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from knowpack import causes, collapse, knowledge, mix, records, shifts, store
from knowpack.base import Base, held, measure_base, open_base
from knowpack.config import ModelConfig, RunConfig, fingerprint
from knowpack.errors import ConfigError, ModelError
from knowpack.facts import files
from knowpack.model.decode import Decoder
from knowpack.model.load import Loaded, load, weights_hash
from knowpack.model.merge import merged
from knowpack.probe import probe
from knowpack.progress import SILENT, Progress
from knowpack.prompts import Prompter
from knowpack.records import Example, Figure, Kind, Knowledge, Response, Shift

if TYPE_CHECKING:
    from knowpack.model.train import TrainResult

PACKAGES = ("knowpack", "torch", "transformers", "peft", "lm_eval", "polars", "numpy")


def run(config: RunConfig, base: Base | None = None, progress: Progress = SILENT) -> Path:
    """All stages of one cell; what is on disk already is kept. base: from another run of the same model and facts.

    Raises the KnowpackError of the stage that failed, after writing it to status.json.
    """
    base = base or open_base(config, progress)
    measure_base(base, config, progress)
    folder = folder_of(config, base)
    with held(folder, progress), recorded(folder):
        begin(folder, config, base)
        make_examples(folder, config, base)
        make_adapter(folder, config, base, progress)
        with merged(base.loaded, folder / "adapter") as tuned:
            measure(folder, config, base, tuned, progress)
        check_base(base)
    return folder


def diff(
    config: RunConfig, after: ModelConfig, out: Path, examples: Path | None = None, progress: Progress = SILENT
) -> Path:
    """What an adapter (after.adapter on the base) or a whole fine-tuned model (after.name) changed.

    examples: what it was trained on, where that is known: an Example table or a Fact table.
    """
    base = open_base(config, progress)
    measure_base(base, config, progress)
    with held(out, progress), recorded(out):
        begin(out, config, base, {"after": after.model_dump(mode="json")})
        if examples is not None:
            store.write_table(out / "examples.parquet", _as_examples(examples))
        with _tuned(base, after) as tuned:
            _same_or_redo(out, tuned.weights_hash)
            measure(out, config, base, tuned, progress)
        check_base(base)
    return out


def folder_of(config: RunConfig, base: Base) -> Path:
    """work/runs/<label>-<hash>; the hash covers the base with its facts and prompts, and all settings but the label."""
    settings = fingerprint(config, "seed", "grader", "probe", "mix", "train", "bench")
    slug = re.sub(r"[^a-z0-9]+", "-", config.label.lower()).strip("-") or "run"
    return Path(config.work) / "runs" / f"{slug}-{store.hash_of([base.folder.name, settings])}"


def make_examples(folder: Path, config: RunConfig, base: Base) -> None:
    """Stage 1: what to train on."""
    with stage(folder, "mix", "examples.parquet") as path:
        if path:
            extra = files.load(config.mix.extra_facts) if config.mix.extra_facts else None
            examples = mix.mix(base.facts, base.knowledge, config.mix, config.seed, config.grader, extra)
            store.write_table(path, examples)


def make_adapter(folder: Path, config: RunConfig, base: Base, progress: Progress) -> None:
    """Stage 2: the LoRA adapter, and its reliability after each epoch where that is asked (Figure 2)."""
    from knowpack.model.train import train

    with stage(folder, "train", "adapter") as path:
        if not path:
            return
        examples = store.read_table(folder / "examples.parquet", Example)
        with store.atomic(path) as beside:
            train(base.loaded, examples, config.train, config.seed, beside, prompter=base.prompter, progress=progress)
            if config.train.checkpoint_each_epoch:
                _measure_epochs(beside, config, base, examples)
    log = (folder / "adapter" / "train_log.jsonl").read_text(encoding="utf-8")
    store.write_text(folder / "train_log.jsonl", log)


def measure(folder: Path, config: RunConfig, base: Base, tuned: Loaded, progress: Progress) -> None:
    """Stages 3 to 7: what the tuned model answers, what moved and why, the benchmarks, the figures."""
    examples = _examples(folder)
    taught = taught_ids(examples)
    decoder = Decoder(tuned, batch_size=config.probe.batch_size)
    with stage(folder, "probe", "responses.parquet") as path:
        if path:
            _probe_after(folder, config, base, decoder, taught, progress)
    after = store.read_table(folder / "responses.parquet", Response)
    with stage(folder, "knowledge", "knowledge.parquet") as path:
        if path:
            store.write_table(path, knowledge.knowledge_map(after))
    with stage(folder, "shifts", "shifts.parquet") as path:
        if path:
            known_after = store.read_table(folder / "knowledge.parquet", Knowledge)
            trained = None if examples is None else set(examples["fact_id"])
            moved = shifts.shifts(base.knowledge, known_after, trained, base.facts)
            told = examples if examples is not None else pl.DataFrame(schema=records.schema(Example))
            store.write_table(path, causes.explain(moved, base.responses.collect(), after, told, base.facts))
    with stage(folder, "bench", "scores.parquet") as path:
        if path and config.bench.tasks:
            from knowpack.bench.evaluate import evaluate

            store.write_table(path, evaluate(tuned, config.bench, folder / "bench", progress=progress))
    with stage(folder, "figures", "figures.json") as path:
        if path:
            store.write_json(path, [asdict(figure) for figure in figures(folder, base, after, examples)])


def figures(folder: Path, base: Base, after: pl.DataFrame, examples: pl.DataFrame | None) -> list[Figure]:
    """Every scalar figure of a run, under both graders, with interval and n."""
    moved = store.read_table(folder / "shifts.parquet", Shift)
    known_after = store.read_table(folder / "knowledge.parquet", Knowledge)
    before = base.responses.collect()
    told = examples if examples is not None else pl.DataFrame(schema=records.schema(Example))
    found = shifts.summary(moved, base.facts, noise=base.noise)
    taught = taught_ids(examples)
    if taught:
        held_out = folder / "held_out.parquet"
        reworded = store.read_table(held_out, Response) if held_out.is_file() else None
        found += shifts.reliability(known_after, reworded, taught)
    found += causes.figures(causes.base_rates(moved, before, after, told, base.facts))
    found += collapse.diversity(after, before)
    return found + collapse.refusals(
        base.knowledge, known_after, set() if examples is None else set(examples["fact_id"])
    )


def train_into(config: RunConfig, examples: Path, out: Path, progress: Progress = SILENT) -> "TrainResult":
    """Train on an example table alone, into a folder of the user's choice."""
    from knowpack.model.train import train

    told = store.read_table(examples, Example)
    loaded = load(config.model)
    prompter = Prompter(loaded.tokenizer, chat=config.probe.chat, system=config.probe.system)
    with store.atomic(out) as beside:
        made = train(loaded, told, config.train, config.seed, beside, prompter=prompter, progress=progress)
    return replace(made, adapter_dir=out)


def taught_ids(examples: pl.DataFrame | None) -> set[str]:
    """The facts that an adapter was to learn: the Unknown ones, or, of a sham, the HighlyKnown ones."""
    if examples is None:
        return set()
    unknown = examples.filter(pl.col("kind") == str(Kind.UNKNOWN))
    return set((unknown if unknown.height else examples)["fact_id"])


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


@contextmanager
def recorded(folder: Path) -> Iterator[None]:
    """Keep status.json: running, then done, or failed with the error in one line."""
    store.write_json(folder / "status.json", {"state": "running"})
    try:
        yield
    except Exception as error:
        line = f"{type(error).__name__}: {error}".splitlines()[0]
        store.write_json(folder / "status.json", {"state": "failed", "error": line})
        raise
    store.write_json(folder / "status.json", {"state": "done"})


def begin(folder: Path, config: RunConfig, base: Base, more: dict[str, object] | None = None) -> None:
    """Write config.yaml and the manifest, once."""
    if (folder / "manifest.json").is_file():
        return
    import yaml

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
        "base_weights_hash": base.loaded.weights_hash,
        "versions": {name: version(name) for name in PACKAGES},
        "machine": {
            "python": platform.python_version(),
            "system": platform.system(),
            "device": str(base.loaded.device),
        },
        "command": "knowpack run config.yaml",
        "stages": {},
    }
    store.write_json(folder / "manifest.json", manifest | (more or {}))


def check_base(base: Base) -> None:
    """The base's weights are bit for bit what they were; anything else is a bug and stops the study."""
    now = weights_hash(base.loaded.model)
    if now != base.loaded.weights_hash:
        raise RuntimeError(f"the base's weights changed: {base.loaded.weights_hash} before, {now} now")


def _probe_after(
    folder: Path, config: RunConfig, base: Base, decoder: Decoder, taught: set[str], progress: Progress
) -> None:
    """The taught facts in wordings that were never trained on, then all facts as the base was asked."""
    held_out = folder / "held_out.parquet"
    forms = [-k for k in range(1, config.probe.n_held_out_forms + 1)]
    reworded = base.facts.filter(pl.col("fact_id").is_in(list(taught)) & (pl.col("paraphrases").list.len() > 0))
    if forms and reworded.height and not held_out.is_file():
        probe(
            decoder, reworded, base.shots, base.prompter, config.probe, chunks=store.Chunks(held_out), forms=forms,
        )  # fmt: skip
    probe(
        decoder, base.facts, base.shots, base.prompter, config.probe,
        chunks=store.Chunks(folder / "responses.parquet"), drafts=base.responses, progress=progress,
    )  # fmt: skip


def _measure_epochs(adapter: Path, config: RunConfig, base: Base, examples: pl.DataFrame) -> None:
    """Append each epoch's reliability to the training log; the trained facts only, under all prompts."""
    import json

    taught = base.facts.filter(pl.col("fact_id").is_in(list(taught_ids(examples))))
    lines = []
    for checkpoint in sorted(adapter.glob("epoch-*")):
        with merged(base.loaded, checkpoint) as tuned:
            decoder = Decoder(tuned, batch_size=config.probe.batch_size)
            asked = probe(decoder, taught, base.shots, base.prompter, config.probe).collect()
        matched = asked[f"matched_{config.grader}"].is_not_null()
        epoch = int(checkpoint.name.removeprefix("epoch-"))
        lines.append({"epoch": epoch, "reliability": matched.mean(), "n": taught.height})
    with (adapter / "train_log.jsonl").open("a", encoding="utf-8") as log:
        log.writelines(json.dumps(line, sort_keys=True) + "\n" for line in lines)


@contextmanager
def _tuned(base: Base, after: ModelConfig) -> Iterator[Loaded]:
    if after.adapter is not None:
        with merged(base.loaded, after.adapter) as tuned:
            yield tuned
        return
    tuned = load(after)
    theirs, ours = tuned.model.config.vocab_size, base.loaded.model.config.vocab_size
    if theirs != ours:
        raise ModelError(f"{after.name} has a vocabulary of {theirs}, the base {ours}: not tuned from this base")
    yield tuned


def _same_or_redo(folder: Path, tuned_hash: str) -> None:
    """A diff folder belongs to one tuned model."""
    path = folder / "tuned.json"
    if path.is_file() and store.read_json(path) != {"weights_hash": tuned_hash}:
        raise ConfigError(f"{folder} holds the diff of another model or adapter; give another --out")
    store.write_json(path, {"weights_hash": tuned_hash})


def _examples(folder: Path) -> pl.DataFrame | None:
    path = folder / "examples.parquet"
    return store.read_table(path, Example) if path.is_file() else None


def _as_examples(path: Path) -> pl.DataFrame:
    """An Example table as it is; a Fact table as examples of kind unknown."""
    if path.suffix == ".parquet" and "kind" in store.scan_table(path).collect_schema():
        return store.read_table(path, Example)
    facts = files.load(path)
    return facts.select(
        example_id="fact_id", fact_id="fact_id", kind=pl.lit(str(Kind.UNKNOWN)), question="question",
        answer=pl.col("answers").list.first(),
    )  # fmt: skip


def _manifest(folder: Path) -> dict[str, object]:
    manifest = store.read_json(folder / "manifest.json")
    assert isinstance(manifest, dict)
    return manifest


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
