"""One run, its stages in order; the file to read first.

    facts -> [base: probe, knowledge] -> mix -> train -> probe -> knowledge -> shifts, causes -> benchmarks -> figures

RunConfig -> the folder `work/runs/<label>-<hash>/`. A stage is done when its file exists, so a run that was killed
goes on where it stopped. The hash covers whatever changes a result. The figures are in run_figures.py, what the keep
recipe trains on beside the mix in run_replay.py, the reliability after each epoch in run_epochs.py.
"""

import re
import time
from dataclasses import asdict
from pathlib import Path

import polars as pl

from knowpack import records, run_epochs, run_replay, store
from knowpack.base import Base, ask_fresh, bench_key, fresh_name, measure_base, measure_knowledge, open_base
from knowpack.config import KeepRecipe, PlainRecipe, RunConfig, fingerprint
from knowpack.decode.transformers_asker import weights_of
from knowpack.errors import ConfigError, FactsError, KnowpackError
from knowpack.facts import sources
from knowpack.facts.from_config import pool_is_file, table_content
from knowpack.further import asking
from knowpack.manifest import begin, command_of, recorded, stage
from knowpack.measure import causes, confidence, knowledge, regress, shifts
from knowpack.probe.askers import Asker
from knowpack.probe.probe import probe
from knowpack.progress import SILENT, Progress
from knowpack.records import Example, Figure, Kind, Knowledge, Response
from knowpack.run_figures import figures, harm_by_group, new_fact_ids
from knowpack.state import BENCH, gone
from knowpack.train import drawable, mix

BESIDE_FIGURES = ("over_given.parquet", "risk_coverage.parquet", "group_harm.parquet")
LONGEST_SLUG = 80  # characters of a label in the folder's name


def run(config: RunConfig, base: Base | None = None, progress: Progress = SILENT, *, wait: bool = True) -> Path:
    """All stages of one cell; what is on disk already is kept. base: from another run of the same model and facts.
    wait: for another process that holds the run; else LockedError.
    Raises the KnowpackError of the stage that failed, after writing it to status.json.
    """
    started = time.perf_counter()
    if base is None:
        drawable.check_runs([config])
        base = open_base(config, progress)
    check(config, base)
    folder = folder_of(config, base)
    measure_knowledge(base, config, progress)
    if (lack := lacking(config, base)) is not None:  # said before anything else is asked
        with store.folder_lock(folder, progress) if wait else store.lock(folder), recorded(folder, started):
            begin(folder, config, base)
            raise lack
    measure_base(base, config, progress)
    with store.folder_lock(folder, progress) if wait else store.lock(folder), recorded(folder, started):
        begin(folder, config, base)
        make_examples(folder, config, base)
        make_adapter(folder, config, base, progress)
        asking.ask_base(folder, config, base, progress)
        with base.tuned(folder / "adapter") as tuned:
            measure(folder, config, base, tuned, progress)
        base.check_unchanged()
    return folder


def check(config: RunConfig, base: Base) -> None:
    """Raise before the base is probed what mix and training would find after: no extra facts, no weights in memory."""
    folder = folder_of(config, base)
    if config.mix.extra_facts and not (folder / "examples.parquet").is_file():
        sources.load(config.mix.extra_facts)
    if not (folder / "adapter").is_dir():
        weights_of(base.asker, "training")


def lacking(config: RunConfig, base: Base) -> KnowpackError | None:
    """What the knowledge map lacks for the mix; None where it can be drawn, or is drawn already."""
    if (folder_of(config, base) / "examples.parquet").is_file():
        return None
    try:
        _mixed(config, base)
    except (FactsError, ConfigError) as error:
        return error
    return None


def folder_of(config: RunConfig, base: Base) -> Path:
    """work/runs/<label>-<hash>; the hash covers the base with its facts and prompts, and all settings but the label; of
    files named in the settings what is in them (of a pool of few-shot examples the base's name says that)."""
    slug = re.sub(r"[^a-z0-9]+", "-", config.label.lower()).strip("-")[:LONGEST_SLUG] or "run"
    if config.mix.extra_facts is not None:
        named = config.mix.model_copy(update={"extra_facts": sources.content(config.mix.extra_facts)})
        config = config.model_copy(update={"mix": named})
    if pool_is_file(config):
        config = config.model_copy(update={"probe": config.probe.model_copy(update={"shots": "file"})})
    settings = (
        fingerprint(config, "seed", "grader", "probe", "mix", "train") | asking.further_key(config) | bench_key(config)
    )
    settings |= table_content(config)
    return Path(config.work) / "runs" / f"{slug}-{store.hash_of([base.folder.name, settings])}"


def make_examples(folder: Path, config: RunConfig, base: Base) -> None:
    """Stage 1: what to train on."""
    with stage(folder, "mix", "examples.parquet", ["replayed.parquet"]) as path:
        if path:
            examples = _mixed(config, base)
            if isinstance(config.train, KeepRecipe):
                examples = pl.concat([examples, *run_replay.beside(folder, config.train, config, base, examples)])
            store.write_table(path, examples)


def _mixed(config: RunConfig, base: Base) -> pl.DataFrame:
    extra = sources.load(config.mix.extra_facts) if config.mix.extra_facts else None
    return mix.mix(base.facts, base.knowledge, config.mix, config.seed, config.grader, extra)


