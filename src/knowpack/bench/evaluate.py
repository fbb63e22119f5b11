"""Benchmarks of one model: (asker, BenchConfig, folder) -> table of Scores, with every sample's outcome beside it.

    out/scores.parquet           Score rows of all asked tasks, MMLU's subjects and groups too
    out/<task>/samples.parquet   Sample rows; scores.parquet; task.json: settings, groups, cuts (all or none)
    out/lm_eval/<model>/         lm-eval's own results_*.json and samples_*.jsonl
    out/partial/                 answers of a bench that was interrupted

Tasks whose task.json tells of the same weights, settings and data are not run again; a folder is of one model.
Paper: Tables 7 and 8.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from knowpack import store
from knowpack.bench import outcomes
from knowpack.bench.data import content
from knowpack.bench.outcomes import Sample
from knowpack.bench.task_names import included
from knowpack.config import BenchConfig
from knowpack.errors import BenchError
from knowpack.probe.askers import Keeps, by_ids
from knowpack.progress import SILENT, Progress
from knowpack.records import Score, table
from knowpack.store import hash_of, lock, read_json, read_table, remove, write_json, write_table

if TYPE_CHECKING:
    from knowpack.bench.asker_lm import AskerLM
    from knowpack.bench.journal import Journal
    from knowpack.bench.lm import KnowpackLM
    from knowpack.bench.tasks import Benchmark
    from knowpack.probe.askers import Asker, TokenAsker

BENCH = "knowpack bench"
TOKENS_A_ROW = 32  # config.batch_size rows of this many tokens are one forward
SETTINGS = ("limit", "num_fewshot", "apply_chat_template", "fewshot_as_multiturn")


def evaluate(asker: "Asker", config: BenchConfig, out: Path, *, progress: Progress = SILENT) -> pl.DataFrame:
    """Run the configured tasks that are not done yet; returns their Scores, in the order asked.

    A model in memory is scored by the decoder here, one that a server answers for by its own log-likelihoods.

    Raises BenchError for an unknown task or unusable data, before anything is computed.
    """
    token_asker = by_ids(asker, "a benchmark")
    if not config.tasks:
        raise BenchError("no benchmark task is named; for example --tasks mmlu,truthfulqa_mc1,arc_easy")
    settings = config.model_dump(mode="json", include=set(SETTINGS))
    if config.include is not None:
        settings["include"] = included(config)
    if config.data is not None:
        settings["data"] = content(Path(config.data))
    request: dict[str, object] = {"model or adapter": asker.identity.weights}
    store.refuse_other(out, BENCH, request)
    with lock(out):
        store.claim(out, BENCH, request)
        of = hash_of([settings, asker.identity.weights])
        todo = [name for name in config.tasks if not _is_done(out, name, of)]
        if todo:
            _run(token_asker, config, todo, {"of": of, "settings": settings}, out, progress)
        remove(out / "partial")
        scores = pl.concat([read_table(out / name / "scores.parquet", Score) for name in config.tasks])
        if todo or not (out / "scores.parquet").is_file() or not read_table(out / "scores.parquet").equals(scores):
            store.forget(out, "scores.parquet")
            write_table(out / "scores.parquet", scores)
        store.record_all(out)
    return scores


def _is_done(out: Path, task: str, of: str) -> bool:
    """Whether this task was measured on these weights, with these settings and data, and all of it is there."""
    folder = out / task
    if any(name.startswith(f"{task}/") for name in store.lacking(out)) or not (folder / "task.json").is_file():
        return False
    task_json = read_json(folder / "task.json")
    return isinstance(task_json, dict) and task_json.get("of") == of


def _run(
    asker: "TokenAsker",
    config: BenchConfig,
    todo: Sequence[str],
    about: dict[str, object],
    out: Path,
    progress: Progress,
) -> None:
    with progress.stage("loading the benchmarks", None):  # lm-eval is imported, and may read all its tasks
        from knowpack.bench import harness, tasks
        from knowpack.bench.journal import Journal

        benchmarks = tasks.load(todo, config)
        tasks.check_gold(benchmarks, config.limit)
    journal = Journal(out / "partial", asker.identity.weights)
    keeping = asker.keeping(out / "partial" / "answered.jsonl") if isinstance(asker, Keeps) else nullcontext()
    with tasks.quiet(), progress.stage("benchmarks", None), keeping:
        lm = _lm(asker, config, journal, progress)
        results = harness.run(lm, benchmarks, config)
        measured = [_task_result(benchmark, results, lm, about) for benchmark in benchmarks]
        harness.save(results, lm, config, out / "lm_eval")  # after the samples are taken: it rewrites them
    for benchmark, each in zip(benchmarks, measured, strict=True):
        store.forget(out, benchmark.name)  # of other settings or data
        with store.atomic(out / benchmark.name) as folder:  # all three at once: no kill leaves one without the others
            write_table(folder / "samples.parquet", each.samples)
            write_table(folder / "scores.parquet", each.scores)
            write_json(folder / "task.json", each.about)


def _lm(asker: "TokenAsker", config: BenchConfig, journal: "Journal", progress: Progress) -> "KnowpackLM | AskerLM":
    """The decoder of this room on weights in memory; else the asker's own log-likelihoods and texts."""
    from knowpack.bench.asker_lm import AskerLM
    from knowpack.bench.lm import KnowpackLM
    from knowpack.decode.transformers_asker import TransformersAsker

    if not isinstance(asker, TransformersAsker):
        return AskerLM(asker, journal, progress)
    n_tokens = config.batch_size and TOKENS_A_ROW * config.batch_size
    return KnowpackLM(asker.loaded, n_tokens=n_tokens, journal=journal, progress=progress)


