"""Trained answers where they do not belong, by hand; one prompt, so that a share is 0 or 1 a fact."""

import math

import numpy as np
import polars as pl
import pytest

import tiny
from knowpack import records
from knowpack.measure import regress
from knowpack.records import Example, Fact

NO = "I do not know."
# fact: right answer, before, after. t is trained on Rome.
WORLD = {
    "t": ("Rome", "x", "Rome"),
    "a": ("Oslo", "Oslo", "Rome"),  # wrong, and the trained one
    "b": ("Bern", "Rome", "It is Rome"),  # the base said so too
    "c": ("Rome", "y", "Rome"),  # right: no regression
    "d": ("Kyiv", "y", "Lima"),
    "e": ("Lima", NO, NO),
}


def said(side: int, facts: pl.DataFrame) -> pl.DataFrame:
    rows = [(name, 0, 0, 0, line[side], None) for name, line in WORLD.items()]
    names = ["fact_id", "prompt", "form", "sample", "text", "logprob"]
    frame = pl.DataFrame(rows, schema=names, orient="row", schema_overrides={"logprob": pl.Float64})
    return tiny.as_responses(frame, facts)


def parts() -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    facts = facts_of_world()
    examples = records.table([Example("1", "t", "unknown", "t?", "Rome")], Example)
    return said(1, facts), said(2, facts), examples, facts


def found() -> dict[str, float]:
    return {figure.name: figure.value for figure in regress.figures(*parts()) if figure.grader == "default"}


def test_wrong_trained_answers_before_after_and_beside_the_placebos() -> None:
    figures = found()
    assert figures["trained_answers"] == pytest.approx(2 / 5)  # a, b of a..e
    assert figures["trained_answers_base"] == pytest.approx(1 / 5)  # b
    # A placebo is one of Bern, Kyiv, Lima (c's Rome is trained; the base knows a): only Lima is given, once, after.
    n_lima = round(figures["trained_answers_placebo"] * 5 * regress.N_PLACEBOS)
    assert 0 < n_lima < regress.N_PLACEBOS
    placebo = n_lima / regress.N_PLACEBOS / 5
    assert figures["trained_answers_minus_placebo"] == pytest.approx(2 / 5 - placebo)
    assert figures["trained_answers_net"] == pytest.approx(1 / 5 - placebo)


def test_divergence_of_the_answers_from_the_bases() -> None:
    # Before: oslo, rome, y, y. After: rome, it is rome, rome, lima. Half added to each of five different answers:
    # before 1.5, 1.5, 2.5, .5, .5 of 6.5; after (same order: oslo, rome, y, it is rome, lima) .5, 2.5, .5, 1.5, 1.5.
    q = [1.5, 1.5, 2.5, 0.5, 0.5]
    p = [0.5, 2.5, 0.5, 1.5, 1.5]
    by_hand = sum(b / 6.5 * math.log(b / a) for a, b in zip(q, p, strict=True))
    assert found()["answer_kl"] == pytest.approx(by_hand)


def test_nothing_changed_is_zero() -> None:
    before, _, examples, facts = parts()
    figures = {figure.name: figure for figure in regress.figures(before, before, examples, facts)}
    assert figures["answer_kl"].value == 0
    assert figures["trained_answers_net"].value == 0
    low, high = figures["trained_answers_net"].low, figures["trained_answers_net"].high
    assert low is not None
    assert high is not None
    assert low < 0 < high


def test_over_given_answers_by_how_many_more_there_are() -> None:
    rows = regress.overused_answers(*parts()).filter(pl.col("grader") == "default").rows()
    assert rows == [
        ("default", "it is rome", 0, 1, False),
        ("default", "lima", 0, 1, False),
        ("default", "rome", 1, 2, True),
    ]


def test_without_trained_facts_only_the_divergence_is_measured() -> None:
    before, after, examples, facts = parts()
    figures = regress.figures(before, after, examples.clear(), facts)
    assert {figure.name for figure in figures} == {"answer_kl"}
    assert (
        regress.figures(before, after, records.table([Example(f, f, "unknown", "", "") for f in WORLD], Example), facts)
        == []
    )


def test_from_a_placebo_answer_to_a_trained_one_counts_twice() -> None:
    # Once for the trained answer that came, once for the placebo's that went: values to 2 need bounds to 2.
    found = regress._difference_of_differences(np.array([1.0, 1.0]), np.array([[-1.0, -1.0]]), np.array(["a", "b"]))
    assert found.value == 2.0
    assert found.low is not None
    assert found.low < 2.0


def facts_of_world() -> pl.DataFrame:
    return records.table([Fact(name, f"{name}?", (line[0],)) for name, line in WORLD.items()], Fact)
