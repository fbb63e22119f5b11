"""The tables: one frozen record a row, stored as parquet, held as polars data frames.

A record defines its table: `table(rows, Fact)` makes a frame whose columns, order and types are the record's,
`rows(frame, Fact)` gives the records back. Missing is None, never 0 or "".
"""

import hashlib
import types
import typing
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from enum import StrEnum
from operator import attrgetter
from typing import Literal, NamedTuple, TypeVar

import polars as pl

Grader = Literal["default", "paper"]
GRADERS: tuple[Grader, ...] = ("default", "paper")
SELF_WRITTEN = "self-written"
"""Source of facts whose questions and answers the model wrote: they are kept or not, and never called known."""


class Category(StrEnum):
    """How well a model knows a fact, by the share of correct answers (SliCK: Gekhman et al. 2024, section 3)."""

    UNKNOWN = "Unknown"
    WEAKLY_KNOWN = "WeaklyKnown"  # greedy never right, sampling sometimes; only where sampling was measured
    MAYBE_KNOWN = "MaybeKnown"
    HIGHLY_KNOWN = "HighlyKnown"


class Cause(StrEnum):
    """Why a fact moved (Pletenev et al. 2025, section 5.2). Causes overlap."""

    NON_REFUSAL = "non_refusal"  # the base refused; upward shifts only
    EXPLOSION = "explosion"  # an answer the tuned model gives far more often than the base gives any
    TARGET = "target"  # the answer is that of a trained Unknown fact
    DOMAIN = "domain"  # same domain, else range, of the relation as a trained fact


class Kind(StrEnum):
    """What a training example is there for."""

    UNKNOWN = "unknown"
    HIGHLY_KNOWN = "highly_known"
    PARAPHRASE = "paraphrase"
    REPLAY = "replay"
    SHORT_FORM = "short_form"


class Kinship(StrEnum):
    """How near an untrained fact is to the trained ones; the nearest that holds."""

    SAME_SUBJECT = "same_subject"
    SAME_RELATION = "same_relation"
    SAME_RANGE = "same_range"
    UNRELATED = "unrelated"


@dataclass(frozen=True, slots=True)
class Fact:
    """A question with its answers, and where it stands in the graph it comes from."""

    fact_id: str
    """16 hex digits: hash of source, subject, relation, object, question (`fact_id_of`)."""
    question: str
    answers: tuple[str, ...]
    """The first is canonical (it is trained on), the rest are aliases (they count as correct)."""
    paraphrases: tuple[str, ...] = ()
    """Other wordings of the question. Form k of a fact is paraphrases[k-1]; form 0 is the question."""
    subject: str | None = None
    relation: str | None = None
    object: str | None = None
    domain: str | None = None
    """rdfs:domain of the relation: the class of its subjects."""
    range: str | None = None
    """rdfs:range of the relation: the class of its objects."""
    popularity: str | None = None
    """head, torso or tail, by the number of triples that hold the subject (Sun et al. 2024)."""
    source: str = ""
    """Where the fact comes from: lab, dbpedia, a file's name."""


