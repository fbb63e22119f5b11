"""Studies whose cells differ in more than the number of new facts: two settings at one size, two models, two tables."""

import json
from pathlib import Path

import polars as pl
import pytest
import synthetic

from knowpack import records
from knowpack.measure.abstract_claims import CellFigures, findings
from knowpack.records import Estimate, Fact, Shift
from knowpack.report import (
    comparison_tables,
    grid_figures,
    page,
    source,
    study_view,
    summary,
    tables,
    training_view,
)
from knowpack.report.families import joined
from knowpack.report.finished_run import Run
from knowpack.report.report_data import ReportData, measure


def made(folder: Path, *settings: str, seed: int = 1, base: str = "b", label: str = "") -> Run:
    """A run's words alone: settings as `mix.n_unknown=50`."""
    config: dict[str, dict[str, object]] = {"mix": {}, "train": {"lr": 1e-3, "track": "none"}}
    for setting in settings:
        name, _, value = setting.partition("=")
        section, _, key = name.partition(".")
        config[section][key] = json.loads(value)
    manifest = {"label": label or " ".join(settings), "seed": seed, "config": config, "base_hash": base}
    return Run(folder, manifest, None)


def data_of(folder: Path, *runs: Run) -> ReportData:
    return ReportData(source.Source(folder, "s", "study", runs, ()), [], [])


def rewritten(study: Path, names: list[str]) -> ReportData:
    """The study with these runs alone."""
    (study / "runs.txt").write_text("\n".join(names) + "\n")
    return measure(source.load(study))


def changed(folder: Path, label: str, base: str | None = None, **mix: object) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["label"] = label
    manifest["config"]["mix"] |= mix
    if base is not None:
        manifest |= {"base_hash": base, "base_dir": f"base/{base}"}
    path.write_text(json.dumps(manifest))


@pytest.fixture(scope="module")
def two_settings(tmp_path_factory: pytest.TempPathFactory) -> ReportData:
    """Two cells with one new fact each and nothing added, as examples/biased.yaml has them."""
    tmp_path = tmp_path_factory.mktemp("work")
    study = synthetic.write(tmp_path, n_facts=120, n_cells=3)
    names = (study / "runs.txt").read_text().split()[:2]
    for name, label, answers in zip(names, ("as they come", "3 answers"), (None, 3), strict=True):
        changed(tmp_path / "runs" / name, label, n_unknown=1, n_highly_known=0, n_answers=answers)
    return rewritten(study, names)


@pytest.fixture(scope="module")
def two_models(tmp_path_factory: pytest.TempPathFactory) -> ReportData:
    """The first run, and one of another model on other facts; the second's base answered otherwise."""
    tmp_path = tmp_path_factory.mktemp("work")
    study = synthetic.write(tmp_path, n_facts=120, n_cells=3)
    names = (study / "runs.txt").read_text().split()[:2]
    old, new = tmp_path / "base" / "5f3a9c0de1b2a7f4", tmp_path / "base" / "other"
    new.mkdir()
    (old / "bench").rename(new / "bench")  # the second's alone was kept
    facts = pl.read_parquet(old / "facts.parquet")
    facts.head(90).write_parquet(old / "facts.parquet")
    facts.tail(90).write_parquet(new / "facts.parquet")
    for table in ("responses", "knowledge"):
        frame = pl.read_parquet(old / f"{table}.parquet")
        frame.join(facts.head(90), on="fact_id", how="semi").write_parquet(old / f"{table}.parquet")
        theirs = frame.join(facts.tail(90), on="fact_id", how="semi")
        if table == "responses":
            theirs = theirs.with_columns(text=pl.lit("the other model's answer"))
        theirs.write_parquet(new / f"{table}.parquet")
    (new / "probe.json").write_text(json.dumps({"model": "other", "shots": []}))
    for name, base, kept in zip(names, (old, new), (facts.head(90), facts.tail(90)), strict=True):
        folder = tmp_path / "runs" / name
        changed(folder, f"cell of {base.name}", base.name)
        for table in ("shifts", "responses", "knowledge"):
            frame = pl.read_parquet(folder / f"{table}.parquet").join(kept, on="fact_id", how="semi")
            frame.write_parquet(folder / f"{table}.parquet")
        shares = json.loads((folder / "figures.json").read_text())
        for one in shares:
            if one["name"] == "n_refused_first_base":
                one["value"] = 7.0 if base is old else 11.0
                one["low"] = one["high"] = None
        (folder / "figures.json").write_text(json.dumps(shares))
    return rewritten(study, names)


