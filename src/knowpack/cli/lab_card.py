"""Measure the lab: shipped model, or another -> the rows of the model card, each with interval, n and bar.

What it knows (Pletenev et al. 2025, section 3.1), what it refuses, its benchmarks, and whether the paper's recipe
does the paper's harm to it (section 4.2 and Table 3). Every part is kept in the work directory and not measured twice.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import polars as pl

from knowpack import store
from knowpack.base import Base, measure_base, open_base
from knowpack.bench.evaluate import evaluate
from knowpack.bench.outcomes import Sample
from knowpack.config import BenchConfig, FactsConfig, MixConfig, ModelConfig, PlainRecipe, ProbeConfig, RunConfig
from knowpack.errors import FactsError
from knowpack.lab import files
from knowpack.measure.stats import share
from knowpack.probe.askers import Asker
from knowpack.probe.probe import probe
from knowpack.progress import SILENT, Progress
from knowpack.records import Category, Fact, Figure, fact_id_of, table
from knowpack.run import run

CHANCE = {
    "lab_mc": 0.25,
    "lab_mc_letters": 0.25,
    "lab_truth_mc1": 0.17,
    "lab_truth_mc2": 0.17,
    "lab_arc": 0.25,
    "lab_reading": 0.25,
}
SHARES = {
    Category.HIGHLY_KNOWN: (0.15, 0.40),
    Category.MAYBE_KNOWN: (0.06, 1.0),
    Category.UNKNOWN: (0.40, 0.75),
}
RECIPE_LR, RECIPE_EPOCHS = 1e-2, 30  # the paper's 1e-3 and 10 epochs move a model of this size too little
MIXES = (50, 500)
REFUSED, LOST = "refused: names never seen", "HighlyKnown lost"
N_REWORDED = 500  # HighlyKnown facts that are asked in wordings never shown


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the card."""

    figure: str
    value: float
    low: float | None
    """Lower end of the 95% interval."""
    high: float | None
    n: int | None
    bar: str = ""
    """What it should be; "" where there is none."""
    met: bool | None = None
    """None where there is no bar."""


def measure(work: Path, *, sample: int = 3000, model: str = "lab", progress: Progress = SILENT) -> list[Row]:
    """All rows of the card. work: the work directory; what lies there is not measured again."""
    base = open_base(config_of(work, sample, model, MIXES[0]), progress)
    measure_base(base, base.config, progress)
    missing = {Category.HIGHLY_KNOWN, Category.UNKNOWN} - set(_known(base)["category"])
    if missing:
        none = " or ".join(sorted(missing))
        raise FactsError(f"a card needs both: of {sample:,} facts drawn none is {none}; give a larger --sample")
    refusals = refusal_rows(base, refused(base.folder, base, base.asker, progress))
    rows = [*knowledge_rows(base), *refusals, reworded_row(base, progress)]
    bench = BenchConfig(tasks=tuple(CHANCE))
    evaluate(base.asker, bench, base.folder / "lab_bench", progress=progress)
    rows += bench_rows(base.folder / "lab_bench")
    for n in MIXES:
        folder = run(config_of(work, sample, model, n), base, progress)
        with base.tuned(folder / "adapter") as tuned:
            after = refused(folder, base, tuned, progress)
        rows += recipe_rows(n, folder, after)
    return judged(rows)


def config_of(work: Path, sample: int, model: str, n_unknown: int) -> RunConfig:
    """The paper's recipe: LoRA r=1, alpha 2, loss on all tokens, Unknown facts alone; lr and epochs for this size."""
    return RunConfig(
        label=f"lab-{n_unknown}",
        model=ModelConfig(name=model),
        facts=FactsConfig(path="lab", sample=sample),
        probe=ProbeConfig(noise=False),
        mix=MixConfig(n_unknown=n_unknown),
        train=PlainRecipe(lr=RECIPE_LR, epochs=RECIPE_EPOCHS, loss="all", dropout=0.1),
        work=str(work),
    )


def knowledge_rows(base: Base) -> list[Row]:
    """Shares of the categories, under the default grader."""
    known = _known(base)
    rows = []
    for category, (low, high) in SHARES.items():
        row = _row(str(category), known["category"] == category, known["relation"])
        bar = f"{low:.0%} to {high:.0%}" if high < 1 else f"at least {low:.0%}"
        rows.append(replace(row, bar=bar, met=low <= row.value <= high))
    return rows


def refusal_rows(base: Base, strangers: list[float]) -> list[Row]:
    """Refused answers to names never seen, to facts HighlyKnown, to facts Unknown."""
    known = _known(base)
    never = _row(REFUSED, strangers, range(len(strangers)))
    highly, unknown = (
        _row(f"refused: {category} facts", of["p_refused"], of["relation"])
        for category in (Category.HIGHLY_KNOWN, Category.UNKNOWN)
        for of in [known.filter(pl.col("category") == category)]
    )
    return [
        replace(never, bar="at least 80%", met=never.value >= 0.8),
        replace(highly, bar="at most 2%", met=highly.value <= 0.02),
        unknown,
    ]


