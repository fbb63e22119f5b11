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
from knowpack.report.first_screen import FirstScreen, estimate_text, first_screen
from knowpack.report.summary import opening
from knowpack.report.tables import tables
from knowpack.report.value_text import text


class Result:
    """A pack, a diff or a study that was measured.

    Of a study, figures and tables are of all its runs; first, verdict, adapter, shifts, knowledge and responses are of
    the run that its report opens with, the first seed of the cell that came out best.
    """

    def __init__(self, built: Built) -> None:
        self._data = built.data
        self._index = opening(built.data).run
        self.page: Path = built.page
        """The report, one self-contained HTML file."""
        self.folder: Path = built.data.source.folder
        """All files."""

    @property
    def first(self) -> FirstScreen:
        """What the report says first: model, adapter, date, verdict, the figures that decide. Of a study, its best."""
        return first_screen(self._data, self._index)

    @property
    def verdict(self) -> State:
        """May it ship: met, not met or not measured, over all limits."""
        return self.first.judgement.word

    @property
    def adapter(self) -> Path | None:
        """The PEFT adapter that was trained; None of a diff."""
        path = self._data.source.runs[self._index].folder / "adapter"
        return path if path.is_dir() else None

    @property
    def figures(self) -> pl.DataFrame:
        """Every figure: [label, seed, grader, name, value, low, high, n, unit, higher_is_better, method]."""
        rows = [
            {"label": run.label, "seed": run.seed, "grader": grader, "name": name, **estimate._asdict()}
            for run, by_grader in zip(self._data.source.runs, self._data.runs, strict=True)
            for grader, estimates in by_grader.items()
            for name, estimate in estimates.items()
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
            for one in tables(self._data, "default")
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
        return [one.line for one in self._data.source.unfinished]

    def _table(self, name: str, record: type) -> pl.DataFrame:
        return store.read_table(self._data.source.runs[self._index].folder / name, record)

    def __repr__(self) -> str:
        screen = self.first
        lines = [f"{screen.model} + {screen.adapter}: {screen.headline}", f"verdict: {screen.judgement.word}"]
        lines[1] += f" – {screen.judgement.sentence()}"
        lines += [f"  {one.label}: {estimate_text(one.estimate, one.name)}" for one in screen.figures]
        return "\n".join([*lines, f"report: {self.page}"])

    def _repr_html_(self) -> str:
        screen = self.first
        verdict = screen.judgement
        rows = "".join(
            f"<tr><td>{escape(one.label)}</td><td>{escape(estimate_text(one.estimate, one.name))}</td></tr>"
            for one in screen.figures
        )
        return (
            f"<p><strong>{escape(screen.model)} + {escape(screen.adapter)}</strong>: {escape(screen.headline)}</p>"
            f"<p>May it ship? <strong>{escape(verdict.word)}</strong> – {escape(verdict.sentence())}</p>"
            f"<table>{rows}</table><p>Report: <code>{escape(str(self.page))}</code></p>"
        )


@dataclass(frozen=True, slots=True)
class ProbeResult:
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