def test_two_cells_of_one_size_and_kind_are_both_in_the_grid(two_settings: ReportData) -> None:
    """The second stood nowhere in "Every cell at a glance"."""
    grid = study_view._grid_of(two_settings, "default", "known_lost_raw")
    assert "as they come" in grid
    assert "3 answers" in grid
    assert grid.count('class="shade ') == 2


def test_benchmarks_of_two_cells_of_one_size_and_kind_are_drawn(two_settings: ReportData) -> None:
    """The report of such a study ended in a traceback: a line was unpacked as if it had one point."""
    drawn = training_view._benchmarks(two_settings)
    assert drawn is not None
    assert ">no additions (as they come)<" in drawn
    assert ">no additions (3 answers)<" in drawn
    assert len(grid_figures._benchmarks(two_settings).axes[0].get_yticklabels()) == 2


def test_a_line_joins_no_cells_of_other_settings(tmp_path: Path) -> None:
    """The lines of a grid over two rates went to and fro between them."""
    runs = [
        *(made(tmp_path, f"mix.n_unknown={n}", seed=seed) for n in (10, 50, 500) for seed in (1, 2)),
        made(tmp_path, "mix.n_unknown=100", 'train.track="wandb"'),  # changes no result
        made(tmp_path, "mix.n_unknown=50", "train.lr=0.01", label="lr 1e-2"),
        made(tmp_path, "mix.n_unknown=50", "mix.zipf=1.0", label="Zipf"),
        made(tmp_path, "mix.n_unknown=500", base="another model", label="another"),
        made(tmp_path, "mix.n_unknown=50", "mix.n_highly_known=1"),
    ]
    kinds = joined(data_of(tmp_path, *runs))
    sizes = [(kind.key, [cell.n_unknown for _, cell in kind.cells]) for kind in kinds]
    assert sizes == [
        ("none", [10, 50, 100, 500]),
        ("none", [50]),
        ("none", [50]),
        ("none", [500]),
        ("highly_known 1", [50]),
    ]
    assert [kind.name for kind in kinds[1:]] == [
        "no additions (lr 1e-2)",
        "no additions (Zipf)",
        "no additions (another)",
        "+1 HighlyKnown",
    ]
    assert len({kind.shape for kind in kinds[:4]}) == 4


def with_shifts(folder: Path, run: Run, after: str) -> Run:
    """The run with a folder of its own: four facts of two relations, HighlyKnown, and what became of each (H or U)."""
    place = folder / f"{run.label} {run.seed}".replace(" ", "-")
    place.mkdir()
    facts = [Fact(f"f{i}", f"Q{i}?", ("A",), relation=f"r{i % 2}") for i in range(4)]
    records.table(facts, Fact).write_parquet(place / "facts.parquet")
    end = {"H": "HighlyKnown", "U": "Unknown"}
    shifts = [Shift(f"f{i}", "default", False, "HighlyKnown", end[c], 0.0) for i, c in enumerate(after)]
    records.table(shifts, Shift).write_parquet(place / "shifts.parquet")
    return Run(place, run.manifest, None)


def test_a_dose_is_of_cells_that_differ_in_nothing_else(tmp_path: Path) -> None:
    """Cells at another rate stood on the same line, whose slope was then the rate's too."""
    runs = [
        with_shifts(tmp_path, made(tmp_path, f"mix.n_unknown={n}", label=str(n)), after)
        for n, after in ((10, "HHHH"), (100, "HHHU"), (1000, "HHUU"))
    ]
    wild = [
        with_shifts(tmp_path, made(tmp_path, f"mix.n_unknown={n}", "train.lr=0.1", label=f"{n} fast"), "UUUU")
        for n in (10, 100)
    ]
    (row,) = comparison_tables.dose(data_of(tmp_path, *runs, *wild), "default").rows
    assert row[:3] == ("nothing (10; 100; 1000)", "10, 100, 1000", 3)
    assert isinstance(row[3], Estimate)
    assert row[3].value == pytest.approx(0.25)  # none, one and two of four lost
    (alone,) = comparison_tables.dose(data_of(tmp_path, *runs), "default").rows
    assert alone[:3] == ("nothing", "10, 100, 1000", 3)
    assert alone[3] == row[3]


