"""Two models on the same benchmark items: (folder, folder) of `evaluate` -> table of paired differences.

Right-or-wrong metrics: McNemar's exact test, flips 1->0 and 0->1 apart. All others: a paired bootstrap. Every
difference has its interval (`stats.difference`); p-values are corrected over the asked tasks, and apart from them over
the parts of the groups (MMLU's subjects and areas), by Holm 1979.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from knowpack.bench.outcomes import Sample
from knowpack.errors import BenchError
from knowpack.measure import p_values, stats
from knowpack.records import Estimate, Score, rows, table
from knowpack.seeds import stream
from knowpack.store import read_json, read_table

N_DRAWS = 2000


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric of one task, part or group, on the same items before and after."""

    task: str
    metric: str
    level: str
    """task: asked by name; group: a part of it that has parts; part: a leaf of a group."""
    n: int
    base: float
    other: float
    difference: float
    """other - base, in the metric's own unit."""
    low: float | None
    """95% interval of the difference, paired by item."""
    high: float | None
    n_lost: int | None
    """Items right before and wrong after; None for metrics that are no right-or-wrong."""
    n_won: int | None
    test: str
    """mcnemar or bootstrap."""
    p: float
    p_holm: float
    """Corrected over the rows of the same level."""
    higher_is_better: bool | None
    scale: float | None
    """The metric's range, for a fall as a share of it: 1 or 100; None where it has none or its direction is not known:
    such a metric is not judged."""


class _Part(NamedTuple):
    name: str
    level: str
    leaves: list[str]


def compare(base: Path, other: Path, *, seed: int = 0) -> pl.DataFrame:
    """All tasks that both folders hold. Raises BenchError where there are none or their items differ."""
    names = sorted(_tasks(base) & _tasks(other))
    if not names:
        raise BenchError(f"{base} and {other} have no benchmark in common; run `knowpack bench` for both")
    comparisons: list[Comparison] = []
    for name in names:
        paired = _paired(base / name, other / name)
        scores_of_base = {s.metric: s for s in rows(read_table(base / name / "scores.parquet", Score), Score)}
        for part in _parts(base / name, name):
            chosen = paired.filter(pl.col("task").is_in(part.leaves))
            for metric in sorted(chosen["metric"].unique().to_list()):
                comparisons.append(
                    _compared(part, scores_of_base[metric], chosen.filter(pl.col("metric") == metric), seed)
                )
    return table(_corrected(comparisons), Comparison)


def _tasks(folder: Path) -> set[str]:
    return {file.parent.name for file in folder.glob("*/task.json")}


def _parts(folder: Path, name: str) -> list[_Part]:
    task_json = read_json(folder / "task.json")
    groups: dict[str, list[str]] = task_json.get("groups", {}) if isinstance(task_json, dict) else {}
    leaves = sorted(read_table(folder / "samples.parquet", Sample)["task"].unique().to_list())
    task = _Part(name, "task", leaves)
    inner = [_Part(group, "group", parts) for group, parts in groups.items() if group != name]
    return [task, *inner, *(_Part(leaf, "part", [leaf]) for leaf in leaves if leaf != name)]


def _paired(base: Path, other: Path) -> pl.DataFrame:
    keys = ["task", "metric", "doc_id", "doc_hash"]
    before, after = (read_table(folder / "samples.parquet", Sample) for folder in (base, other))
    paired = before.join(after.select(*keys, "value"), on=keys, how="inner", suffix="_after", maintain_order="left")
    if paired.height != before.height or paired.height != after.height:
        raise BenchError(
            f"{base.name}: the two models saw different items ({before.height} and {after.height} outcomes, "
            f"{paired.height} in common); run both with the same --limit, --data and few-shot setting"
        )
    return paired


def _compared(part: _Part, metric: Score, items: pl.DataFrame, seed: int) -> Comparison:
    before, after = items["value"].to_numpy(), items["value_after"].to_numpy()
    scale = {"share": 1.0, "points": 100.0}.get(metric.unit)
    interval = _interval(after - before, scale)
    binary = bool(np.isin(before, (0.0, 1.0)).all() and np.isin(after, (0.0, 1.0)).all())
    lost, won = int(((before == 1) & (after == 0)).sum()), int(((before == 0) & (after == 1)).sum())
    p = p_values.mcnemar(lost, won) if binary else _bootstrap_p(after - before, seed)
    return Comparison(
        part.name,
        metric.metric,
        part.level,
        len(before),
        float(before.mean()),
        float(after.mean()),
        interval.value,
        interval.low,
        interval.high,
        lost if binary else None,
        won if binary else None,
        "mcnemar" if binary else "bootstrap",
        p,
        p,
        metric.higher_is_better,
        None if metric.higher_is_better is None else scale,
    )


def _interval(delta: NDArray[np.float64], scale: float | None) -> Estimate:
    """Tango's where the metric has a range (bleu_diff runs to both sides of 0), else t."""
    if scale is None or np.abs(delta).max() > scale:
        return stats.mean(delta)
    estimate = stats.difference(delta / scale)
    return estimate._replace(
        value=estimate.value * scale, low=scale * (estimate.low or 0.0), high=scale * (estimate.high or 0.0)
    )


def _bootstrap_p(delta: NDArray[np.float64], seed: int) -> float:
    """Two-sided: how often the redrawn mean, centred on no difference, is as far out as the one seen."""
    rng = stream(seed, "bootstrap", "p")
    centred = delta - delta.mean()
    draws = np.array([centred[rng.integers(delta.size, size=delta.size)].mean() for _ in range(N_DRAWS)])
    n_far = int((np.abs(draws) >= abs(delta.mean()) - 1e-12).sum())
    return (1 + n_far) / (1 + N_DRAWS)


def _corrected(comparisons: list[Comparison]) -> list[Comparison]:
    corrected = list(comparisons)
    for level in ("task", "group", "part"):
        places = [i for i, row in enumerate(comparisons) if row.level == level]
        for i, p in zip(places, p_values.holm([comparisons[i].p for i in places]), strict=True):
            corrected[i] = replace(comparisons[i], p_holm=p)
    return corrected
