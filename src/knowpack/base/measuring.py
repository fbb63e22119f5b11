"""Asking the base: once for all runs, into its folder; what is there is kept.

Base + RunConfig -> responses.parquet, knowledge.parquet, asked.parquet, fresh-1/, fresh-2/, beside/, bench/ in
`work/base/<hash>/`.
"""

import warnings
from pathlib import Path

import polars as pl

from knowpack import store
from knowpack.base import answer_cache
from knowpack.base.base import Base, fresh_name, probe_key, sampling_key
from knowpack.config import ProbeConfig, RunConfig, fingerprint
from knowpack.decode.transformers_asker import TransformersAsker, left_out
from knowpack.facts.from_config import pool_content
from knowpack.measure.grading import GRADER_VERSION
from knowpack.measure.knowledge import knowledge_map
from knowpack.measure.stakes import at_stake
from knowpack.model import machine
from knowpack.model.rounding import otherwise_rounded
from knowpack.probe.askers import Asker
from knowpack.probe.fresh_prompts import fresh_sets
from knowpack.probe.probe import probe
from knowpack.probe.turns import Shot
from knowpack.progress import SILENT, Progress
from knowpack.records import Response


def measure_base(base: Base, config: RunConfig, progress: Progress = SILENT) -> None:
    """Ask the base everything, and again under fresh prompts; what is on disk already is kept."""
    _say_where_else(base)
    if is_measured(base, config):  # read by all, held by none
        return
    with store.folder_lock(base.folder, progress):
        _ask_facts(base, config, progress)
        ask_fresh(base, base.asker, base.folder, config, progress)
        if config.bench.tasks:
            from knowpack.bench.evaluate import evaluate

            evaluate(base.asker, config.bench, bench_folder(base, config), progress=progress)
        store.record_all(base.folder)
        manifest = store.read_manifest(base.folder)
        measured = manifest.get("measured")
        keys = {_measured_key(config), *(measured if isinstance(measured, list) else [])}
        store.write_manifest(base.folder, manifest | {"measured": sorted(keys)})


def measure_knowledge(base: Base, config: RunConfig, progress: Progress = SILENT) -> None:
    """Ask the base the facts under the probe's own prompts, and nothing else: the first part of `measure_base`."""
    if (base.folder / "knowledge.parquet").is_file():
        return
    with store.folder_lock(base.folder, progress):
        _ask_facts(base, config, progress)
        store.record_all(base.folder)


def _ask_facts(base: Base, config: RunConfig, progress: Progress) -> None:
    """manifest.json, facts.parquet, probe.json, and the answers with the knowledge map."""
    if not store.read_manifest(base.folder):
        described_by: dict[str, object] = {"command": "knowpack", "base_hash": base.folder.name, "files": {}}
        if isinstance(base.asker, TransformersAsker):
            described_by["computed"] = machine.of_answers(base.asker.loaded)
        store.write_manifest(base.folder, described_by)
    if not (base.folder / "facts.parquet").is_file():
        store.write_table(base.folder / "facts.parquet", base.facts)
    if not (base.folder / "probe.json").is_file():
        store.write_json(base.folder / "probe.json", described(base, config))
    _ask(base.asker, base, base.facts, base.shots, config.probe, base.folder, None, progress)


def _say_where_else(base: Base) -> None:
    """Warn where its answers lie here from another processor, in half precision."""
    computed = store.read_manifest(base.folder).get("computed")
    if isinstance(computed, dict) and isinstance(base.asker, TransformersAsker):
        line = otherwise_rounded(computed, machine.of_answers(base.asker.loaded))
        if line is not None:
            warnings.warn(line, stacklevel=3)


def is_measured(base: Base, config: RunConfig) -> bool:
    """Is all there that `measure_base` makes for this config?"""
    measured = store.read_manifest(base.folder).get("measured")
    if not isinstance(measured, list) or _measured_key(config) not in measured:
        return False
    return not store.lacking(base.folder) and not store.lacking(bench_folder(base, config))


def _measured_key(config: RunConfig) -> str:
    return store.hash_of([fingerprint(config, "probe"), bench_key(config)])


