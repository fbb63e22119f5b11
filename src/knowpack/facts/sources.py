"""A fact table by name: "lab", or a file.

"lab" | path -> Fact table. A parquet file with the columns of Fact is read as it is; any other table is imported
with the usual column names (see columns.guess).
"""

from pathlib import Path

import polars as pl

from knowpack.errors import FactsError
from knowpack.facts import columns, readers
from knowpack.records import Fact, schema
from knowpack.store import read_table


def load(source: str | Path) -> pl.DataFrame:
    """The facts of the lab or of a file, table of Fact, checked. Raises FactsError or StoreError in one line."""
    facts = load_unchecked(source)
    check(facts, str(source))
    return facts


def load_unchecked(source: str | Path) -> pl.DataFrame:
    """The same without the checks, for lint."""
    if str(source) == "lab":
        from knowpack.lab.files import facts

        return facts()
    path = Path(source)
    if not path.is_file():
        raise FactsError(f"there is no fact file {path}; expected lab, or a parquet, CSV or JSONL file")
    if path.suffix == ".parquet" and path.stat().st_size and _is_fact_table(path):
        return read_table(path, Fact)
    return columns.facts_of(readers.rows(str(path)), columns.Columns(), source=path.name.split(".")[0]).facts


def load_shots(source: str | Path) -> pl.DataFrame:
    """A pool of few-shot examples: columns question, answer (the canonical one). The lab's own for "lab"."""
    if str(source) == "lab":
        from knowpack.lab.files import shots

        return shots()
    path = Path(source)
    found = columns.facts_of(readers.rows(str(path)), columns.Columns(), source=path.name, drop_bad=True)
    return found.facts.select("question", answer=pl.col("answers").list.first())


def check(facts: pl.DataFrame, where: str) -> None:
    """Raise FactsError if the table is empty, repeats an id, or has an answer too short to be graded."""
    if facts.is_empty():
        raise FactsError(f"{where} holds no facts")
    if facts["fact_id"].n_unique() < len(facts):
        raise FactsError(f"{where}: the same fact_id twice; import the table again (`knowpack facts import`)")
    short = pl.col("answers").list.eval(pl.element().str.strip_chars().str.len_chars() < columns.MIN_CHARS).list.any()
    bad = facts.filter(short | (pl.col("answers").list.len() == 0))
    if not bad.is_empty():
        question = bad["question"][0][:80]
        raise FactsError(f"{where}: no answer, or an empty or one-letter alias, for {question!r} ({len(bad)} facts)")


def _is_fact_table(path: Path) -> bool:
    try:
        return set(schema(Fact)) <= set(pl.read_parquet_schema(path))
    except (pl.exceptions.PolarsError, OSError):
        return True  # read_table says what is wrong