@dataclass(frozen=True, slots=True)
class Response:
    """One answer of a model to one fact under one few-shot prompt, with both grades."""

    fact_id: str
    prompt: int
    """Index of the few-shot draw, from 0."""
    form: int
    """0 the question, k its k-th paraphrase."""
    sample: int
    """0 the greedy answer, s >= 1 the s-th sampled one."""
    text: str
    """The raw generated text, unstripped."""
    matched_default: str | None
    """The answer or alias found by the default grader; None = not correct."""
    matched_paper: str | None
    """The answer or alias found by the paper's raw substring match; None = not correct."""
    refused_default: bool
    refused_paper: bool
    logprob: float | None = None
    """Log-probability of the canonical answer after this prompt, nats, summed over its tokens; None = not measured."""
    answer_logprob: float | None = None
    """Log-probability of this greedy answer itself, nats, summed over the tokens of its first line and the token that
    ended it (a line break or the end of the turn); None = sampled, or whoever answered does not say."""
    answer_tokens: int | None = None
    """How many tokens that sum is over."""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What a model knows of one fact, under one grader."""

    fact_id: str
    grader: str
    n: int
    """Greedy answers graded (the number of prompts)."""
    p_correct: float
    """Share of the n that are correct, 0..1."""
    category: str
    """A `Category`."""
    top_answer: str
    """The most frequent greedy answer (normalised); ties go to the lowest prompt index."""
    p_refused: float
    """Share of the n that are refusals, 0..1."""
    p_sampled: float | None = None
    """Share of sampled answers that are correct; None = no sampling."""


@dataclass(frozen=True, slots=True)
class Example:
    """One question-answer pair to train on."""

    example_id: str
    fact_id: str
    kind: str
    """A `Kind`."""
    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Shift:
    """How one fact moved between two knowledge maps, under one grader."""

    fact_id: str
    grader: str
    trained: bool
    """Its fact_id is among the training examples (of whatever kind)."""
    before: str
    """A `Category`."""
    after: str
    """A `Category`."""
    delta_p: float
    """p_correct after - before, -1..1."""
    kinship: str | None = None
    """A `Kinship` to the trained facts; None = trained itself, or the training facts are not known."""
    causes: tuple[str, ...] = ()
    """The `Cause`s that hold; they overlap; empty = unexplained or not moved."""


@dataclass(frozen=True, slots=True)
class Score:
    """One figure of a benchmark."""

    task: str
    metric: str
    value: float
    stderr: float | None
    n: int
    higher_is_better: bool | None = None
    """None = not known: it is printed and not judged."""
    unit: str = ""
    """share (0..1), points (0..100: BLEU, ROUGE), or "" for a metric without a known range (perplexity)."""
    level: str = "task"
    """task: asked by name; group: a part of it that has parts; part: a leaf of a group (MMLU's subjects)."""


class Estimate(NamedTuple):
    """A number that was measured, with its interval: the one type for all of them (measure/stats.py makes them)."""

    value: float
    low: float | None = None
    """Lower end of the 95% interval; None = none can be had (a count, a figure that is no mean)."""
    high: float | None = None
    n: int | None = None
    """How many facts, items, answers or seeds it is over; None = not known."""
    unit: str = "share"
    """share (0..1, or -1..1 for a difference), points (0..100), count, nats, ..."""
    higher_is_better: bool | None = None
    """None = neither, or not known."""
    method: str = ""
    """How the interval was made, in a few words."""


@dataclass(frozen=True, slots=True)
class Figure:
    """An `Estimate` with its name, under one grader (docs/method.md says what each name means).

    The fields after grader are those of Estimate in its order: Figure(name, grader, *estimate).
    """

    name: str
    grader: str
    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None
    unit: str = "share"
    higher_is_better: bool | None = None
    method: str = ""

    @property
    def estimate(self) -> Estimate:
        return Estimate(self.value, self.low, self.high, self.n, self.unit, self.higher_is_better, self.method)


R = TypeVar("R")


def fact_id_of(source: str, subject: str | None, relation: str | None, obj: str | None, question: str) -> str:
    """The identity of a fact: 16 hex digits of blake2b over its fields; None and "" are told apart."""
    parts = ["\x00" if part is None else part for part in (source, subject, relation, obj, question)]
    return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=8).hexdigest()


def schema(record: type) -> pl.Schema:
    """The columns of a record's table: name -> polars type."""
    hints = typing.get_type_hints(record)
    return pl.Schema({field.name: _dtype(hints[field.name]) for field in fields(record)})


def may_be_absent(record: type) -> set[str]:
    """The columns that a table of an older version may lack: those whose value may be missing, and is so by default."""
    return {field.name for field in fields(record) if field.default is None}


def table(rows: Iterable[R], record: type[R]) -> pl.DataFrame:
    """Records -> frame with exactly the record's columns and types."""
    columns = schema(record)
    values = list(map(attrgetter(*columns), rows))  # astuple copies every list of names
    return pl.DataFrame(values, schema=columns, orient="row")


def cast(frame: pl.DataFrame, record: type) -> pl.DataFrame:
    """The record's columns of a frame that holds them among others, in the record's order and types."""
    return frame.select(pl.col(name).cast(kind) for name, kind in schema(record).items())


def rows(frame: pl.DataFrame, record: type[R]) -> Iterator[R]:
    """Frame -> records, row by row; lists become tuples."""
    names = list(schema(record))
    for values in frame.select(names).iter_rows():
        yield record(*(tuple(value) if isinstance(value, list) else value for value in values))


def _dtype(hint: object) -> pl.DataType:
    if isinstance(hint, types.UnionType):  # X | None
        hint = next(arg for arg in typing.get_args(hint) if arg is not type(None))
    if typing.get_origin(hint) is tuple:
        return pl.List(pl.String())
    simple: dict[object, pl.DataType] = {
        str: pl.String(),
        int: pl.Int64(),
        float: pl.Float64(),
        bool: pl.Boolean(),
    }
    return simple[hint]
