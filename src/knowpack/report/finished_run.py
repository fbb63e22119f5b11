"""A finished run's folder, as the report reads it: its cell of the grid, its tables, figures and training log.

A folder and its base's -> `Run`; tables are read when asked for. Never a model.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import polars as pl
from pydantic import ValidationError

from knowpack import config, store
from knowpack.bench.compare import compare
from knowpack.errors import BenchError, StoreError
from knowpack.measure.own_answers import written_by_the_model
from knowpack.records import Estimate, Example, Fact, Knowledge, Response, Score, Shift
from knowpack.train import track


class Cell(NamedTuple):
    """What a cell of the paper's grid is made of."""

    n_unknown: int
    augmentation: str
    """none, highly_known, paraphrase, sham, pack, or other (both kinds, or no training set)."""
    k: int


class Extras(NamedTuple):
    """HighlyKnown facts in a mix."""

    added: int
    requested: int
    """n x k; more than `added` where mix.cap_extra took all there were."""


@dataclass(frozen=True)
class Run:
    """A finished run's folder."""

    folder: Path
    manifest: dict[str, object]
    base: Path | None
    """The base model's folder, None where it is not there."""

    @property
    def label(self) -> str:
        return str(self.manifest.get("label") or self.folder.name)

    @property
    def seed(self) -> int:
        seed = self.manifest.get("seed")
        return seed if isinstance(seed, int) else 0

    def config(self, *path: str) -> object:
        """A setting by its path; None where it is not there."""
        node: object = self.manifest.get("config")
        for name in path:
            node = node.get(name) if isinstance(node, dict) else None
        return node

    @property
    def base_name(self) -> str:
        """What tells its base from another, by content: the model, the facts and the prompts that all was asked of."""
        return str(self.manifest.get("base_hash") or (self.base.name if self.base else ""))

    @cached_property
    def recipe(self) -> str:
        """What cells have in common that differ in the number of new facts alone: base, mix and training, as a hash."""
        left_out = {"mix": {"n_unknown"}, "train": config.NOT_A_RESULT["train"]}
        settings = {
            name: {key: value for key, value in section.items() if key not in left_out[name]}
            for name in left_out
            if isinstance(section := self.config(name), dict)
        }
        return store.hash_of([self.base_name, self.config("grader"), settings])

    @cached_property
    def cell(self) -> Cell:
        if self.manifest.get("after"):  # somebody's adapter: no recipe and no mix of ours
            return Cell(0, "other", 0)
        n, hk, pa = (_int(self.config("mix", key)) for key in ("n_unknown", "n_highly_known", "n_paraphrase"))
        if (self.folder / "pack.json").is_file():
            return Cell(n, "pack", 0)
        if self.config("mix", "sham"):
            return Cell(n, "sham", hk or pa)
        if self.config("train", "recipe") == "keep":  # another recipe: no cell of the paper's
            return Cell(n, "pack", 0)
        if (hk and pa) or not isinstance(self.config("mix"), dict):
            return Cell(n, "other", hk + pa)
        return Cell(n, "highly_known" if hk else "paraphrase" if pa else "none", hk or pa)

    def table(self, name: str, record: type) -> pl.DataFrame | None:
        """A table of this run; None where it is not there."""
        path = self.folder / name
        return store.read_table(path, record) if path.is_file() else None

    def base_table(self, name: str, record: type) -> pl.DataFrame | None:
        """A table of the base model; None where it is not there."""
        path = self.base / name if self.base else None
        return store.read_table(path, record) if path and path.is_file() else None

    @cached_property
    def shifts(self) -> pl.DataFrame:
        return store.read_table(self.folder / "shifts.parquet", Shift)

    @cached_property
    def knowledge(self) -> pl.DataFrame | None:
        return self.table("knowledge.parquet", Knowledge)

    @cached_property
    def figures(self) -> dict[str, dict[str, Estimate]]:
        """figures.json, and sham.json beside a sham: grader -> name -> measure."""
        figures = read_figures(self.folder / "figures.json")
        for name, more in read_figures(self.folder / "sham.json").items():
            figures[name] = figures.get(name, {}) | more
        return figures

    @cached_property
    def extras(self) -> Extras | None:
        """How many HighlyKnown facts were added, of how many asked; None = none asked, or no training set."""
        n, k = (_int(self.config("mix", key)) for key in ("n_unknown", "n_highly_known"))
        examples = self.examples() if n * k and not self.config("mix", "sham") else None
        return None if examples is None else Extras(int((examples["kind"] == "highly_known").sum()), n * k)

    @cached_property
    def asks_its_own(self) -> bool:
        """Are all questions that were not trained the model's own (pack --known none)?"""
        examples = self.examples()
        return written_by_the_model(self.facts(), set() if examples is None else set(examples["fact_id"]))

    @cached_property
    def scores(self) -> pl.DataFrame | None:
        return self.table("scores.parquet", Score)

    @cached_property
    def log(self) -> list[dict[str, object]]:
        """The training log's lines; empty where there is none."""
        return [dict(line) for line in track.read(self.folder)]

    def facts(self) -> pl.DataFrame:
        """The facts that were asked about. Raises StoreError where they are not there."""
        facts = self.table("facts.parquet", Fact)
        facts = self.base_table("facts.parquet", Fact) if facts is None else facts
        if facts is None:
            raise StoreError(f"{self.folder} has no facts.parquet, nor has its base; run the same command again")
        return facts

    def responses(self) -> pl.DataFrame | None:
        """All answers, those to held-out wordings too."""
        tables = [self.table(name, Response) for name in ("responses.parquet", "held_out.parquet")]
        present = [frame for frame in tables if frame is not None]
        return pl.concat(present) if present else None

    def examples(self) -> pl.DataFrame | None:
        return self.table("examples.parquet", Example)

    @cached_property
    def base_bench(self) -> str | None:
        """The base's benchmark folder for the same settings, below `base`; None where the settings are not known."""
        if isinstance(place := self.manifest.get("base_bench"), str):
            return place
        try:  # a run of before: without the content of benchmark data
            settings = config.RunConfig.model_validate(self.manifest.get("config"))
        except ValidationError:  # a run of another version
            return None
        return f"bench/{store.hash_of(config.fingerprint(settings, 'bench'))}"

    def base_scores(self) -> pl.DataFrame | None:
        """The base's scores under the same benchmark settings."""
        return self.base_table(f"{self.base_bench}/scores.parquet", Score) if self.base_bench else None

    @cached_property
    def paired(self) -> pl.DataFrame | None:
        """Benchmarks before and after on the same items (`bench.compare`); None where the items were not kept."""
        if self.scores is None or self.base is None or self.base_bench is None:
            return None
        try:
            return compare(self.base / self.base_bench, self.folder / "bench")
        except BenchError:
            return None

    @cached_property
    def probe(self) -> dict[str, object]:
        """How its base was asked: system, chat, shots; empty where it was not kept."""
        return json_object(self.base / "probe.json") if self.base else {}

    @cached_property
    def base_manifest(self) -> dict[str, object]:
        """Of its base's folder; empty where that is not there."""
        return json_object(self.base / "manifest.json") if self.base else {}

    def read(self, name: str) -> dict[str, object]:
        """A JSON object of this run; empty where it is not there."""
        return json_object(self.folder / name)


def read_figures(path: Path) -> dict[str, dict[str, Estimate]]:
    """figures.json (a list of Figure records) -> grader -> name -> measure."""
    figures: dict[str, dict[str, Estimate]] = {}
    if not path.is_file():
        return figures
    rows = store.read_json(path)
    if not isinstance(rows, list):
        raise StoreError(f"{path} holds {type(rows).__name__}, expected a list of figures; remove it and run again")
    for row in rows:
        if isinstance(row.get("value"), int | float) and math.isfinite(row["value"]):  # NaN: nothing to measure
            known = {name: row[name] for name in Estimate._fields if row.get(name) is not None}
            measure = Estimate(**known)
            figures.setdefault(row["grader"], {})[row["name"]] = measure
    return figures


def json_object(path: Path) -> dict[str, object]:
    """A JSON object from a file; empty where it is not there."""
    value = store.read_json(path) if path.is_file() else {}
    return value if isinstance(value, dict) else {}


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0
