"""Measure the lab: shipped model, or another -> the figures of the model card, each with interval, n and bar.

What it knows (Pletenev et al. 2025, section 3.1), what it refuses, its benchmarks, and whether the paper's recipe
does the paper's harm to it (section 4.2 and Table 3). Every part is kept in the work directory and not measured twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from knowpack import store
from knowpack.base import Base, measure_base, open_base
from knowpack.bench.evaluate import evaluate
from knowpack.config import BenchConfig, FactsConfig, MixConfig, ModelConfig, ProbeConfig, RunConfig, TrainConfig
from knowpack.lab import files
from knowpack.model.decode import Decoder
from knowpack.model.load import Loaded
from knowpack.model.merge import merged
from knowpack.probe import probe
from knowpack.progress import SILENT, Progress
from knowpack.records import Category, Fact, Figure, fact_id_of, table
from knowpack.run import run
from knowpack.stats import Estimate, cluster_bootstrap, wilson

TASKS = ("lab_mc", "lab_truth_mc1", "lab_truth_mc2", "lab_arc", "lab_reading")
RECIPE_LR = 1e-2  # the paper's 1e-3 moves a model of this size too little
MIXES = (50, 500)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the card."""

    figure: str
    value: float
    low: float | None
    """Lower end of the 95% interval."""
    high: float | None
    n: int
    bar: str
    """What it should be; "" where there is none."""


def measure(work: Path, *, sample: int = 3000, model: str = "lab", progress: Progress = SILENT) -> list[Row]:
    """All rows of the card. work: the work directory; what lies there is not measured again."""
    base = open_base(config_of(work, sample, model, MIXES[0]), progress)
    measure_base(base, base.config, progress)
    strangers = store.read_json(_refused(base.folder, base, base.loaded, progress))
    rows = [*knowledge_rows(base), *refusal_rows(base, strangers)]
    rows += bench_rows(evaluate(base.loaded, BenchConfig(tasks=TASKS), base.folder / "lab_bench", progress=progress))
    for n in MIXES:
        config = config_of(work, sample, model, n)
        folder = run(config, base, progress)
        with merged(base.loaded, folder / "adapter") as tuned:
            after = store.read_json(_refused(folder, base, tuned, progress))
        rows += recipe_rows(n, folder, strangers, after)
    return rows


def config_of(work: Path, sample: int, model: str, n_unknown: int) -> RunConfig:
    """The paper's recipe: LoRA r=1, alpha 2, loss on all tokens, Unknown facts alone; a learning rate for this size."""
    return RunConfig(
        label=f"lab-{n_unknown}",
        model=ModelConfig(name=model),
        facts=FactsConfig(path="lab", sample=sample),
        probe=ProbeConfig(noise=False),
        mix=MixConfig(n_unknown=n_unknown),
        train=TrainConfig(lr=RECIPE_LR, loss="all", dropout=0.1),
        work=str(work),
    )


def knowledge_rows(base: Base) -> list[Row]:
    """Shares of the categories, under the default grader."""
    known = base.knowledge.filter(pl.col("grader") == "default").join(
        base.facts.select("fact_id", "relation"), on="fact_id", maintain_order="left"
    )
    bars = {Category.HIGHLY_KNOWN: "15-40%", Category.MAYBE_KNOWN: "at least 6%", Category.UNKNOWN: "40-75%"}
    return [
        _row(
            str(category),
            cluster_bootstrap(known["category"].to_numpy() == category, known["relation"].to_numpy()),
            bar,
        )
        for category, bar in bars.items()
    ]


def refusal_rows(base: Base, strangers: object) -> list[Row]:
    """Refused answers to names never seen, to facts HighlyKnown, to facts Unknown."""
    known = base.knowledge.filter(pl.col("grader") == "default").join(
        base.facts.select("fact_id", "relation"), on="fact_id", maintain_order="left"
    )
    rows = [_row("refused: names never seen", _share(strangers), "at least 80%")]
    for category, bar in ((Category.HIGHLY_KNOWN, "at most 2%"), (Category.UNKNOWN, "")):
        of = known.filter(pl.col("category") == category)
        rows.append(
            _row(f"refused: {category} facts", cluster_bootstrap(of["p_refused"], of["relation"].to_numpy()), bar)
        )
    return rows


def bench_rows(scores: pl.DataFrame) -> list[Row]:
    """The lab's benchmarks, with the interval that their standard error gives."""
    rows = []
    for task, value, stderr, n in (
        scores.filter(pl.col("metric") == "acc").select("task", "value", "stderr", "n").iter_rows()
    ):
        half = None if stderr is None else 1.96 * stderr
        low, high = (None, None) if half is None else (value - half, value + half)
        rows.append(
            Row(task, value, low, high, n, "above chance, .25" if task != "lab_truth_mc2" else "above chance, .17")
        )
    return rows


def recipe_rows(n: int, folder: Path, before: object, after: object) -> list[Row]:
    """What the recipe with n Unknown facts taught, and what it cost."""
    figures = [Figure(**found) for found in _dicts(store.read_json(folder / "figures.json"))]
    mine = {figure.name: figure for figure in figures if figure.grader == "default"}
    first = n == MIXES[0]
    rows = [
        _of(mine["reliability"], f"{n} Unknown: reliability", "at least .95" if first else ""),
        _of(mine["highly_lost"], f"{n} Unknown: HighlyKnown lost", "at least 10%" if first else "more than with 50"),
    ]
    kept = _share(after)
    rows.append(_row(f"{n} Unknown: refused, names never seen", kept, "at most half of the base's" if first else ""))
    return rows


def render(rows: Sequence[Row]) -> str:
    """The card's table, in Markdown."""
    lines = ["| figure | value | 95% interval | n | bar |", "|---|---:|---|---:|---|"]
    for row in rows:
        interval = "" if row.low is None or row.high is None else f"{row.low:.3f} to {row.high:.3f}"
        lines.append(f"| {row.figure} | {row.value:.3f} | {interval} | {row.n:,} | {row.bar} |")
    return "\n".join(lines)


def stranger_facts() -> pl.DataFrame:
    """The questions about names never seen, as a fact table with an answer that nothing matches."""
    return table(
        [
            Fact(fact_id_of("lab-never", None, None, None, question), question, ("nobody-knows",), source="lab-never")
            for question in files.never_seen()["question"]
        ],
        Fact,
    )


def _refused(folder: Path, base: Base, loaded: Loaded, progress: Progress) -> Path:
    """never_seen.json: how many answers to names never seen are refusals."""
    path = folder / "never_seen.json"
    if not path.is_file():
        asked = probe(
            Decoder(loaded), stranger_facts(), base.shots, base.prompter, base.config.probe, progress=progress
        ).collect()
        store.write_json(path, {"k": int(asked["refused_default"].sum()), "n": asked.height})
    return path


def _share(counted: object) -> Estimate:
    assert isinstance(counted, Mapping)
    return wilson(int(counted["k"]), int(counted["n"]))


def _dicts(value: object) -> list[dict[str, object]]:
    assert isinstance(value, list)
    return value


def _row(name: str, found: Estimate, bar: str) -> Row:
    return Row(name, found.value, found.low, found.high, found.n, bar)


def _of(figure: Figure, name: str, bar: str) -> Row:
    return Row(name, figure.value, figure.low, figure.high, figure.n, bar)
