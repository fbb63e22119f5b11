"""Tables and their files; expected values by hand or from the paper's own pages."""

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import cast

import polars as pl
import pytest
import synthetic

from knowpack import records, store
from knowpack.api.result import Result
from knowpack.config import RunConfig
from knowpack.errors import StoreError
from knowpack.measure import stats
from knowpack.measure.abstract_claims import Finding, Part, Ruling
from knowpack.measure.confidence import RiskCoverage
from knowpack.paper import reference
from knowpack.records import GRADERS, Estimate, Grader, Shift
from knowpack.report import (
    Built,
    claim_tables,
    comparison_tables,
    confidence_tables,
    figures,
    formats,
    latex,
    measures,
    provenance,
    source,
    study_view,
    summary,
    tables,
    value_text,
)
from knowpack.report.finished_run import Cell, Run
from knowpack.report.markup import escaped
from knowpack.report.report_data import P, ReportData, Table, Value, measure
from knowpack.settings import override


@pytest.fixture(scope="module")
def measured(study: Path) -> ReportData:
    return measure(source.load(study))


def shift(i: int, before: str, after: str, *, trained: bool = False, causes: tuple[str, ...] = ()) -> Shift:
    return Shift(f"f{i}", "default", trained, before, after, 0.0, None, causes)


def test_paper_tables_have_the_rows_of_the_paper() -> None:
    assert reference.table(1)["n_facts"].sum() == 21_036  # section 3.2
    assert [len(reference.table(n)) for n in range(1, 9)] == [3, 36, 30, 15, 14, 4, 37, 12]
    assert reference.base(7)["mmlu_acc"] == 0.677
    assert reference.base(4)["n_refused"] == 3189


def test_paper_cells_without_additions_stand_once() -> None:
    cells = reference.cells(7)
    none = cells.filter(pl.col("augmentation") == "none")
    assert none["n_unknown"].to_list() == [1, 10, 50, 100, 500, 3000]
    assert none.filter(pl.col("n_unknown") == 500)["mmlu_acc"].to_list() == [0.649]


def test_matrix_counts_untrained_apart() -> None:
    shifts = records.table(
        [
            shift(0, "Unknown", "HighlyKnown"),
            shift(1, "Unknown", "HighlyKnown", trained=True),
            shift(2, "HighlyKnown", "MaybeKnown"),
        ],
        Shift,
    )
    untrained = measures.matrix(shifts, trained=False)
    assert untrained[0][3] == 1
    assert untrained[3][2] == 1
    assert sum(map(sum, untrained)) == 2
    assert sum(map(sum, measures.matrix(shifts, trained=True))) == 1


def test_trained_facts_do_not_count_as_movers_under_the_default_grader() -> None:
    rows = [shift(0, "Unknown", "HighlyKnown"), shift(1, "Unknown", "HighlyKnown", trained=True)]
    shifts = records.table(rows, Shift)
    assert len(measures.movers(shifts, up=True)) == 1
    assert len(measures.movers(shifts.with_columns(grader=pl.lit("paper")), up=True)) == 2


def test_interval_of_a_share_over_seeds_stays_a_share() -> None:
    values = [Estimate(0.98, None, None, 50), Estimate(1.0, None, None, 50)]
    found = stats.over_seeds(values)
    assert found.value == pytest.approx(0.99)
    # no interval over facts: seeds alone. t(0.975, 1) = 12.706; sd = 0.01414; half = 12.706 * 0.01414 / sqrt 2 = 0.127
    assert found.low == pytest.approx(0.99 - 0.12706, abs=1e-4)
    assert found.high == 1.0


def test_one_seed_keeps_its_own_interval() -> None:
    one = Estimate(0.5, 0.4, 0.6, 10)
    assert stats.over_seeds([one]) == one


def test_study_lists_failed_and_missing_cells(study: Path) -> None:
    given = source.load(study)
    assert given.kind == "study"
    assert [one.state for one in given.unfinished] == ["missing", "failed"]
    assert given.unfinished[1].line == "500-failed00: failed: ModelError: <b>no tokenizer</b>"
    assert given.unfinished[0].line == f"{given.unfinished[0].name}: missing"
    assert given.runs[1].cell == Cell(1, "highly_known", 1)
    assert given.runs[-1].cell.augmentation == "sham"