def bench_folder(base: Base, config: RunConfig) -> Path:
    """Where the base's own scores lie."""
    return base.folder / "bench" / store.hash_of(bench_key(config))


def bench_key(config: RunConfig) -> dict[str, object]:
    """What changes the scores: the settings, and the content of the user's own tasks and of benchmark data."""
    bench = config.bench
    if bench.tasks and bench.include is not None:
        from knowpack.bench.task_names import included

        config = config.model_copy(update={"bench": bench.model_copy(update={"include": included(bench)})})
    key = fingerprint(config, "bench")
    if bench.tasks and bench.data is not None:
        from knowpack.bench.data import content

        return key | {"bench_data": content(Path(bench.data))}
    return key


def ask_fresh(base: Base, asker: Asker, into: Path, config: RunConfig, progress: Progress) -> None:
    """Ask the base, or the base with an adapter, under every set of fresh prompts.

    The first set asks all facts, the others those with something to lose. -> into/fresh-1/, into/fresh-2/, ...
    """
    plain = config.probe.model_copy(update={"logprob": False, "n_samples": 0})
    for number, shots in enumerate(fresh_sets(base.pool, config.probe, base.facts["question"].to_list()), 1):
        name = fresh_name(number)
        chosen = base.facts if number == 1 else base.facts.join(at_stake(base.knowledge), on="fact_id", how="semi")
        if chosen.is_empty():
            return
        theirs = base.folder / (name if into != base.folder else "") / "responses.parquet"
        drafts = store.scan_table(theirs, Response)
        _ask(asker, base, chosen, shots, plain, into / name, drafts, progress)


def ask_beside(
    base: Base, facts: pl.DataFrame, shots: list[list[Shot]], config: ProbeConfig, progress: Progress
) -> pl.DataFrame:
    """The base's answers (Response) to other facts, or under other prompts, than its own; kept in beside/ as those."""
    into = base.folder / "beside" / store.hash_table(answer_cache.keys(base, facts, shots, config))
    with store.folder_lock(base.folder, progress):
        _ask(base.asker, base, facts, shots, config, into, None, progress)
        store.record_all(base.folder)
    return store.read_table(into / "responses.parquet", Response)


def _ask(
    asker: Asker,
    base: Base,
    facts: pl.DataFrame,
    shots: list[list[Shot]],
    config: ProbeConfig,
    into: Path,
    drafts: pl.LazyFrame | None,
    progress: Progress,
) -> None:
    """responses.parquet and knowledge.parquet of these facts under these prompts; what is there is kept, and what the
    base answered elsewhere (answer_cache.py) is not asked again."""
    responses = into / "responses.parquet"
    of_base = into.is_relative_to(base.folder)
    wanted = answer_cache.keys(base, facts, shots, config) if of_base else None
    if not responses.is_file():
        chunks = store.Chunks(responses)
        given = None if wanted is None else answer_cache.cached_answers(base, wanted)
        probe(
            asker, facts, shots, base.prompter, config, chunks=chunks, drafts=drafts, answered=given, progress=progress
        )
    if wanted is not None and not (into / answer_cache.KEYS).is_file():
        store.write_table(into / answer_cache.KEYS, wanted)
    if not (into / "knowledge.parquet").is_file():
        store.write_table(into / "knowledge.parquet", knowledge_map(store.read_table(responses, Response)))


def described(base: Base, config: RunConfig) -> dict[str, object]:
    """probe.json: what the base was asked with, for the report and for a person."""
    return {
        "model": base.asker.name,
        "weights_hash": base.asker.identity.weights,
        "adapter": config.model.adapter,
        "n_facts": base.facts.height,
        "facts_hash": store.hash_table(base.facts),
        "generation_config_left_out": left_out(base.asker),
        "chat": base.prompter.chat,
        "system": base.prompter.system,
        "shots": [[shot._asdict() for shot in draw] for draw in base.shots],
        "probe": probe_key(config),
        **sampling_key(config.probe),
        "grader": GRADER_VERSION,
        **pool_content(config, base.pool),
    }
