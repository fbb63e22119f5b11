"""A pack without a table of known facts: nothing on its page is called known, for nobody showed that it was."""

import json
import re
import shutil
from pathlib import Path

import polars as pl
import pytest
import synthetic

from knowpack.records import SELF_WRITTEN
from knowpack.report import source, summary, tables, views
from knowpack.report.report_data import ReportData, measure

KNOWLEDGE = re.compile(r"(?:Highly|Maybe|Weakly)Known|UK→HK|\b[Kk]nown facts|right answer")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> ReportData:
    """The same numbers twice, told of facts and told of questions that the model wrote itself."""
    work = tmp_path_factory.mktemp("work")
    study = synthetic.write(work, n_facts=200, n_cells=2)
    run = work / "runs" / (study / "runs.txt").read_text().split()[0]
    mine = work / "runs" / "own"
    shutil.copytree(run, mine)
    (mine / "figures.json").unlink()
    trained = pl.read_parquet(mine / "examples.parquet")["fact_id"].to_list()
    source_ = pl.when(pl.col("fact_id").is_in(trained)).then("source").otherwise(pl.lit(SELF_WRITTEN))
    facts = pl.read_parquet(next((work / "base").iterdir()) / "facts.parquet").with_columns(source=source_)
    facts.write_parquet(mine / "facts.parquet")
    return measure(source.load(mine))


def test_no_question_of_its_own_is_called_a_known_fact(own: ReportData) -> None:
    shown = {name: str(part) for name, part in views.view(own, 0, "default").items()}
    shown |= {table.name: repr(table) for table in tables.tables(own, "default")}
    shown["script"] = json.dumps({name: one for name, one in summary.summary(own).items() if name != "causes"})
    shown["unmeasured"] = "\n".join(summary.unmeasured(own))
    assert {name: KNOWLEDGE.findall(text) for name, text in shown.items() if KNOWLEDGE.search(text)} == {}
    assert "The model wrote these questions itself" in shown["moved"]
    assert "Always → " in shown["lost"]


def test_that_no_table_of_facts_was_asked_is_said(own: ReportData, study: Path) -> None:
    """ "Not measured" named what a table would have shown as if it had been there and empty."""
    assert summary.unmeasured(own)[0].startswith("Anything by a table of facts to keep: none was given (--known none).")
    assert "questions of its own under 10 prompts each; no table of facts was given" in str(
        views.view(own, 0, "default")["first"]
    )
    assert summary.NO_TABLE not in summary.unmeasured(measure(source.load(study)))


def test_what_is_lost_of_its_own_answers_has_its_own_name(own: ReportData) -> None:
    """Read off the shifts of an old folder they were "known facts lost, raw" again."""
    found = own.runs[0]["default"]
    assert "own_lost_raw" in found
    assert not [name for name in found if name.startswith("known_lost")]
    shifts = own.source.runs[0].shifts.filter(pl.col("grader") == "default", ~pl.col("trained"))
    best = shifts.filter(pl.col("before") == "HighlyKnown")
    assert found["own_lost_raw"].value == pytest.approx((best["after"] != "HighlyKnown").mean())


def test_facts_of_a_table_are_called_as_ever(study: Path) -> None:
    measured = measure(source.load(study))
    assert "HighlyKnown" in str(views.view(measured, 0, "default")["moved"])
    assert summary.summary(measured)["chips"] == ("Unknown", "Weakly", "Maybe", "Highly")