class _TaskResult(NamedTuple):
    """What is kept of one asked task."""

    samples: pl.DataFrame
    scores: pl.DataFrame
    about: dict[str, object]


def _task_result(
    benchmark: "Benchmark", results: dict[str, Any], lm: "KnowpackLM | AskerLM", about: dict[str, object]
) -> _TaskResult:
    parts = {**benchmark.groups, **{leaf: [leaf] for leaf in benchmark.leaves}}
    objects = {task.task_name: task for task in benchmark.tasks()}
    items = [(leaf, item) for leaf in benchmark.leaves for item in results["samples"][leaf]]
    counted = table([row for leaf, item in items for row in outcomes.samples(leaf, item, objects[leaf])], Sample)
    samples, n_items = outcomes.averaged(counted, results["results"]), outcomes.n_items(items)
    better = results["higher_is_better"]
    scores = [
        replace(row, level=_level(name, benchmark))
        for name, leaves in parts.items()
        for row in outcomes.scores(name, results["results"][name], leaves, samples, n_items, better.get(name, {}))
    ]
    scores.sort(key=lambda score: (score.task != benchmark.name, score.task, score.metric))
    about = {
        **about,
        "task": benchmark.name,
        "groups": benchmark.groups,
        "n_requests_cut": {leaf: lm.cut[leaf] for leaf in benchmark.leaves if lm.cut[leaf]},
        "n_shots": {leaf: objects[leaf].config.num_fewshot for leaf in benchmark.leaves},
        "window": lm.max_length,
    }
    return _TaskResult(samples, table(scores, Score), about)


def _level(name: str, benchmark: "Benchmark") -> str:
    return "task" if name == benchmark.name else "group" if name in benchmark.groups else "part"


class Cuts(NamedTuple):
    """Requests of one task that were longer than the model's window."""

    n: int
    window: int


def cuts(folder: Path) -> Cuts:
    """How many requests of a measured task lost their beginning (as lm-eval cuts them)."""
    task_json = read_json(folder / "task.json")
    assert isinstance(task_json, dict), "task.json is ours"
    return Cuts(sum(task_json["n_requests_cut"].values()), int(task_json["window"]))