def test_the_cells_without_results_are_lines_in_a_notebook(study: Path, measured: ReportData) -> None:
    assert Result(Built(study / "report.html", measured)).unfinished == [one.line for one in measured.source.unfinished]


def test_a_folder_without_results_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no study .* and no finished run"):
        source.load(tmp_path)


def test_reliability_table_has_the_papers_value_beside_ours(measured: ReportData) -> None:
    table = next(t for t in tables.tables(measured, "default") if t.name == "table2_reliability")
    row = next(row for row in table.rows if row[0] == "1+10 HK")
    assert isinstance(row[1], Estimate)
    assert row[2] == 1  # Table 2: 1 fact, 10 HighlyKnown


def test_every_table_of_the_paper_is_there(measured: ReportData) -> None:
    names = {table.name for table in tables.tables(measured, "default")}
    assert {f"table{n}" for n in range(1, 9)} <= {name.split("_")[0] for name in names}
    assert {"cells", "matrix", "kinship", "causes", "benchmarks", "pareto"} <= names


def test_refusals_are_whole_numbers_of_base_and_cells_alike(measured: ReportData) -> None:
    table = next(t for t in tables.tables(measured, "default") if t.name == "table4_refusals_diversity")
    assert table.rows[0][:3] == ("base", table.rows[0][1], 3189)  # Table 4: the paper's base
    for value in (row[i] for row in table.rows for i in (1, 3)):
        assert isinstance(value, int) or (isinstance(value, Estimate) and value.low is not None), "a mean over seeds"
    assert len(set(table.heads)) == len(table.heads)


def test_matrix_names_weakly_known_only_where_answers_were_sampled(tmp_path: Path) -> None:
    study = synthetic.write(tmp_path, n_facts=60, n_cells=1)
    path = source.load(study).runs[0].folder / "shifts.parquet"
    greedy = pl.read_parquet(path).with_columns(pl.col("before", "after").replace({"WeaklyKnown": "Unknown"}))
    greedy.write_parquet(path)
    assert not any("Weakly" in head for head in tables.matrix(measure(source.load(study)), "default").heads)
    sampled = greedy.with_columns(
        after=pl.when(pl.int_range(pl.len()) == 0).then(pl.lit("WeaklyKnown")).otherwise("after")
    )
    sampled.with_columns(trained=pl.lit(False)).write_parquet(path)
    assert "after: WeaklyKnown" in tables.matrix(measure(source.load(study)), "default").heads


def test_pareto_front_is_what_no_cell_beats_on_both(measured: ReportData) -> None:
    table = tables.pareto(measured, "default")
    points = [(float(str(row[1])), row[3].value, row[4]) for row in table.rows if isinstance(row[3], Estimate)]
    assert len(points) == len(table.rows)
    assert {mark for *_, mark in points} == {"front", ""}
    for learned, lost, mark in points:
        better = [o for o in points if o[0] >= learned and o[1] <= lost and o[:2] != (learned, lost)]
        assert (mark == "front") == (not better)


def test_table_one_has_an_interval_for_every_share(measured: ReportData) -> None:
    table = next(t for t in tables.tables(measured, "default") if t.name == "table1_categories")
    shares = [row[2] for row in table.rows]
    assert all(isinstance(share, Estimate) and share.low < share.high for share in shares)  # type: ignore[operator]
    assert sum(share.value for share in shares) == pytest.approx(1.0)  # type: ignore[union-attr]


def test_the_page_says_that_its_opening_cell_was_picked_and_picks_no_seed(measured: ReportData) -> None:
    best = summary.opening(measured)
    mine = [run.seed for run in measured.source.runs if run.label == measured.source.runs[best.run].label]
    assert measured.source.runs[best.run].seed == mine[0]
    assert "the best of many looks better than it is" in best.why
    assert ("mean over seeds" in best.why) == (len({run.seed for run in measured.source.runs}) > 1)


def test_csv_splits_measures_and_disarms_formulas() -> None:
    table = Table("t", "T", ("cell", "x"), [("=1+1", Estimate(0.5, 0.25, 0.75, 8)), ("+a", None)])
    lines = list(csv.reader(io.StringIO(formats.as_csv(table), newline="")))
    assert lines == [
        ["cell", "x", "x (low)", "x (high)", "x (n)"],
        ["'=1+1", "0.5", "0.25", "0.75", "8"],
        ["'+a", "", "", "", ""],
    ]


