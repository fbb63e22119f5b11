"""Static figures: what they draw, counted by hand, and that no legend hides a point."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from knowpack.records import Estimate
from knowpack.report import drawing, figures, grid_figures, measures, source
from knowpack.report.finished_run import Cell, Run
from knowpack.report.report_data import ReportData, measure
from knowpack.report.source import Source
from knowpack.report.summary import over_epochs


@pytest.fixture(scope="module")
def many(study: Path) -> ReportData:
    return measure(source.load(study))


def trained(folder: Path, label: str, seed: int, shares: list[float]) -> Run:
    folder.mkdir()
    lines = [json.dumps({"epoch": epoch, "reliability": share}) for epoch, share in enumerate(shares, 1)]
    (folder / "train_log.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return Run(folder, {"label": label, "seed": seed, "config": {"mix": {"n_unknown": 50}}}, None)


def test_reliability_over_epochs_is_of_all_seeds_with_their_range(tmp_path: Path) -> None:
    """The figure drew the first seed alone, the page the mean."""
    runs = (trained(tmp_path / "a", "50", 1, [0.4, 0.8]), trained(tmp_path / "b", "50", 2, [0.2, 1.0]))
    two = ReportData(Source(tmp_path, "s", "study", runs, ()), [], [])
    assert over_epochs(two, "50") == [
        (1, Estimate(pytest.approx(0.3), 0.2, 0.4)),  # type: ignore[arg-type]
        (2, Estimate(pytest.approx(0.9), 0.8, 1.0)),  # type: ignore[arg-type]
    ]
    one = ReportData(Source(tmp_path, "s", "study", runs[:1], ()), [], [])
    assert over_epochs(one, "50") == [(1, Estimate(0.4)), (2, Estimate(0.8))], "one seed has no range"


def test_what_was_learned_is_a_number_of_facts_with_its_interval() -> None:
    assert drawing.scaled(Estimate(0.5, 0.4, 0.9, 50), 50) == Estimate(25, 20, 45)


@pytest.mark.parametrize("n_cells", [2, 5, 20])
def test_no_legend_hides_a_point_or_leaves_the_figure(n_cells: int) -> None:
    """Long labels stood over the points; two in a line took the place of the plot."""
    sizes = [10, 50, 100, 500, 3000][: max(2, n_cells // 4)]
    labels = [
        (f"{i} cells of a long name, at a rate that is told too", Cell(n, "none", 0))
        for i, n in enumerate(sizes * (n_cells // len(sizes)))
    ]
    figures_of = {"reliability": Estimate(0.9, 0.8, 1.0, 50), "known_lost_raw": Estimate(0.1, 0.05, 0.2, 300)}
    cells = [
        measures.CellMeasure(label, cell, "default", name, one, 1)
        for label, cell in labels
        for name, one in figures_of.items()
    ]
    given = ReportData(SimpleNamespace(runs=[SimpleNamespace(label=a, cell=b) for a, b in labels]), [], cells)  # type: ignore[arg-type]
    figure = grid_figures._pareto(given)
    figure.set_layout_engine("constrained")
    figure.canvas.draw()
    (ax,) = figure.axes
    legend = ax.get_legend()
    assert legend is not None
    plot, names = ax.get_window_extent(), legend.get_window_extent()
    assert names.y1 < plot.y0
    assert names.x1 <= figure.bbox.x1
    assert plot.width > 0.5 * figure.bbox.width
    assert plot.height > 0.2 * figure.bbox.height


def test_every_cell_of_a_few_has_a_name_of_its_own(many: ReportData) -> None:
    drawn = grid_figures._pareto(many).axes[0].get_legend()
    assert drawn is not None
    assert "+10 HighlyKnown" in [text.get_text() for text in drawn.get_texts()], "of ten cells the families"
    epochs = figures._epochs(many)
    assert {ax.get_xlabel() for ax in epochs.axes if ax.get_visible()} == {"epoch"}
