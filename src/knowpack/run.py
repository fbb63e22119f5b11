"""One run, its stages in order; the file to read first.

    facts -> [base: probe, knowledge] -> mix -> train -> probe -> knowledge -> shifts, causes -> benchmarks -> figures

RunConfig -> the folder `work/runs/<label>-<hash>/`. A stage is done when its file exists, so a run that was killed
goes on where it stopped. The hash covers whatever changes a result. The figures are in run_figures.py.
"""

import json
import re
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from knowpack import records, store
from knowpack.base import Base, ask_fresh, bench_key, fresh_name, measure_base, open_base
from knowpack.config import KeepRecipe, PlainRecipe, RunConfig, fingerprint
from knowpack.decode.transformers_asker import weights_of
from knowpack.facts import sources
from knowpack.facts.chosen import facts_of, shot_pool
from knowpack.further import asking
from knowpack.manifest import begin, command_of, recorded, stage
from knowpack.measure import causes, confidence, knowledge, regress, shifts
from knowpack.probe.askers import Asker
from knowpack.probe.probe import probe
from knowpack.probe.shots import draw_shots
from knowpack.progress import SILENT, Progress
from knowpack.records import Example, Figure, Kind, Knowledge, Response
from knowpack.run_figures import figures, harm_by_group, taught_ids
from knowpack.train import mix, replay_prompts
from knowpack.train.short_forms import in_short_forms

if TYPE_CHECKING:
    from knowpack.train.base_answers import Replay

BESIDE_FIGURES = ("over_given.parquet", "risk_coverage.parquet", "group_harm.parquet")
LONGEST_SLUG = 80  # characters of a label in the folder's name
ENOUGH_APART = 1000  # facts beside those probed, to replay from them alone


def run(config: RunConfig, base: Base | None = None, progress: Progress = SILENT, *, wait: bool = True) -> Path:
    """All stages of one cell; what is on disk already is kept. base: from another run of the same model and facts.
    wait: for another process that holds the run; else HeldError.
    Raises the KnowpackError of the stage that failed, after writing it to status.json.
    """
    started = time.perf_counter()
    base = base or open_base(config, progress)
    check(config, base)
    measure_base(base, config, progress)
    folder = folder_of(config, base)
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


def folder_of(config: RunConfig, base: Base) -> Path:
    """work/runs/<label>-<hash>; the hash covers the base with its facts and prompts, and all settings but the label."""
    settings = fingerprint(config, "seed", "grader", "probe", "mix", "train", "further") | bench_key(config)
    slug = re.sub(r"[^a-z0-9]+", "-", config.label.lower()).strip("-")[:LONGEST_SLUG] or "run"
    return Path(config.work) / "runs" / f"{slug}-{store.hash_of([base.folder.name, settings])}"


def make_examples(folder: Path, config: RunConfig, base: Base) -> None:
    """Stage 1: what to train on."""
    with stage(folder, "mix", "examples.parquet", ["replayed.parquet"]) as path:
        if path:
            extra = sources.load(config.mix.extra_facts) if config.mix.extra_facts else None
            examples = mix.mix(base.facts, base.knowledge, config.mix, config.seed, config.grader, extra)
            if isinstance(config.train, KeepRecipe):
                examples = pl.concat([examples, *_beside(folder, config.train, config, base, examples)])
            store.write_table(path, examples)


def make_adapter(folder: Path, config: RunConfig, base: Base, progress: Progress) -> None:
    """Stage 2: the LoRA adapter, and its reliability after each epoch where that is asked (Figure 2)."""
    from knowpack.train.train import train

    with stage(folder, "train", "adapter", ["train_log.jsonl"]) as path:
        if not path:
            return
        examples = store.read_table(folder / "examples.parquet", Example)
        held_to = _replay(config, base, examples, progress)
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
                resume_in=folder / "training",
            )
            if isinstance(config.train, PlainRecipe) and config.train.checkpoint_each_epoch:
                _measure_epochs(beside, config, base, examples, progress)
        keep_log(folder)


def keep_log(folder: Path) -> None:
    """The adapter's training log beside the run's tables, where the report looks for it."""
    log = folder / "adapter" / "train_log.jsonl"
    if log.is_file():
        store.check(log)
        store.write_text(folder / "train_log.jsonl", log.read_text(encoding="utf-8"))


def measure(folder: Path, config: RunConfig, base: Base, tuned: Asker, progress: Progress) -> None:
    """Stages 3 to 7: what the tuned model answers, what moved and why, the benchmarks, the figures."""
    examples = _examples(folder)
    told = examples if examples is not None else pl.DataFrame(schema=records.schema(Example))
    taught = taught_ids(examples)
    keep_log(folder)  # a kill may have come just before it
    beside = ["held_out.parquet", *(fresh_name(number + 1) for number in range(config.probe.n_floors))]
    with stage(folder, "probe", "responses.parquet", beside) as path:
        if path:
            _probe_after(folder, config, base, tuned, taught, progress)
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
            store.write_table(path, causes.explain(moved, before, after, told, base.facts, labelled=labelled))
    with stage(folder, "bench", "scores.parquet") as path:
        if path and config.bench.tasks:
            from knowpack.bench.evaluate import evaluate

            store.write_table(path, evaluate(tuned, config.bench, folder / "bench", progress=progress))
    with stage(folder, "figures", "figures.json", BESIDE_FIGURES) as path, progress.stage("figures", None):
        if path:
            found = figures(folder, base, after, examples)
            if examples is not None and (folder / "adapter").is_dir():
                _tell_card(folder, config, base, examples, found)
            grown = regress.over_given(base.responses.collect(), after, told, base.facts)
            store.write_table(folder / "over_given.parquet", grown)
            sure = confidence.risk_coverage(base.responses.collect(), after, base.facts, set(told["fact_id"]))
            store.write_table(folder / "risk_coverage.parquet", sure)
            store.write_table(folder / "group_harm.parquet", harm_by_group(folder, base, told))
            store.write_json(path, [asdict(figure) for figure in found])


