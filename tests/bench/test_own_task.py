"""A task of one's own: a folder with lm-eval's YAML, named by bench.include."""

import json
from pathlib import Path

import pytest
import yaml

from knowpack.bench.evaluate import evaluate
from knowpack.bench.tasks import included
from knowpack.config import BenchConfig
from knowpack.decode.transformers_asker import TransformersAsker
from knowpack.errors import BenchError

from .conftest import build


def a_task(folder: Path, n: int = 3) -> Path:
    """Three questions of two choices each, as JSON lines beside the YAML that reads them."""
    (folder / "own").mkdir(parents=True)
    lines = [{"question": f"What is {i}?", "choices": [f"one {i}", f"two {i}"], "answer": i % 2} for i in range(n)]
    (folder / "own" / "items.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    settings = {
        "task": "own_quiz",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(folder / "own" / "items.jsonl")}},
        "output_type": "multiple_choice",
        "test_split": "test",
        "doc_to_text": "Question: {{question}}\nAnswer:",
        "doc_to_choice": "{{choices}}",
        "doc_to_target": "answer",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    }
    (folder / "own" / "own_quiz.yaml").write_text(yaml.safe_dump(settings))
    return folder


def test_a_task_of_ones_own_is_measured_by_its_name(tmp_path: Path) -> None:
    config = BenchConfig(tasks=("own_quiz",), include=str(a_task(tmp_path / "tasks")))
    scores = evaluate(TransformersAsker(build("llama")), config, tmp_path / "out")
    assert scores.select("task", "metric", "n").rows() == [("own_quiz", "acc", 3)]


def test_other_content_under_the_same_path_is_another_task(tmp_path: Path) -> None:
    config = BenchConfig(tasks=("own_quiz",), include=str(a_task(tmp_path / "tasks")))
    first = included(config)
    path = tmp_path / "tasks" / "own" / "items.jsonl"
    path.write_text(path.read_text().replace("one 0", "uno 0"))
    assert included(config) != first
    assert included(BenchConfig()) is None


def test_a_folder_without_tasks_is_said(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="holds no task"):
        evaluate(TransformersAsker(build("llama")), BenchConfig(tasks=("a",), include=str(tmp_path)), tmp_path / "out")