def test_latex_escapes_every_special_character() -> None:
    table = Table("t", "A & B", ("a_b", "x"), [("50% #1 {x} \\ ~ ^ $", 1.5)])
    text = latex.as_latex(table)
    assert r"50\% \#1 \{x\} \textbackslash{} \textasciitilde{} \textasciicircum{} \$ & 1.500 \\" in text
    assert r"\toprule" in text
    assert r"A \& B" in text


def test_latex_takes_no_interval_for_the_height_of_a_line_break() -> None:
    table = Table("t", "T", ("cell", "x"), [("[a]", Estimate(0.5, 0.25, 0.75, 8)), ("*b", None)])
    text = latex.as_latex(table)
    assert r"{[}a] & \shortstack[r]{0.500\\ {[}0.250, 0.750]\\ n = 8} \\" in text
    assert re.search(r"\\\\\s*[\[*]", text) is None  # \\[...] and \\* are LaTeX's own
    assert r"{*}b & – \\" in text


def test_markdown_cell_cannot_make_a_column_or_a_tag() -> None:
    table = Table("t", "T", ("a", "b"), [("x|y <b> *z*", "[l](u)")])
    assert r"| x\|y &lt;b> \*z\* | \[l](u) |" in formats.as_markdown(table)
    hostile = Table(
        "t", "T", ("a", "b"), [("x\\|y", "1\r| z | 2")]
    )  # \\| is a backslash and a new column; \r ends a row
    assert r"| x\\\|y | 1 \| z \| 2 |" in formats.as_markdown(hostile)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.98765, "0.988"),
        (3189, "3,189"),
        (48136.0, "48,136"),
        (12.34, "12.3"),
        (1.0, "1.000"),
        (2.8e-17, "0.000"),
        (P(9.999e-05), "<0.001"),
        (P(0.0416), "0.042"),
        (-0.0002, "0.000"),
        (Estimate(0.5, 0.25, 0.75, 1234), "0.500 [0.250, 0.750] n=1,234"),
        (Estimate(0.5, None, None, 3), "0.500 n=3"),
    ],
)
def test_numbers_are_rounded_only_in_print(value: Value, text: str) -> None:
    assert value_text.text(value) == text


def test_files_of_both_graders_and_three_kinds_of_figure(built: Path) -> None:
    folder = built.parent
    for place in ("tables", "tables/paper-grader"):
        assert {path.suffix for path in (folder / place).glob("table3_shifts.*")} == {".csv", ".md", ".tex"}
    assert {path.suffix for path in (folder / "figures").glob("pareto.*")} == {".svg", ".pdf", ".png"}
    assert (folder / "figures" / "pareto.pdf").read_bytes().startswith(b"%PDF")


def test_a_run_without_base_benchmarks_or_log_is_still_reported(tmp_path: Path) -> None:
    study = synthetic.write(tmp_path, n_facts=120, n_cells=2)
    run = source.load(study).runs[0].folder
    for name in ("scores.parquet", "train_log.jsonl", "examples.parquet", "figures.json"):
        (run / name).unlink()
    given = source.load(run)
    assert given.kind == "diff"
    names = {table.name for table in tables.tables(measure(given), "default")}
    assert {"table1_categories", "matrix", "cells"} <= names
    assert "benchmarks" not in names


@pytest.mark.parametrize(
    ("settings", "cell"),
    [
        (["mix.n_unknown=50"], Cell(50, "none", 0)),
        (["mix.n_unknown=50", "mix.n_highly_known=10"], Cell(50, "highly_known", 10)),
        (["mix.n_unknown=50", "mix.n_paraphrase=10", "train.recipe=keep"], Cell(50, "pack", 0)),
        (["mix.n_unknown=50", "mix.n_paraphrase=10", "train.lr=1e-2"], Cell(50, "paraphrase", 10)),
    ],
)
def test_a_cell_is_read_off_the_settings_that_a_manifest_holds(settings: list[str], cell: Cell) -> None:
    config = override(RunConfig(), settings).model_dump(mode="json")
    assert Run(Path("run"), {"config": config}, None).cell == cell


