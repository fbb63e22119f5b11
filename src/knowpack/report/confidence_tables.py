"""How sure base and tuned model are of their own answers: confidence and calibration, and risk by coverage.

ReportData -> Table records under one grader; the figures are measure/confidence.py's.
"""

import polars as pl

from knowpack.measure.confidence import RiskCoverage
from knowpack.records import Estimate, Grader
from knowpack.report.finished_run import Run
from knowpack.report.report_data import BEFORE_AND_AFTER, ReportData, Table, Value, before_and_after

LISTED = {
    "confidence": "Probability of the answer",
    "confidence_per_token": "The same per token",
    "confidence_right": "Probability of right answers",
    "confidence_wrong": "Probability of wrong answers",
    "ece": "Calibration error (ECE)",
    "brier": "Brier score",
    "auroc": "AUROC of right against wrong",
    "aurc": "Area under risk-coverage",
}


def confidence(data: ReportData, grader: Grader) -> Table:
    """A line for every cell and figure: the base, the tuned model, the difference."""
    rows = before_and_after(data, grader, LISTED)
    note = (
        "Untrained facts, all prompts. The probability of an answer is the product over the tokens of its first line "
        "and the one that ends it; per token: its root by their number. Right, wrong and calibration: answers that are "
        "no refusals. ECE over 15 bins; lower is better but for AUROC. Difference of the first two by fact, of the "
        "others with the relations redrawn for both models alike."
    )
    return Table("confidence", "How sure the models are of their answers", BEFORE_AND_AFTER, rows, note)


def risk_coverage(data: ReportData, grader: Grader) -> Table:
    """Share wrong among the surest answers of the first run of each cell."""
    rows: list[tuple[Value, ...]] = []
    for run in data.source.runs:
        base, tuned = (curve(run, grader, model) for model in ("base", "tuned"))
        for coverage, risk in tuned.items():
            rows.append((run.label, run.seed, coverage, base.get(coverage), risk))
    heads = ("cell", "seed", "surest answers", "base: wrong", "after: wrong")
    note = "Of the share of the answers (no refusals) that a model is surest of, how many are wrong."
    return Table("risk_coverage", "Wrong answers among the surest", heads, rows, note)


def curve(run: Run, grader: Grader, model: str) -> dict[float, Estimate]:
    """Coverage -> risk of one model of one run, n answers; empty where it was not kept."""
    coverage = run.table("risk_coverage.parquet", RiskCoverage)
    if coverage is None:
        return {}
    mine = coverage.filter(pl.col("grader") == grader, pl.col("model") == model)
    return {at: Estimate(risk, n=n) for at, risk, n in mine.select("coverage", "risk", "n").iter_rows()}
