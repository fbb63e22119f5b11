"""A study trains a sham beside a cell, on what the lab's model knows, and its figures stand beside the cell's."""

from pathlib import Path

import polars as pl
import pytest

from knowpack import store
from knowpack.config import FactsConfig, RunConfig, StudyConfig
from knowpack.records import Example, Shift
from knowpack.report import source, tables
from knowpack.report.report_data import measure
from knowpack.settings import override
from knowpack.state import cells
from knowpack.study import study

SETTINGS = ["probe.n_prompts=2", "probe.max_new_tokens=8", "train.lr=1e-2", "train.epochs=2", "mix.n_unknown=5"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = override(RunConfig(facts=FactsConfig(sample=60), work=str(tmp_path_factory.mktemp("sham"))), SETTINGS)
    grid = ({"label": "five", "sham": True}, {"label": "three", "mix.n_unknown": 3})
    return study(StudyConfig(name="shams", base=base, cells=grid))


def test_a_sham_is_a_run_of_its_own_where_it_is_asked(folder: Path) -> None:
    assert [run.label for run in source.load(folder).runs] == ["sham of five", "five", "three"]
    assert {cell.state for cell in cells(folder)} == {"done"}


def test_the_cells_figures_net_of_the_sham(folder: Path) -> None:
    sham, five, three = source.load(folder).runs
    examples = sham.table("examples.parquet", Example)
    assert examples is not None
    assert set(examples["kind"]) == {"highly_known"}
    assert len(examples) == 5
    assert "harm_net_sham" not in three.figures["default"]
    # By hand: over the facts that neither trained, the share that fell under one minus the share under the other.
    order = {"Unknown": 0, "WeaklyKnown": 0, "MaybeKnown": 1, "HighlyKnown": 2}
    fell = {}
    for run in (sham, five):
        moved = store.read_table(run.folder / "shifts.parquet", Shift).filter(pl.col("grader") == "default")
        rows = moved.select("fact_id", "trained", "before", "after").iter_rows()
        fell[run.label] = {f: order[after] < order[before] for f, trained, before, after in rows if not trained}
    both = fell["five"].keys() & fell["sham of five"].keys()
    net = sum(fell["five"][f] - fell["sham of five"][f] for f in both) / len(both)
    figure = five.figures["default"]["harm_net_sham"]
    assert figure.value == pytest.approx(net)
    assert figure.n == len(both)


def test_the_table_of_cells_prints_it(folder: Path) -> None:
    found = {table.name: table for table in tables.tables(measure(source.load(folder)), "default")}["cells"]
    column = found.heads.index("Facts that fell, net of a sham adapter")
    assert [row[column] is None for row in found.rows] == [True, False, True]
