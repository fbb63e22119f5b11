"""A cause of one's own is a rule in a tuple: no file of the package is touched."""

from pathlib import Path

import polars as pl
import pytest
import synthetic
from opened import Open

from knowpack import store
from knowpack.measure import causes
from knowpack.measure.evidence import CauseRule
from knowpack.records import Example, Response
from knowpack.report import explorer, page, source, summary, tables
from knowpack.report.report_data import ReportData, measure


def with_sixth(work: Path, monkeypatch: pytest.MonkeyPatch) -> ReportData:
    long = CauseRule(
        "long",
        "a long answer",
        ("up",),
        False,
        lambda seen: seen.now.filter(pl.col("text").str.len_chars() > 9)["fact_id"],
    )
    sixth = CauseRule(
        "letter_a",
        "an A in it",
        ("up", "down"),
        False,
        lambda seen: seen.now.filter(pl.col("text").str.contains("a"))["fact_id"],
    )
    monkeypatch.setattr(causes, "RULES", (*causes.RULES, long, sixth))
    study = synthetic.write(work, n_facts=200, n_cells=2)
    for run in source.load(study).runs:
        told = [run.base_table("responses.parquet", Response), run.table("responses.parquet", Response)]
        frames = [*told, run.table("examples.parquet", Example), run.facts()]
        store.write_table(run.folder / "shifts.parquet", causes.explain(run.shifts, *frames))
    return measure(source.load(study))


def test_a_sixth_cause_is_in_the_tables_and_the_explorers_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = with_sixth(tmp_path, monkeypatch)
    run = measured.source.runs[0]
    holds = run.shifts.filter(pl.col("grader") == "paper", pl.col("causes").list.contains("letter_a"))["fact_id"]
    assert len(holds)
    found = {table.name: table for table in tables.tables(measured, "paper")}
    assert "an A in it" in {row[3] for row in found["causes"].rows}
    assert "an A in it" in found["table5_causes"].heads
    assert summary.summary(measured)["causes"][-1] == ["letter_a", "an A in it"]  # type: ignore[index]
    packed = explorer.run_columns(run, measured.source.facts.select("fact_id"))["paper"]["causes"]  # type: ignore[index]
    marked = [packed[2 * i + 1] == "1" for i in range(len(measured.source.facts))]  # the second character is the sixth
    assert measured.source.facts.filter(pl.Series(marked))["fact_id"].sort().to_list() == holds.sort().to_list()


@pytest.mark.browser
def test_the_page_filters_by_a_sixth_cause(tmp_path: Path, open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = with_sixth(tmp_path, monkeypatch)
    written = page.write(measured, tmp_path / "report.html")
    first = measured.source.runs[0]
    n = first.shifts.filter(pl.col("grader") == "default", pl.col("causes").list.contains("letter_a")).height
    opened = open_page(written)
    opened.page.select_option("select:has(option[value=letter_a])", label="an A in it")
    opened.page.wait_for_selector(f".count:has-text('{n} of 200')")
    assert opened.console == []
