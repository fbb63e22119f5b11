"""A task of one's own: a folder with lm-eval's YAML, named by bench.include."""

import json
from pathlib import Path

import polars as pl
import pytest
import yaml

from knowpack.bench.compare import compare
from knowpack.bench.evaluate import evaluate
from knowpack.bench.task_names import included
from knowpack.config import BenchConfig
from knowpack.decode.transformers_asker import TransformersAsker
from knowpack.errors import BenchError

from .conftest import build


def a_task(folder: Path, n: int = 3, metrics: tuple[str, ...] = ("acc",), **other: object) -> Path:
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
        "metric_list": [{"metric": metric, "aggregation": "mean", "higher_is_better": True} for metric in metrics],
        **other,
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


def test_what_is_no_mean_of_its_items_has_a_score_and_is_not_compared_item_by_item(tmp_path: Path) -> None:
    """lm-eval keeps an item's log-likelihood as its perplexity, which is the exponential of their negative mean."""
    metrics = [
        {"metric": "perplexity", "aggregation": "perplexity", "higher_is_better": False},
        {"metric": "acc", "aggregation": "mean", "higher_is_better": True},
    ]
    other = {"output_type": "loglikelihood", "doc_to_target": "{{choices[0]}}", "metric_list": metrics}
    config = BenchConfig(tasks=("own_quiz",), include=str(a_task(tmp_path / "tasks", **other)))
    for name, seed in (("base", 0), ("tuned", 1)):
        scores = evaluate(TransformersAsker(build("llama", seed)), config, tmp_path / name)
        assert {(metric, n) for metric, n in scores.select("metric", "n").rows()} == {("acc", 3), ("perplexity", 3)}
    assert compare(tmp_path / "base", tmp_path / "tuned")["metric"].to_list() == ["acc"]


def test_figures_over_all_items_at_once_are_measured(tmp_path: Path) -> None:
    metrics = [{"metric": "brier_score", "aggregation": "brier_score", "higher_is_better": False}]
    config = BenchConfig(tasks=("own_quiz",), include=str(a_task(tmp_path / "tasks", metric_list=metrics)))
    scores = evaluate(TransformersAsker(build("llama")), config, tmp_path / "out")
    assert scores.select("metric", "n").rows() == [("brier_score", 3)]
    assert compare(tmp_path / "out", tmp_path / "out").is_empty()


def test_the_choice_that_is_kept_is_the_one_that_each_metric_counted(tmp_path: Path) -> None:
    metrics = ("acc", "acc_norm", "acc_bytes", "acc_mutual_info")
    choices = "{{['é' * 9, 'the one ' + question]}}"  # of 9 characters and 18 bytes
    folder = a_task(tmp_path / "tasks", n=8, metrics=metrics, doc_to_choice=choices)
    evaluate(TransformersAsker(build("llama")), BenchConfig(tasks=("own_quiz",), include=str(folder)), tmp_path / "out")
    samples = pl.read_parquet(tmp_path / "out" / "own_quiz" / "samples.parquet")
    assert set(samples["metric"]) == set(metrics)
    assert ((samples["prediction"] == samples["gold"]) == (samples["value"] == 1)).all()
