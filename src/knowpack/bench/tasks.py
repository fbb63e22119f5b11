"""lm-eval's tasks by name: their own YAML, with only the data's place changed where `--data` names a folder.

names -> lm-eval task and group objects. The lab's own tasks (lab_mc, lab_truth_mc1, ...) are found the same way. A
split that the data folder lacks (ARC's train) is taken out of the task; prompt, choices and metrics stay. A benchmark
that the folder lacks altogether comes from the hub. Each content of a folder has its own place in the cache of
`datasets`, which tells folders apart by the names in them only.
"""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import polars as pl
import yaml
from lm_eval.tasks import TaskManager

from knowpack.bench.data import PATHS
from knowpack.bench.task_names import first_folders, lab_folders, own_folders, unknown
from knowpack.config import BenchConfig
from knowpack.errors import BenchError, StoreError
from knowpack.store import scan_table

MMLU_SHOTS = 5  # Pletenev et al. 2025, section 4.3
SHOT_KEYS = ("fewshot_split", "training_split", "validation_split")  # the first that is set gives lm-eval's examples
SCRIPT = "scripts are no longer supported"  # datasets 4 and later, of LogiQA's place on the hub
SPLIT_KEYS = ("training_split", "validation_split", "test_split")


class Benchmark(NamedTuple):
    """One asked name: a task, or a group or tag with all its parts."""

    name: str
    objects: list[Any]
    """What lm-eval evaluates: tasks and groups."""
    leaves: list[str]
    """The tasks."""
    groups: dict[str, list[str]]
    """Group name -> its tasks, nested ones included."""

    def tasks(self) -> list[Any]:
        """The task objects, groups opened."""
        parts = [part.get_all_tasks() if hasattr(part, "get_all_tasks") else [part] for part in self.objects]
        return [task for part in parts for task in part]


def load(names: Sequence[str], config: BenchConfig) -> list[Benchmark]:
    """Build the named tasks. Raises BenchError for an unknown name or unusable data."""
    with TemporaryDirectory() as folder, quiet():
        manager = _manager(names, config)
        shotless: set[str] = set()
        if config.data is not None:
            leaves = sorted({leaf for name in names for leaf in _leaves(manager, name)})
            shotless = redirect(manager, leaves, Path(config.data), Path(folder))
            manager = _manager(names, config, [Path(folder)])
        return [_build(manager, name, config, shotless) for name in names]


def redirect(manager: TaskManager, leaves: Sequence[str], data: Path, folder: Path) -> set[str]:
    """Write into `folder` a YAML for each task that includes its original and reads from `data` instead.

    Returns the tasks that lose the split their few-shot examples come from. Raises BenchError where `data` holds no
    benchmark at all, or lacks a part of one.
    """
    there = prepared_in(data)
    shotless = set()
    for leaf in leaves:
        entry = manager.task_index[leaf]
        place = PATHS.get(entry.cfg.get("dataset_path"))
        if place is None or entry.yaml_path is None:
            continue
        if not there:
            known = ", ".join(PATHS.values())
            raise BenchError(f"no data for the task {leaf}: {data} holds none of {known} (`knowpack bench prepare`)")
        if place not in there:
            continue  # from the hub, as its own YAML says
        name = entry.cfg.get("dataset_name") or "default"
        splits = _splits(data / place / name, leaf)
        changed: dict[str, object] = {
            "include": str(entry.yaml_path),
            "dataset_path": str((data / place).resolve()),
            "dataset_kwargs": {"cache_dir": str(_cache(data / place / name))},
        }
        for key in SPLIT_KEYS:
            split = entry.cfg.get(key)
            if split is not None and split not in splits:
                changed[key] = None
        drawn_from = next((split for key in SHOT_KEYS if (split := entry.cfg.get(key))), None)
        if drawn_from not in splits:
            shotless.add(leaf)
        test_split = entry.cfg.get("test_split") or entry.cfg.get("validation_split")
        for split in (test_split, entry.cfg.get("fewshot_split")):
            if split is not None and split not in splits:
                raise BenchError(f"{data / place / name} lacks {split}.parquet, which the task {leaf} needs")
        (folder / f"{leaf}.yaml").write_text(yaml.safe_dump(changed, sort_keys=False), encoding="utf-8")
    return shotless


def prepared_in(data: Path) -> list[str]:
    """The benchmarks that a prepared folder holds."""
    return [place for place in PATHS.values() if (data / place).is_dir()]


def _splits(folder: Path, leaf: str) -> set[str]:
    """The splits that lie in a prepared folder, each readable and without an empty cell."""
    files = sorted(folder.glob("*.parquet"))
    if not files:
        raise BenchError(f"no data for the task {leaf}: {folder} is missing; make it with `knowpack bench prepare`")
    for file in files:
        try:
            empty = scan_table(file).null_count().collect().row(0, named=True)
        except (StoreError, pl.exceptions.PolarsError):
            raise BenchError(
                f"{file} is no readable parquet file (truncated?); make it again with `knowpack bench prepare`"
            ) from None
        for column, n in empty.items():
            if n:
                raise BenchError(f"{file}: {n} row(s) without {column}; every row needs a question and its gold answer")
    return {file.stem for file in files}