def test_cells_are_compared_pair_by_pair_and_over_the_number_of_facts(tmp_path: Path) -> None:
    given = measure(source.load(synthetic.write(tmp_path, n_facts=400, n_cells=12)))
    known = pl.col("before") == "HighlyKnown"
    counted = [run for run in given.source.runs if run.shifts.filter(known, ~pl.col("trained")).height]
    compared = comparison_tables.pairs(given, "default").rows
    assert len({row[:2] for row in compared}) == len(compared) == len(counted) * (len(counted) - 1) / 2
    assert {row[-1] for row in compared} <= {"differ", "equivalent", "not decided"}
    assert comparison_tables.dose(given, "default").rows[0][:3] == ("nothing", "1, 10, 50", 3)


def test_the_abstracts_claims_have_a_table_lines_and_a_place_in_the_page(measured: ReportData) -> None:
    table = next(t for t in tables.tables(measured, "default") if t.name == "claims")
    claimed = list(dict.fromkeys(row[0] for row in table.rows))
    lines = claim_tables.lines(measured)
    assert len(claimed) == len(lines) == 5
    assert {row[1] for row in table.rows} <= {"found", "not found", "not measurable here"}
    assert next(row for row in table.rows if "benchmarks" in str(row[0]))[1] == "not measurable here"  # no items kept
    mixtures = [row for row in table.rows if row[0] == claimed[0]]
    assert [row[4] for row in mixtures] == [4, 3]  # 1 and 10 facts with 1 and 10 HighlyKnown; 10 x 10 are all there are
    assert all(line.startswith(("found: ", "not found: ", "not measurable here: ")) for line in lines)
    shown = study_view.section(measured, "default")
    assert all(escaped(line) in shown for line in lines)


def test_a_claims_figures_are_rounded_like_every_other_on_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """0.342 [0.287, 0.397] stood on a page of percentages."""
    lost = Part("known_lost_net", Estimate(0.34171, 0.0287, 0.39712, 3), (("a", Estimate(0.3)), ("b", Estimate(0.4))))
    nats = Part("entropy", Estimate(0.12345, 0.1, 0.2, 1, "nats"), (("a", Estimate(0.1)),))
    found = Finding("mixture", "Mixtures are best.", Ruling.FOUND, "the interval lies above 0", (lost, nats))
    monkeypatch.setattr(claim_tables, "findings", lambda measured, grader: [found])
    assert claim_tables.lines(cast(ReportData, None)) == [
        "found: Mixtures are best. (the interval lies above 0; known facts lost, net of noise 34% (2.9% to 40%), "
        "2 cells; entropy of the answers, nats 0.123 (0.1 to 0.2), 1 cell)"
    ]


def test_a_biased_mix_is_known_by_its_settings(measured: ReportData) -> None:
    run = measured.source.runs[0]
    assert not claim_tables.is_biased(run)
    settings = {"config": {"mix": {"n_unknown": 50, "zipf": 0.0}}}
    assert claim_tables.is_biased(Run(run.folder, settings, None))


def test_the_claims_figure_is_drawn(measured: ReportData, tmp_path: Path) -> None:
    figures.write(measured, tmp_path)
    assert {(tmp_path / f"claims.{kind}").is_file() for kind in figures.KINDS} == {True}


def test_confidence_has_base_after_and_difference_by_cell(study: Path) -> None:
    given = source.load(study)
    run = given.runs[0]
    found = {
        name: Estimate(0.5, 0.4, 0.6, 10) for name in ("confidence_base", "confidence", "confidence_change", "ece")
    }
    rows = {grader: found for grader in GRADERS}
    table = confidence_tables.confidence(
        ReportData(given, [rows], measures.over_cells(given, [rows] * len(given.runs))), "default"
    )
    assert table.rows[0] == (run.label, "Probability of the answer", *[found["confidence"]] * 3)
    assert table.rows[1][1:4] == ("Calibration error (ECE)", None, found["ece"])


NO_SHARES = {"p", "p (Holm)", "p (BH)", "p (not equivalent)", "stderr", "surest answers", "times as often"}
COUNTS = {"n", "facts", "cells"}
"""Columns that hold the n of the row's shares."""


@pytest.mark.parametrize("grader", GRADERS)
def test_every_share_stands_beside_its_n(measured: ReportData, grader: Grader) -> None:
    bare = set()
    for table in tables.tables(measured, grader):
        for row in table.rows if not COUNTS & set(table.heads) else ():
            for head, value in zip(table.heads, row, strict=True):
                ours = head not in NO_SHARES and not head.startswith("paper: ")
                if isinstance(value, Estimate) and value.n is None and value.unit == "share":
                    bare.add((table.name, head))
                if isinstance(value, float) and 0 < value < 1 and ours:
                    bare.add((table.name, head))
    # drawn towards the mean of all groups, whose n stands beside it; the middle of 20 draws
    assert bare - {("group_harm", "partially pooled"), ("causes", "placebo")} == set()


