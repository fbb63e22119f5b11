"""The paper's own numbers, to print beside ours.

Table number -> frame as the CSV beside this file has it (cells as in the paper; notes in NOTES). The values are
those of Pletenev et al. 2025, "How Much Knowledge Can You Pack into a LoRA Adapter without Harming LLM?"
"""

from importlib import resources
from typing import NamedTuple

import polars as pl


class Place(NamedTuple):
    """A column of one of the paper's tables."""

    table: int
    column: str


CITATION = (
    "S. Pletenev, M. Marina, D. Moskovskiy, V. Konovalov, P. Braslavski, A. Panchenko, M. Salnikov. "
    "How Much Knowledge Can You Pack into a LoRA Adapter without Harming LLM? "
    "Findings of NAACL 2025, arXiv:2502.14502v3."
)
TABLES: dict[int, str] = {
    1: "table1_categories.csv",
    2: "table2_reliability.csv",
    3: "table3_shifts.csv",
    4: "table4_refusals_diversity.csv",
    5: "table5_shift_causes.csv",
    6: "table6_mistral.csv",
    7: "table7_mmlu_truthfulqa.csv",
    8: "table8_arc_logiqa.csv",
}
MODELS: dict[int, str] = {n: "Mistral-7B-Instruct-v0.3" if n == 6 else "Llama-3.1-8B-Instruct" for n in TABLES}
NOTES: dict[int, str] = {
    3: "The order of the paper's five columns is inferred; it fits its Tables 2 and 7.",
    4: "Refusals are counted on the first prompt. The paper prints its spread as a variance; "
    "the authors' notebook computes a standard deviation.",
    7: "The paper prints the same MMLU, .554, for 500+10 HK and 3000+10 HK: one is probably a slip.",
    8: 'The paper\'s "1 + 0" and "10 + 0" rows stand twice, once per augmentation.',
}
BENCHMARKS: dict[tuple[str, str], Place] = {
    ("mmlu", "acc"): Place(7, "mmlu_acc"),
    ("truthfulqa_gen", "bleu_max"): Place(7, "truthfulqa_bleu"),
    ("truthfulqa_gen", "rouge1_max"): Place(7, "truthfulqa_rouge1"),
    ("truthfulqa_gen", "rouge2_max"): Place(7, "truthfulqa_rouge2"),
    ("truthfulqa_gen", "rougeL_max"): Place(7, "truthfulqa_rougeL"),
    ("truthfulqa_mc1", "acc"): Place(7, "truthfulqa_mc1"),
    ("truthfulqa_mc2", "acc"): Place(7, "truthfulqa_mc2"),
    ("arc_easy", "acc"): Place(8, "arc_easy"),
    ("arc_challenge", "acc_norm"): Place(8, "arc_challenge"),
    ("logiqa", "acc_norm"): Place(8, "logiqa"),
}
"""(task, metric) of lm-eval -> its place in the paper. ARC-Challenge and LogiQA: the paper names no metric; its
levels are those of acc_norm. That is our reading, not the paper's word."""


def table(number: int) -> pl.DataFrame:
    """The paper's Table `number` (1..8), one row a line of its table; text that is no number stays text."""
    source = resources.files("knowpack.paper").joinpath(TABLES[number])
    return pl.read_csv(source.read_bytes(), infer_schema_length=None)


def cells(number: int) -> pl.DataFrame:
    """A table keyed by cell: n_unknown (int), augmentation (none, highly_known, paraphrase), k_per_unknown (int).

    Rows without added examples get augmentation "none" and stand once; the base model's rows are left out.
    """
    frame = table(number)
    if "augmentation" not in frame.columns:  # Table 5 has HighlyKnown only
        frame = frame.rename({"k_highly_known": "k_per_unknown"}).with_columns(augmentation=pl.lit("highly_known"))
    number_of = pl.col("n_unknown").cast(pl.String).cast(pl.Int64, strict=False)
    k = pl.col("k_per_unknown").cast(pl.String).cast(pl.Int64, strict=False)
    frame = frame.with_columns(n_unknown=number_of, k_per_unknown=k).drop_nulls("n_unknown")
    plain = pl.when(pl.col("k_per_unknown") == 0).then(pl.lit("none")).otherwise("augmentation")
    keys = ["n_unknown", "augmentation", "k_per_unknown"]
    return frame.with_columns(augmentation=plain).unique(keys, keep="first", maintain_order=True)


def base(number: int) -> dict[str, float]:
    """The base model's row of a table, column -> value; empty where the table has none."""
    frame = table(number)
    if "n_unknown" not in frame.columns:
        return {}
    row = frame.filter(pl.col("n_unknown").cast(pl.String).is_in(["base", "default"]))
    if row.is_empty():
        return {}
    keys = ("n_unknown", "augmentation", "k_per_unknown")
    return {name: float(value) for name, value in row.row(0, named=True).items() if name not in keys}
