"""What the calls give back: figures, tables and paths of a finished folder, shown as text and in a notebook."""

from dataclasses import dataclass
from html import escape
from pathlib import Path

import polars as pl

from knowpack import store
from knowpack.measure.knowledge import summary
from knowpack.pack.budget import State
from knowpack.records import Knowledge, Response, Shift
from knowpack.report import Built
from knowpack.report.first import First, first, said
from knowpack.report.printed import text
from knowpack.report.summary import opening
from knowpack.report.tables import tables


class Result:
    """A pack, a diff or a study that was measured."""

    def __init__(self, made: Built) -> None:
        self._measured = made.measured
        self._index = opening(made.measured).run
        self.page: Path = made.page
        """The report, one self-contained HTML file."""
        self.folder: Path = made.measured.source.folder
        """All files."""

    @property
    def first(self) -> First:
        """What the report says first: model, adapter, date, verdict, the figures that decide. Of a study, its best."""
        return first(self._measured, self._index)

    @property
    def verdict(self) -> State:
        """May it ship: met, not met or not measured, over all limits."""
        return self.first.judgement.word

    @property
    def adapter(self) -> Path | None:
        """The PEFT adapter that was trained; None of a diff."""
        path = self._measured.source.runs[self._index].folder / "adapter"
        return path if path.is_dir() else None

    @property
    def figures(self) -> pl.DataFrame:
        """Every figure: [label, seed, grader, name, value, low, high, n, unit, higher_is_better, method]."""
        rows = [
            {"label": run.label, "seed": run.seed, "grader": grader, "name": name, **estimate._asdict()}
            for run, by_grader in zip(self._measured.source.runs, self._measured.runs, strict=True)
            for grader, found in by_grader.items()
            for name, estimate in found.items()
        ]
        return pl.DataFrame(rows, infer_schema_length=None)

    @property
    def tables(self) -> dict[str, pl.DataFrame]:
        """The report's tables by name, as printed, under the default grader."""
        return {
            one.name: pl.DataFrame(
                [[text(value) for value in row] for row in one.rows],
                schema=dict.fromkeys(_unique(one.heads), pl.String),
                orient="row",
            )
            for one in tables(self._measured, "default")
        }

    @property
    def shifts(self) -> pl.DataFrame:
        """Fact by fact, before and after, and why (Shift table)."""
        return self._table("shifts.parquet", Shift)

    @property
    def knowledge(self) -> pl.DataFrame:
        """What the model knows after (Knowledge table)."""
        return self._table("knowledge.parquet", Knowledge)

    @property
    def responses(self) -> pl.DataFrame:
        """Every answer after (Response table)."""
        return self._table("responses.parquet", Response)

    @property
    def unfinished(self) -> list[str]:
        """The cells of a study that failed or were stopped, each with its error."""
        return [str(one) for one in self._measured.source.unfinished]

    def _table(self, name: str, record: type) -> pl.DataFrame:
        return store.read_table(self._measured.source.runs[self._index].folder / name, record)

    def __repr__(self) -> str:
        told = self.first
        lines = [f"{told.model} + {told.adapter}: {told.headline}", f"verdict: {told.judgement.word}"]
        lines[1] += f" – {told.judgement.sentence()}"
        lines += [f"  {one.label}: {said(one.estimate, one.name)}" for one in told.figures]
        return "\n".join([*lines, f"report: {self.page}"])

    def _repr_html_(self) -> str:
        told = self.first
        rows = "".join(
            f"<tr><td>{escape(one.label)}</td><td>{escape(said(one.estimate, one.name))}</td></tr>"
            for one in told.figures
        )
        return (
            f"<p><strong>{escape(told.model)} + {escape(told.adapter)}</strong>: {escape(told.headline)}</p>"
            f"<p>May it ship? <strong>{escape(told.judgement.word)}</strong> – {escape(told.judgement.sentence())}</p>"
            f"<table>{rows}</table><p>Report: <code>{escape(str(self.page))}</code></p>"
        )


@dataclass(frozen=True, slots=True)
class Asked:
    """What a model knows of a table of facts."""

    folder: Path
    model: str
    facts: pl.DataFrame
    """Fact table."""

    @property
    def knowledge(self) -> pl.DataFrame:
        """Knowledge table: a row a fact and grader."""
        return store.read_table(self.folder / "knowledge.parquet", Knowledge)

    @property
    def responses(self) -> pl.DataFrame:
        """Response table: every answer."""
        return store.read_table(self.folder / "responses.parquet", Response)

    @property
    def summary(self) -> pl.DataFrame:
        """How many facts in each category."""
        return summary(self.knowledge)

    def __repr__(self) -> str:
        return f"{self.model}: what it knows of {self.facts.height:,} facts\n{self.summary}\nanswers: {self.folder}"

    def _repr_html_(self) -> str:
        head = f"<p><strong>{escape(self.model)}</strong>: what it knows of {self.facts.height:,} facts</p>"
        return f"{head}{self.summary._repr_html_()}"


def _unique(heads: tuple[str, ...]) -> list[str]:
    """Heads as column names: empty ones and repeats numbered."""
    names: list[str] = []
    for head in heads:
        name = head or "column"
        names.append(name if name not in names else f"{name} {len(names)}")
    return names