def test_risk_coverage_is_read_beside_the_run(measured: ReportData, tmp_path: Path) -> None:
    rows = [RiskCoverage("default", model, 0.1, risk, 5) for model, risk in (("base", 0.2), ("tuned", 0.4))]
    store.write_table(tmp_path / "risk_coverage.parquet", records.table(rows, RiskCoverage))
    run = Run(tmp_path, {"label": "50", "seed": 7}, None)
    assert confidence_tables.curve(run, "default", "tuned") == {0.1: Estimate(0.4, n=5)}
    table = confidence_tables.risk_coverage(measured._replace(source=replace(measured.source, runs=(run,))), "default")
    assert table.rows == [("50", 7, 0.1, Estimate(0.2, n=5), Estimate(0.4, n=5))]


def test_confidence_is_drawn_for_every_cell_that_has_it(measured: ReportData, tmp_path: Path) -> None:
    label, cell = measured.labels()[0]
    names = ("confidence_base", "confidence", "confidence_right_base", "confidence_right", "confidence_wrong")
    one = Estimate(0.5, 0.4, 0.6, 10)
    more = [measures.CellMeasure(label, cell, "default", name, one, 1) for name in names]
    figures.write(measured._replace(cells=[*measured.cells, *more]), tmp_path)
    assert (tmp_path / "confidence.png").is_file()


def test_wide_latex_tables_are_cut_into_parts_that_fit_a_page() -> None:
    heads = ("cell", "n", "added", "k", "seeds", *(f"A measure with a long name, number {i}" for i in range(12)))
    row = ("3000+10 HK", 3000, "HighlyKnown", 10, 3, *(Estimate(0.98765, 0.91, 0.999, 1234) for _ in range(12)))
    text = latex.as_latex(Table("cells", "Every cell", heads, [row], "A note."))
    parts = text.split(r"\begin{table}")[1:]
    assert len(parts) > 1
    assert text.count("A note.") == 1
    assert all("3000+10 HK" in part for part in parts), "every part says which cell it is"
    assert max(map(width_in_points, parts)) <= 345  # the text of the article class


def width_in_points(part: str) -> float:
    """The width of a tabular, measured in LaTeX's own font at 8 pt by matplotlib."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    font = FontProperties(family="cmr10", size=8)
    body = part.split(r"\toprule")[1].split(r"\bottomrule")[0].replace(r"\midrule", "")
    rows = [line.removesuffix(r" \\").split(" & ") for line in body.strip().splitlines() if line.strip()]
    widest = [0.0] * len(rows[0])
    for row in rows:
        for i, cell in enumerate(row):
            lines = cell.partition("]{")[2].removesuffix("}").split(r"\\ ") if "shortstack" in cell else [cell]
            lines = [line.replace("{[}", "[") for line in lines]  # as it is set
            sizes = [TextPath((0, 0), line, prop=font).get_extents().width for line in lines if line]
            widest[i] = max(widest[i], *sizes)
    return sum(widest) + 2 * 4 * len(widest)  # \tabcolsep of 4 pt on both sides


def test_a_diff_shows_no_column_of_the_paper_and_no_cause_that_was_not_measured(tmp_path: Path) -> None:
    study = synthetic.write(tmp_path, n_facts=120, n_cells=2)
    run = source.load(study).runs[0].folder
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps(manifest | {"after": {"name": "lab", "adapter": "theirs"}}))
    for name in ("examples.parquet", "train_log.jsonl"):
        (run / name).unlink()
    (run / "tuned.json").write_text(json.dumps({"doubts": ["the adapter was made for <b>another</b>"]}))
    given = measure(source.load(run))
    assert given.source.kind == "diff"
    made_how = str(provenance.section(given, 0))
    assert "Doubtful" in made_how
    assert "the adapter was made for &lt;b&gt;another&lt;/b&gt;" in made_how
    made = tables.tables(given, "default")
    assert not [head for table in made for head in table.heads if "paper:" in head]
    assert not [table.title for table in made if "paper" in table.title and table.name != "claims"]
    for table in made:
        if table.name == "table5_causes":
            assert all(any(row[i] is not None for row in table.rows) for i in range(len(table.heads)))