def _tell_card(folder: Path, config: RunConfig, base: Base, examples: pl.DataFrame, found: list[Figure]) -> None:
    """Write the adapter's card again, now with what was measured, and with the command that makes it again."""
    from knowpack.train import card

    told = examples.filter(pl.col("kind") != str(Kind.REPLAY))
    measured = card.printed(found, config.grader)
    name, weights, again = base.asker.name, base.asker.identity.weights, command_of(folder)
    card.write(folder / "adapter", name, weights, told, config.train, config.seed, measured, again)


def _beside(
    folder: Path, recipe: KeepRecipe, config: RunConfig, base: Base, examples: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Short forms of the mix, and replay examples: of facts that are not probed, where there are enough.

    Else those probed count as trained. The facts that replay is about are kept beside: replayed.parquet.
    """
    packed = base.facts.filter(pl.col("fact_id").is_in(examples["fact_id"].unique().to_list()))
    apart = sources.load(facts_of(config)).join(base.facts, on="fact_id", how="anti", maintain_order="left")
    facts = apart if apart.height >= min(recipe.n_replay, ENOUGH_APART) else base.facts
    replay = replay_prompts.as_examples(replay_prompts.prompts(facts, packed, recipe, config.seed))
    keep_replayed(folder, facts, replay)
    short = in_short_forms(examples, base.facts) if recipe.short_forms else examples.clear()
    return short, replay


def keep_replayed(folder: Path, facts: pl.DataFrame, examples: pl.DataFrame) -> None:
    """replayed.parquet: those of the facts that a replay example is about."""
    ids = examples.filter(pl.col("kind") == str(Kind.REPLAY))["fact_id"].unique().to_list()
    store.write_table(folder / "replayed.parquet", facts.filter(pl.col("fact_id").is_in(ids)))


def _replay(config: RunConfig, base: Base, examples: pl.DataFrame, progress: Progress) -> "Replay | None":
    """What the base says to the replay examples, under few-shot contexts that no probe uses."""
    from knowpack.train.base_answers import build
    from knowpack.train.contexts import Contexts

    recipe = config.train
    if not isinstance(recipe, KeepRecipe):
        return None
    drawn = draw_shots(
        shot_pool(config),
        recipe.n_contexts,
        recipe.n_shots,
        config.probe.draw_seed,
        exclude=base.facts["question"].to_list(),
        skip=2 * config.probe.n_prompts,
    )
    questions = examples.filter(pl.col("kind") == str(Kind.REPLAY))["question"].to_list()
    contexts = Contexts(base.by_ids.prompter, [[], *drawn])
    return build(base.loaded, questions, contexts, recipe, config.seed, progress=progress)


def _probe_after(
    folder: Path, config: RunConfig, base: Base, tuned: Asker, taught: set[str], progress: Progress
) -> None:
    """The taught facts in wordings that were never trained on, then all facts as the base was asked, fresh first."""
    held_out = folder / "held_out.parquet"
    forms = [-k for k in range(1, config.probe.n_held_out_forms + 1)]
    reworded = base.facts.filter(pl.col("fact_id").is_in(list(taught)) & (pl.col("paraphrases").list.len() > 0))
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


def _measure_epochs(adapter: Path, config: RunConfig, base: Base, examples: pl.DataFrame, progress: Progress) -> None:
    """Append each epoch's reliability to the training log; the trained facts only, under all prompts."""
    taught = base.facts.filter(pl.col("fact_id").is_in(list(taught_ids(examples))))
    lines = []
    checkpoints = sorted(adapter.glob("epoch-*"))
    with progress.stage("reliability after each epoch", len(checkpoints)) as advance:
        for checkpoint in checkpoints:
            with base.tuned(checkpoint) as tuned:
                asked = probe(tuned, taught, base.shots, base.prompter, config.probe).collect()
            matched = asked[f"matched_{config.grader}"].is_not_null()
            epoch = int(checkpoint.name.removeprefix("epoch-"))
            lines.append({"epoch": epoch, "reliability": matched.mean(), "n": taught.height})
            advance(1)
    with (adapter / "train_log.jsonl").open("a", encoding="utf-8") as log:
        log.writelines(json.dumps(line, sort_keys=True) + "\n" for line in lines)


def _examples(folder: Path) -> pl.DataFrame | None:
    path = folder / "examples.parquet"
    return store.read_table(path, Example) if path.is_file() else None