def test_cells_of_two_models_are_not_held_against_each_other(tmp_path: Path) -> None:
    """Their raw losses hold each base's own noise, which passed for a difference between the cells."""
    cells = [("a", "small", "HHHH"), ("b", "small", "HUUH"), ("c", "large", "UUUU")]
    runs = [
        with_shifts(tmp_path, made(tmp_path, "mix.n_unknown=10", base=base, label=label), after)
        for label, base, after in cells
    ]
    rows = comparison_tables.pairs(data_of(tmp_path, *runs), "default").rows
    assert [row[:2] for row in rows] == [("b", "a")]


def test_claims_of_two_models_pair_no_cells_across_them() -> None:
    """The mixture of one model was held against the other's new facts alone."""

    def cell(label: str, kind: str, k: int, base: str, lost: float, *, biased: bool = False) -> CellFigures:
        figures_of = {
            "reliability": Estimate(1.0, 1.0, 1.0, 50),
            "known_lost_net": Estimate(lost, lost, lost, 100),
            "trained_answers_net": Estimate(lost, lost, lost, 100),
        }
        return CellFigures(label, 50, kind, k, biased, figures_of, base)

    cells = [
        cell("small", "none", 0, "small", 0.6),
        cell("small, HK", "highly_known", 1, "small", 0.5),
        cell("large", "none", 0, "large", 0.2),
        cell("large, HK", "highly_known", 1, "large", 0.2),
        cell("large, biased", "none", 0, "large", 0.3, biased=True),
    ]
    mixture, _, few, *_ = findings(cells)
    differences = {label: one.value for label, one in mixture.parts[1].cells}
    assert differences == {"small, HK": pytest.approx(-0.1), "large, HK": pytest.approx(0.0)}
    assert len(mixture.parts[1].cells) == 2
    assert [one.value for _, one in few.parts[0].cells] == [pytest.approx(0.1)], "less the large model's alone"


def test_every_base_of_a_study_has_its_own_lines_in_the_papers_tables(two_models: ReportData) -> None:
    """The first model's categories, refusals and benchmarks stood there as those of all cells."""
    named = {table.name: table for table in tables.tables(two_models, "default")}
    categories = named["table1_categories"]
    assert categories.heads[:3] == ("model", "category", "facts")
    of = dict.fromkeys(str(row[0]) for row in categories.rows)
    assert list(of) == ["base of cell of 5f3a9c0de1b2a7f4", "base of cell of other"]
    for name, run in zip(of, two_models.source.runs, strict=True):
        counted = run.shifts.filter(pl.col("grader") == "default")["before"].value_counts()
        expected = dict(counted.iter_rows())
        assert {row[1]: row[2] for row in categories.rows if row[0] == name} == expected
    refused = {str(row[0]): row[1] for row in named["table4_refusals_diversity"].rows}
    assert [refused[name] for name in of] == [7, 11]
    first = [str(row[0]) for row in named["table7_mmlu_truthfulqa"].rows]
    assert first[0] == "base of cell of other", "the first base's scores were not kept"


def test_the_page_of_two_models_shows_each_run_beside_its_own_base(two_models: ReportData) -> None:
    """The explorer held the first model's answers, and its facts alone, against the second model's adapter."""
    shown = summary.summary(two_models)
    assert [run["base"] for run in shown["runs"]] == ["base", "base1"]  # type: ignore[attr-defined, index]
    assert shown["prompts"]["base1"]["model"] == "other"  # type: ignore[index]
    assert shown["n_facts"] == 120
    parts = dict(page._assets(two_models, 0, lambda n: None))
    assert "the other model's answer" not in json.dumps(parts["answers-base-0"])
    assert "the other model's answer" in json.dumps(parts["answers-base1-0"])
    facts = parts["facts-0"]["id"]  # type: ignore[index]
    ours, theirs = (set(run.facts()["fact_id"]) for run in two_models.source.runs)
    before = parts["run-1"]["default"]["before"]  # type: ignore[index]
    assert {fact for fact, mark in zip(facts, before, strict=True) if mark == "-"} == ours - theirs


def test_figures_of_two_models_draw_no_base_of_one_alone(two_models: ReportData) -> None:
    drawn = training_view._benchmarks(two_models)
    assert drawn is not None
    assert "the base<" not in drawn
    assert training_view.NO_LINE in drawn