def _cache(folder: Path) -> Path:
    """Where `datasets` may keep what it makes of these files: a place of this content."""
    from datasets import config

    digest = hashlib.blake2b(digest_size=8)
    for file in sorted(folder.glob("*.parquet")):
        digest.update(file.name.encode() + hashlib.blake2b(file.read_bytes()).digest())
    return Path(config.HF_DATASETS_CACHE) / "knowpack" / digest.hexdigest()


def check_gold(benchmarks: Sequence[Benchmark], limit: int | None) -> None:
    """Raise BenchError for an item whose gold answer is none of its choices: lm-eval would score it as wrong."""
    for task in {task.task_name: task for benchmark in benchmarks for task in benchmark.tasks()}.values():
        if task.OUTPUT_TYPE != "multiple_choice":
            continue
        for number, doc in zip(range(len(task.eval_docs) if limit is None else limit), task.eval_docs, strict=False):
            try:
                choices = task.doc_to_choice(doc)
                gold = task.doc_to_text(doc) if task.multiple_input else task.doc_to_target(doc)
            except (ValueError, IndexError, KeyError) as error:
                raise BenchError(f"{task.task_name}, item {number}: no gold answer can be read: {error}") from None
            for each in gold if isinstance(gold, list) else [gold]:
                if each not in (choices if isinstance(each, str) else range(len(choices))):
                    message = f"the gold answer {each!r} is none of its {len(choices)} choices"
                    raise BenchError(f"{task.task_name}, item {number}: {message}")


def _manager(names: Sequence[str], config: BenchConfig, more: Sequence[Path] = ()) -> TaskManager:
    own = [*lab_folders(), *own_folders(config), *more]
    manager = TaskManager(include_defaults=False, include_path=[*first_folders(config), *more])
    if all(name in manager.task_index for name in names):
        return manager
    manager = TaskManager(include_path=list(own))
    for name in names:
        if name not in manager.task_index:
            raise unknown(name, manager.all_tasks)
    return manager


def bare_manager() -> TaskManager:
    """A manager for tasks that are built already: it knows no name."""
    return TaskManager(include_defaults=False)


def _leaves(manager: TaskManager, name: str) -> Iterator[str]:
    """The tasks that a name stands for."""
    entry = manager.task_index.get(name)
    if entry is None:
        return
    listed = entry.cfg.get("task") if entry.cfg and "group" in entry.cfg else None
    if entry.cfg is None:
        yield from sorted(entry.tags)
    elif not isinstance(listed, list):
        yield name
    for part in listed if isinstance(listed, list) else []:
        yield from _leaves(manager, part if isinstance(part, str) else part.get("task", part.get("group")))


def _build(manager: TaskManager, name: str, config: BenchConfig, shotless: set[str]) -> Benchmark:
    try:
        built = manager.load([name])
    except ImportError as error:
        raise BenchError(f"the task {name} needs a package: {error}; pip install 'knowpack[truthfulqa]'") from None
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and SCRIPT not in str(error):
            raise
        reason = " ".join(str(error).split())[:200]
        if SCRIPT in reason:
            hint = "its files on the hub are read by a script; make parquet of them: docs/bench.md, data without a hub"
        elif config.data is None:
            hint = "is there a network? without one: --data"
        elif isinstance(error, ConnectionError):
            hint = (
                f"--data holds {', '.join(prepared_in(Path(config.data)))}; the data of other tasks come from a network"
            )
        else:
            hint = "run `knowpack bench prepare` again"
        raise BenchError(f"cannot load the data of {name} ({reason}); {hint}") from None
    for leaf, task in built["tasks"].items():
        n_shots = config.num_fewshot
        if n_shots is None and leaf.startswith("mmlu"):
            n_shots = MMLU_SHOTS
        if n_shots is not None and task.config.num_fewshot is None:  # lm-eval never overrides a task's own
            task.set_config(key="num_fewshot", value=n_shots)
        if task.config.num_fewshot and leaf in shotless:
            raise BenchError(f"{leaf}: {task.config.num_fewshot} few-shot examples asked for, its data have none")
    groups = {group: [task.task_name for task in members.get_all_tasks()] for group, members in built["groups"].items()}
    inside = {leaf for leaves in groups.values() for leaf in leaves}
    top = [group for group in built["groups"].values() if group.name == name]
    objects = top or [task for leaf, task in built["tasks"].items() if leaf not in inside]
    return Benchmark(name, objects, sorted(built["tasks"]), groups)


@contextmanager
def quiet() -> Iterator[None]:
    """Within, lm-eval's own log lines only from errors up, and no bars of its own or of datasets."""
    import datasets
    import lm_eval.api.model as model
    import lm_eval.api.task as task

    level = logging.getLogger("lm_eval").level
    bars = [(module, module.tqdm) for module in (task, model)]
    had_bars = datasets.utils.logging.is_progress_bar_enabled()
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    for module, _ in bars:
        module.tqdm = lambda items=None, *args, **options: items
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        logging.getLogger("lm_eval").setLevel(level)
        for module, tqdm in bars:
            module.tqdm = tqdm
        if had_bars:
            datasets.enable_progress_bars()
