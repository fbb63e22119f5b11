"""diff --trained: what was taught is asked too, or the audit says at once that it is not."""

from pathlib import Path

import polars as pl
import pytest

import tiny
from commands import call, options
from knowpack import store
from knowpack.diff import diff, trained_on
from knowpack.errors import FactsError
from knowpack.facts import sources
from knowpack.records import Example, Kind, table

SMALL = ["probe.n_prompts=1", "probe.n_shots=1", "probe.max_new_tokens=4", "probe.noise=false"]
SMALL += ["further.n_facts=0", "further.n_forms=0"]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 facts to ask, 3 others that were taught, a base and a tuned model of its shape."""
    folder = tiny.save_all(tmp_path_factory.mktemp("trained"))
    store.write_table(folder / "taught.parquet", tiny.facts(15).tail(3))
    return tiny.save_tuned(folder)


def test_facts_that_were_taught_and_are_not_in_the_table_are_asked_too(
    given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An audit of an adapter trained on one's own facts, measured on another table, ended in an error after it all."""
    monkeypatch.chdir(tmp_path)
    read: list[object] = []
    load = sources.load
    monkeypatch.setattr(sources, "load", lambda path, *rest: read.append(path) or load(path, *rest))
    whole = ["--tuned", given / "tuned", "--trained", given / "taught.parquet", "--out", tmp_path / "diff"]
    assert call(monkeypatch, "diff", *options(given, SMALL), *whole) == 0
    assert read.count(given / "taught.parquet") == 1, "a table of a million facts is not read for the plan and again"
    asked = pl.read_parquet(tmp_path / "diff" / "responses.parquet")["fact_id"].unique()
    assert set(asked) == set(tiny.facts(15)["fact_id"])
    figures = pl.DataFrame(store.read_json(tmp_path / "diff" / "figures.json"), infer_schema_length=None)
    n = dict(figures.filter(pl.col("grader") == "default").select("name", "n").iter_rows())
    assert (n["reliability"], n["harm_raw"]) == (3, 12)


def test_examples_of_which_nothing_is_asked_are_refused_before_anything_is(given: Path, tmp_path: Path) -> None:
    taught = tiny.facts(15).row(14, named=True)
    examples = table(
        [Example("e", taught["fact_id"], Kind.UNKNOWN, taught["question"], taught["answers"][0])],
        Example,
    )
    store.write_table(tmp_path / "examples.parquet", examples)
    config = tiny.run_config(given, SMALL).model_copy(update={"work": str(tmp_path / "work")})
    after = config.model.model_copy(update={"name": str(given / "tuned")})
    with pytest.raises(FactsError, match="taught 1 facts, and none of them is asked"):
        diff(config, after, tmp_path / "out", trained_on(tmp_path / "examples.parquet"))
    assert not list(tmp_path.glob("work/base/*/responses.parquet"))
