"""Benchmark scores as the hub reads them: `.eval_results/*.yaml` beside a model's files.

scores.parquet and the tasks' folders of a bench -> huggingface_hub's EvalResultEntry -> YAML. A score is given for the
whole of a benchmark alone (no --limit), under the id that lm-eval loads it by; shares as percent, as the hub's own
entries have them (https://huggingface.co/docs/hub/eval-results). knowpack's own figures are no benchmark of the hub's:
they stand in the card.
"""

from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import polars as pl
import yaml

from knowpack import store
from knowpack.records import Score


class Benchmark(NamedTuple):
    """Where the hub has a task's data, and which of its metrics is given."""

    dataset: str
    task: str
    metric: str


HUB = {
    "mmlu": Benchmark("cais/mmlu", "all", "acc"),
    "truthfulqa_mc1": Benchmark("truthfulqa/truthful_qa", "mc1", "acc"),
    "truthfulqa_mc2": Benchmark("truthfulqa/truthful_qa", "mc2", "acc"),
    "arc_easy": Benchmark("allenai/ai2_arc", "ARC-Easy", "acc_norm"),
    "arc_challenge": Benchmark("allenai/ai2_arc", "ARC-Challenge", "acc_norm"),
    "logiqa": Benchmark("EleutherAI/logiqa", "logiqa", "acc_norm"),
}
"""lm-eval's task -> the hub's (dataset_path of the tasks of lm-eval 0.4.13; metrics as in Pletenev et al. 2025)."""


def results(folder: Path) -> dict[str, str]:
    """Path in the repository -> YAML, a file a benchmark; empty where `folder` has no scores that the hub knows.

    folder: of a run, a pack, a diff or a bench.
    """
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    if not (folder / "scores.parquet").is_file():
        return {}
    scores = store.read_table(folder / "scores.parquet", Score)
    files = {}
    for task, hub in HUB.items():
        mine = scores.filter((pl.col("task") == task) & (pl.col("metric") == hub.metric))
        about = _about(folder, task)
        if mine.is_empty() or about is None:
            continue
        row = mine.row(0, named=True)
        notes = f"knowpack {version('knowpack')}, lm-eval {version('lm_eval')}, {hub.metric}{about}, n = {row['n']}"
        entry = EvalResultEntry(hub.dataset, hub.task, round(100 * row["value"], 2), notes=notes)
        files[f".eval_results/{task}.yaml"] = yaml.safe_dump(eval_result_entries_to_yaml([entry]), sort_keys=False)
    return files


def _about(folder: Path, task: str) -> str | None:
    """How many shots, as a note; None where the items were limited, or nothing says that they were not."""
    path = next((one for one in (folder / "bench" / task, folder / task) if (one / "task.json").is_file()), None)
    task_json = None if path is None else store.read_json(path / "task.json")
    settings = task_json.get("settings") if isinstance(task_json, dict) else None
    if not isinstance(task_json, dict) or not isinstance(settings, dict) or settings.get("limit") is not None:
        return None
    shots = task_json.get("n_shots")
    numbers = set(shots.values()) if isinstance(shots, dict) else set()
    n = next(iter(numbers), 0) if len(numbers) == 1 else None
    return "" if n is None else f", {n or 0}-shot"
