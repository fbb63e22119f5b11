"""What is kept of a benchmark's items, and the figures over them: lm-eval's results -> `Sample` and `Score` rows.

Two models are compared item by item where the task's figure is the mean of its items; what makes sense over all items
only (a perplexity, an F1) has its figure and no outcomes.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from knowpack.records import Score

POINTS = re.compile(r"(bleu|rouge|chrf|ter)[0-9a-zL]*(_max|_diff)?$")  # but bleu_acc and the like, which are 0 or 1
LENGTHS: dict[str, Callable[[str], int]] = {"acc_norm": len, "acc_bytes": lambda choice: len(choice.encode())}
"""What lm-eval divides the log-likelihood of a choice by."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The outcome of one benchmark item under one metric."""

    task: str
    """The leaf task (for MMLU a subject)."""
    doc_id: int
    doc_hash: str
    """sha256 of the item, as lm-eval computes it: two models are compared on equal items only."""
    metric: str
    value: float
    prediction: str | None
    """Index of the chosen answer, or the generated text."""
    gold: str
    """Index of the right answer, or lm-eval's target."""


def samples(leaf: str, item: dict[str, Any], task: Any) -> Iterator[Sample]:
    """The outcomes of one item that are numbers."""
    for metric in item["metrics"]:
        value = item[metric]
        if not isinstance(value, int | float) and not hasattr(value, "item"):
            continue  # metrics that only make sense over all items
        named, chosen = _named(metric, item["filter"]), _prediction(item, task, metric)
        yield Sample(leaf, int(item["doc_id"]), item["doc_hash"], named, float(value), chosen, str(item["target"]))


def averaged(samples: pl.DataFrame, results: dict[str, dict[str, Any]]) -> pl.DataFrame:
    """The outcomes whose mean is the task's figure: of them alone two models are compared, item by item.

    Of a perplexity lm-eval keeps the log-likelihood of each item, which rises where the perplexity falls.
    """
    means = samples.group_by("task", "metric", maintain_order=True).agg(pl.col("value").mean())
    kept = []
    for task, metric, mean in means.iter_rows():
        name, _, chain = metric.partition(",")
        figure = results[task].get(f"{name},{chain or 'none'}")
        if isinstance(figure, int | float) and math.isclose(mean, figure, rel_tol=1e-6, abs_tol=1e-9):
            kept.append((task, metric))
    schema = {"task": pl.String, "metric": pl.String}
    keep = pl.DataFrame(kept, schema=schema, orient="row")
    return samples.join(keep, on=["task", "metric"], how="semi", maintain_order="left")


def n_items(items: Sequence[tuple[str, dict[str, Any]]]) -> Counter[tuple[str, str]]:
    """(task, metric) -> how many of lm-eval's items it was computed over."""
    return Counter((leaf, _named(metric, item["filter"])) for leaf, item in items for metric in item["metrics"])


def scores(
    name: str,
    results: dict[str, Any],
    leaves: Sequence[str],
    samples: pl.DataFrame,
    n_items: Mapping[tuple[str, str], int],
    better: dict[str, bool],
) -> Iterator[Score]:
    """lm-eval's figures of one task or group."""
    mine = samples.filter(pl.col("task").is_in(leaves))
    for key, value in results.items():
        metric, comma, chain = key.partition(",")
        if not comma or metric.endswith("_stderr") or not isinstance(value, int | float):
            continue
        stderr = results.get(f"{metric}_stderr,{chain}")
        named = _named(metric, chain)
        unit = unit_of(metric, mine.filter(pl.col("metric") == named)["value"])
        n = sum(n_items.get((leaf, named), 0) for leaf in leaves)
        yield Score(name, named, float(value), _number(stderr), n, better.get(metric), unit)


def unit_of(metric: str, values: pl.Series) -> str:
    """share, points or "" of a metric, by its name (lm-eval's BLEU, ROUGE, chrF run to 100) and its items' values."""
    if POINTS.match(metric):
        return "points"
    return "share" if len(values) and values.is_between(0, 1).all() else ""


def _named(metric: str, chain: str) -> str:
    """A metric behind a chain of filters, as we call it: lm-eval's "acc,none" is acc."""
    return metric if chain == "none" else f"{metric},{chain}"


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _prediction(item: dict[str, Any], task: Any, metric: str) -> str | None:
    answers = item["filtered_resps"]
    if task.OUTPUT_TYPE == "generate_until":
        return str(answers[0])
    if task.OUTPUT_TYPE != "multiple_choice":
        return None
    sums, choices = [float(answer[0]) for answer in answers], task.doc_to_choice(item["doc"])
    alone = sums[len(choices) :]  # acc_mutual_info asks each choice without its question too
    sums = sums[: len(choices)]
    if metric == "acc_mutual_info":
        sums = [total - without for total, without in zip(sums, alone, strict=True)]
    elif metric in LENGTHS:
        sums = [total / LENGTHS[metric](choice) for total, choice in zip(sums, choices, strict=True)]
    return str(max(range(len(sums)), key=sums.__getitem__))