def make_adapter(folder: Path, config: RunConfig, base: Base, progress: Progress) -> None:
    """Stage 2: the LoRA adapter, and its reliability after each epoch where that is asked (Figure 2)."""
    from knowpack.train.train import train

    state = folder / "training"
    with stage(folder, "train", "adapter", ["train_log.jsonl"]) as path:
        if path:
            examples = store.read_table(folder / "examples.parquet", Example)
            held_to = run_replay.held_to(config, base, examples, progress)
            with store.atomic(path, replace=True) as beside:
                train(
                    base.loaded,
                    examples,
                    config.train,
                    config.seed,
                    beside,
                    prompter=base.by_ids.prompter,
                    progress=progress,
                    replay=held_to,
                    resume_in=state,
                )
                if isinstance(config.train, PlainRecipe) and config.train.checkpoint_each_epoch:
                    run_epochs.measure_epochs(beside, state, config, base, new_fact_ids(examples), progress)
            keep_log(folder)
    store.remove(state)  # the adapter is in its place


def keep_log(folder: Path) -> None:
    """The adapter's training log beside the run's tables, where the report looks for it."""
    log = folder / "adapter" / "train_log.jsonl"
    if log.is_file():
        store.check(log)
        store.write_text(folder / "train_log.jsonl", log.read_text(encoding="utf-8"))


def measure(folder: Path, config: RunConfig, base: Base, tuned: Asker, progress: Progress) -> None:
    """Stages 3 to 7: what the tuned model answers, what moved and why, the benchmarks, the figures."""
    examples = _examples(folder)
    trained_on = examples if examples is not None else pl.DataFrame(schema=records.schema(Example))
    new_ids = new_fact_ids(examples)
    keep_log(folder)  # a kill may have come just before it
    beside = ["held_out.parquet", *(fresh_name(number + 1) for number in range(config.probe.n_floors))]
    with stage(folder, "probe", "responses.parquet", beside) as path:
        if path:
            _probe_after(folder, config, base, tuned, new_ids, progress)
    asking.ask_tuned(folder, config, base, tuned, progress)
    after = store.read_table(folder / "responses.parquet", Response)
    with stage(folder, "knowledge", "knowledge.parquet") as path:
        if path:
            store.write_table(path, knowledge.knowledge_map(after))
    with stage(folder, "shifts", "shifts.parquet") as path, progress.stage("what moved, and why", None):
        if path:
            known_after = store.read_table(folder / "knowledge.parquet", Knowledge)
            trained = None if examples is None else set(examples["fact_id"])
            moved = shifts.shifts(base.knowledge, known_after, trained, base.facts)
            before, labelled = base.responses.collect(), base.prompter.chat
            store.write_table(path, causes.explain(moved, before, after, trained_on, base.facts, labelled=labelled))
    if any(name.startswith(f"{BENCH}/") for name in gone(folder)):
        store.remove(folder / "scores.parquet")  # asked again is what is gone alone
    with stage(folder, "bench", "scores.parquet") as path:
        if path and config.bench.tasks:
            from knowpack.bench.evaluate import evaluate

            store.write_table(path, evaluate(tuned, config.bench, folder / BENCH, progress=progress))
    with stage(folder, "figures", "figures.json", BESIDE_FIGURES) as path, progress.stage("figures", None):
        if path:
            all_figures = figures(folder, base, after, examples)
            if examples is not None and (folder / "adapter").is_dir():
                _write_card(folder, config, base, examples, all_figures)
            grown = regress.overused_answers(base.responses.collect(), after, trained_on, base.facts)
            store.write_table(folder / "over_given.parquet", grown)
            sure = confidence.risk_coverage(base.responses.collect(), after, base.facts, set(trained_on["fact_id"]))
            store.write_table(folder / "risk_coverage.parquet", sure)
            store.write_table(folder / "group_harm.parquet", harm_by_group(folder, base, trained_on))
            store.write_json(path, [asdict(figure) for figure in all_figures])


def _write_card(folder: Path, config: RunConfig, base: Base, examples: pl.DataFrame, all_figures: list[Figure]) -> None:
    """Write the adapter's card again, now with what was measured, and with the command that makes it again."""
    from knowpack.train import card

    new_examples = examples.filter(pl.col("kind") != str(Kind.REPLAY))
    measured = card.figures_by_name(all_figures, config.grader)
    name, weights, again = base.asker.name, base.asker.identity.weights, command_of(folder)
    card.write(folder / "adapter", name, weights, new_examples, config.train, config.seed, measured, again)


def _probe_after(
    folder: Path, config: RunConfig, base: Base, tuned: Asker, new_ids: set[str], progress: Progress
) -> None:
    """The new facts in wordings that were never trained on, then all facts as the base was asked, fresh first."""
    held_out = folder / "held_out.parquet"
    forms = [-k for k in range(1, config.probe.n_held_out_forms + 1)]
    reworded = base.facts.filter(pl.col("fact_id").is_in(list(new_ids)) & (pl.col("paraphrases").list.len() > 0))
    if forms and reworded.height and not held_out.is_file():
        probe(
            tuned,
            reworded,
            base.shots,
            base.prompter,
            config.probe,
            chunks=store.Chunks(held_out),
            forms=forms,
            progress=progress,
        )
    ask_fresh(base, tuned, folder, config, progress)
    if (folder / "responses.parquet").is_file():
        return
    probe(
        tuned,
        base.facts,
        base.shots,
        base.prompter,
        config.probe,
        chunks=store.Chunks(folder / "responses.parquet"),
        drafts=base.responses,
        progress=progress,
    )


def _examples(folder: Path) -> pl.DataFrame | None:
    path = folder / "examples.parquet"
    return store.read_table(path, Example) if path.is_file() else None