def reworded_row(base: Base, progress: Progress) -> Row:
    """Right answers to HighlyKnown facts in the three wordings that the corpus never shows."""
    path = base.folder / "reworded.parquet"
    if not path.is_file():
        highly = _known(base).filter(pl.col("category") == Category.HIGHLY_KNOWN).head(N_REWORDED)["fact_id"]
        responses = probe(
            base.asker,
            base.facts.filter(pl.col("fact_id").is_in(highly.implode())),
            base.shots[:1],
            base.prompter,
            base.config.probe,
            forms=(-1, -2, -3),
            progress=progress,
        ).collect()
        right = responses.group_by("fact_id", maintain_order=True).agg(p=pl.col("matched_default").is_not_null().mean())
        store.write_table(path, right)
    by_fact = store.read_table(path).join(base.facts.select("fact_id", "relation"), on="fact_id", maintain_order="left")
    return _row("answered in wordings never shown: HighlyKnown facts", by_fact["p"], by_fact["relation"])


def bench_rows(folder: Path) -> list[Row]:
    """The lab's benchmarks, item by item: a share near 1 keeps an interval that ends at 1."""
    rows = []
    for task, chance in CHANCE.items():
        items = store.read_table(folder / task / "samples.parquet", Sample).filter(pl.col("metric") == "acc")["value"]
        row = _row(f"benchmark: {task}", items, range(len(items)))
        rows.append(replace(row, bar=f"above chance, {chance}", met=row.low is not None and row.low > chance))
    return rows


def recipe_rows(n: int, folder: Path, strangers: list[float]) -> list[Row]:
    """What the recipe with n Unknown facts taught, and what it cost."""
    figures = cast("list[dict[str, Any]]", store.read_json(folder / "figures.json"))
    mine = {estimate["name"]: Figure(**estimate) for estimate in figures if estimate["grader"] == "default"}
    rows = []
    for name, label in (("reliability", "reliability"), ("known_lost_raw", LOST)):
        estimate = mine[name]
        rows.append(Row(f"{n} Unknown facts: {label}", estimate.value, estimate.low, estimate.high, estimate.n))
    return [*rows, _row(f"{n} Unknown facts: {REFUSED}", strangers, range(len(strangers)))]


def judged(rows: Sequence[Row]) -> list[Row]:
    """All rows, the recipe's with their bars: they compare rows with each other."""
    value = {row.figure: row.value for row in rows}
    few, many = (f"{n} Unknown facts: " for n in MIXES)
    bars = {
        few + "reliability": ("at least .95", value[few + "reliability"] >= 0.95),
        few + LOST: ("at least 10%", value[few + LOST] >= 0.1),
        many + LOST: (f"more than with {MIXES[0]}", value[many + LOST] > value[few + LOST]),
        few + REFUSED: ("at most half of the base's", value[few + REFUSED] <= 0.5 * value[REFUSED]),
    }
    none: tuple[str, bool | None] = ("", None)
    judgements = [bars.get(row.figure, none) for row in rows]
    return [
        row if met is None else replace(row, bar=bar, met=met) for row, (bar, met) in zip(rows, judgements, strict=True)
    ]


def render(rows: Sequence[Row]) -> str:
    """The card's table, in Markdown."""
    lines = ["| figure | value | 95% interval | n | bar | |", "|---|---:|---|---:|---|---|"]
    for row in rows:
        verdict = "" if row.met is None else "met" if row.met else "**missed**"
        interval = "" if row.low is None or row.high is None else f"{row.low:.3f} to {row.high:.3f}"
        lines.append(f"| {row.figure} | {row.value:.3f} | {interval} | {row.n or 0:,} | {row.bar} | {verdict} |")
    return "\n".join(lines)


def record(rows: Sequence[Row], command: str) -> dict[str, object]:
    """card.json: the rows, the command that measured them, and the weights they are of."""
    return {
        "command": command,
        "sha256": store.hash_file(files.model_dir() / "model.safetensors"),
        "rows": [{name: getattr(row, name) for name in Row.__slots__} for row in rows],
    }


def refused(folder: Path, base: Base, asker: Asker, progress: Progress) -> list[float]:
    """For each name never seen: the share of its answers that refuse. Kept in the folder."""
    path = folder / "never_seen.parquet"
    if not path.is_file():
        responses = probe(asker, strangers(), base.shots, base.prompter, base.config.probe, progress=progress).collect()
        shares = responses.group_by("fact_id", maintain_order=True).agg(p=pl.col("refused_default").mean())
        store.write_table(path, shares)
    return store.read_table(path)["p"].to_list()


def strangers() -> pl.DataFrame:
    """The questions about names never seen, as a fact table with an answer that nothing matches."""
    questions = files.never_seen()["question"]
    rows = [(fact_id_of("lab-never", None, None, None, question), question) for question in questions]
    return table(
        [Fact(fact_id, question, ("no right answer",), source="lab-never") for fact_id, question in rows], Fact
    )


def _known(base: Base) -> pl.DataFrame:
    own = base.knowledge.filter(pl.col("grader") == "default")
    return own.join(base.facts.select("fact_id", "relation"), on="fact_id", maintain_order="left")


def _row(name: str, values: Iterable[float], clusters: Iterable[object]) -> Row:
    estimate = share([float(value) for value in values], list(clusters))
    return Row(name, estimate.value, estimate.low, estimate.high, estimate.n)
