"""A fact table, or a pool of few-shot examples, by name: the package's own sources, or a file.

"lab" | "world" | path -> Fact table; "lab" | "general" | path -> pool [question, answer]. "auto" is the lab's for the
lab's model, and `world` with `general` for every other one: the lab's invented world is never asked of another model
unless it is named. A parquet file with the columns of Fact is read as it is; any other table is imported with the
usual column names (see column_names.guess).
"""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import polars as pl

from knowpack.errors import FactsError
from knowpack.facts import column_names, columns, readers, world_facts
from knowpack.facts.repeats import Contradictions
from knowpack.facts.shot_answers import normal_form, normalized
from knowpack.lab import files as lab_files
from knowpack.records import Fact, schema
from knowpack.store import hash_file, read_table

AUTO = "auto"
LAB_MODEL = "lab"


@dataclass(frozen=True, slots=True)
class Source:
    """A named source inside the package. To add one, add a line to SOURCES (docs/extending.md)."""

    about: str
    licence: str
    facts: Callable[[], pl.DataFrame] | None = None
    """-> Fact table."""
    shots: Callable[[], pl.DataFrame] | None = None
    """-> pool of few-shot examples [question, answer]."""


SOURCES: dict[str, Source] = {
    "lab": Source(
        "the lab's invented world, which only the lab's model knows",
        "Apache-2.0",
        facts=lambda: lab_files.facts(),
        shots=lambda: lab_files.shots(),
    ),
    "world": Source(
        "places, money, languages, elements and codes, which small models know in part (facts/data/README.md)",
        "CC BY 4.0 (GeoNames) and others, see facts/data/README.md",
        facts=world_facts.facts,
    ),
    "general": Source(
        "questions of general knowledge, none of them a fact of world", "Apache-2.0", shots=world_facts.shots
    ),
}


def facts_for(model: str, name: str = AUTO) -> str:
    """The facts that a model is asked: those named, or by default the lab's for the lab, `world` for all others."""
    return ("lab" if model == LAB_MODEL else "world") if name == AUTO else name


def shots_for(model: str, facts: str, name: str = AUTO) -> str:
    """The pool of few-shot examples: the one named, else the lab's for the lab or its facts, else `general`."""
    if name != AUTO:
        return name
    return "lab" if model == LAB_MODEL or facts == "lab" else "general"


def load(source: str | Path, contradictions: Contradictions = "stop") -> pl.DataFrame:
    """The facts of a named source or of a file, table of Fact, checked. Raises FactsError or StoreError in one line.

    contradictions: of a table that is imported here; keep leaves it to the caller to find them.
    """
    facts = load_unchecked(source, contradictions)
    check(facts, str(source))
    return facts


def content(source: str | Path) -> str:
    """What stands for a source in a hash: a named one's name; of a file, wherever it lies, its bytes and its name, from
    which facts get their ids; its path where it is not there."""
    path = Path(source)
    if str(source) in SOURCES or not path.is_file():
        return str(source)
    stat = path.stat()
    return f"{path.name} {_hash(path.absolute(), stat.st_mtime_ns, stat.st_size)}"


@lru_cache(maxsize=16)
def _hash(path: Path, *_: int) -> str:
    return hash_file(path)


def load_unchecked(source: str | Path, contradictions: Contradictions = "keep") -> pl.DataFrame:
    """The same without the checks, for lint."""
    named = SOURCES.get(str(source))
    if named is not None and named.facts is not None:
        return named.facts()
    path = Path(source)
    if not path.is_file():
        known = [name for name, one in SOURCES.items() if one.facts]
        near = difflib.get_close_matches(str(source).lower(), known, n=1, cutoff=0.7)
        meant = f"; did you mean {near[0]}?" if near else ""
        got = f"{path} is a folder" if path.is_dir() else f"there is no fact file {path}"
        raise FactsError(f"{got}; expected {', '.join(known)}, or a parquet, CSV or JSONL file{meant}")
    if path.suffix == ".parquet" and path.stat().st_size and _is_fact_table(path):
        return read_table(path, Fact)
    name = path.name.split(".")[0]
    return columns.facts_of(
        readers.rows(str(path)), column_names.Columns(), source=name, contradictions=contradictions, file=str(path)
    ).facts


def is_packaged_pool(name: str) -> bool:
    """Is it one of the package's own pools of few-shot examples, and no file?"""
    return name in SOURCES and SOURCES[name].shots is not None


def load_shots(source: str | Path, answers: str = "canonical") -> pl.DataFrame:
    """A pool of few-shot examples: columns question, answer.

    answers: canonical, or normalized_alias: the first alias, in TriviaQA's normal form (the authors' code).
    """
    named = SOURCES.get(str(source))
    if named is not None and named.shots is not None:
        pool = named.shots()
        plain = [normal_form(answer) for answer in pool["answer"]]
        return pool if answers == "canonical" else pool.with_columns(answer=pl.Series(plain))
    path = Path(source)
    if not path.exists():
        known = ", ".join(name for name, one in SOURCES.items() if one.shots)
        raise FactsError(f"there is no pool of few-shot examples {path}; expected {known}, or a table of questions")
    rows = readers.rows(str(path))
    used = rows if answers == "canonical" else normalized(rows)
    imported = columns.facts_of(used, column_names.Columns(), source=path.name, drop_bad=True, contradictions="keep")
    return imported.facts.select("question", answer=pl.col("answers").list.first())


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
