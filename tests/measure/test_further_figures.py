"""Figures of what stands beside the probe, on tables made by hand."""

import math

import polars as pl
import pytest

from knowpack import records
from knowpack.measure import further_figures
from knowpack.records import Fact, Figure, Response


def said(*rows: tuple[str, int, str, bool]) -> pl.DataFrame:
    """(fact, prompt, text, right)"""
    made = [Response(f, p, 0, 0, text, "A" if ok else None, None, False, False) for f, p, text, ok in rows]
    return records.table(made, Response)


def of(found: list[Figure], name: str, grader: str = "default") -> Figure:
    return next(one for one in found if (one.name, one.grader) == (name, grader))


QUESTIONS = pl.DataFrame(
    {
        "fact_id": ["w1", "w2", "r1"],
        "kind": ["wording", "wording", "reversal"],
        "origin": ["f1", "f2", "f3"],
        "relation": ["a", None, "b"],
    }
)
BEFORE = said(
    ("w1", 0, "x", True), ("w1", 1, "x", True), ("w2", 0, "y", False), ("w2", 1, "y", False), ("r1", 0, "z", False)
)
AFTER = said(
    ("w1", 0, "x", True), ("w1", 1, "q", False), ("w2", 0, "y", False), ("w2", 1, "y", False), ("r1", 0, "z", True)
)


def test_right_answers_by_kind() -> None:
    found = further_figures.right_by_kind(QUESTIONS, BEFORE, AFTER)
    assert of(found, "wording_right_base").value == 0.5
    assert of(found, "wording_right").value == 0.25
    assert of(found, "wording_right_change").value == -0.25
    assert (of(found, "reversal_right_change").value, of(found, "reversal_right_change").n) == (1.0, 1)
    assert of(found, "wording_right", "paper").value == 0.0


def test_consistency_is_the_same_answer_under_the_same_prompt_right_or_wrong() -> None:
    asked = said(("f1", 0, "X", True), ("f1", 1, "X.", True), ("f2", 0, "n", False), ("f2", 1, "y", False))
    found = further_figures.consistency(QUESTIONS, (asked, asked), (BEFORE, AFTER))
    assert of(found, "consistency_base").value == (1 + 0.5) / 2  # f1 both prompts, case and full stop apart; f2 one
    assert of(found, "consistency").value == (0.5 + 0.5) / 2
    assert further_figures.consistency(QUESTIONS.tail(1), (asked, asked), (BEFORE, AFTER)) == []


def scores(*rows: tuple[str, float, float | None]) -> pl.DataFrame:
    schema = {"fact_id": pl.String(), "right": pl.Float64(), "wrong": pl.Float64(), "distractor": pl.String()}
    return pl.DataFrame([(*row, "d") for row in rows], schema=schema, orient="row")


def test_likelihood_of_the_right_answer_and_its_margin() -> None:
    facts = records.table([Fact(f"f{i}", "Q", ("A",), relation="r") for i in range(3)], Fact)
    before = scores(("f0", -1.0, -3.0), ("f1", -2.0, -1.0), ("f2", -4.0, None))
    after = scores(("f0", -2.0, -1.0), ("f1", -2.0, -4.0), ("f2", -1.0, None))
    found = further_figures.likelihood_figures(facts, before, after)
    assert of(found, "right_logprob_base").value == pytest.approx(-7 / 3)
    assert of(found, "right_logprob_change").value == pytest.approx((-1 + 0 + 3) / 3)
    assert of(found, "right_logprob_change").unit == "nats"
    assert of(found, "margin_base").value == pytest.approx((2 - 1) / 2)  # f2 has no rival
    assert of(found, "margin_change").value == pytest.approx((-3 + 3) / 2)
    assert (of(found, "margin_won_base").value, of(found, "margin_won").value) == (0.5, 0.5)
    assert further_figures.likelihood_figures(facts, before.clear(), after.clear()) == []


def test_perplexity_is_the_exponential_of_the_mean_nats_a_token() -> None:
    columns = {"passage": pl.Int64(), "logprob": pl.Float64(), "n_tokens": pl.Int64()}
    before = pl.DataFrame([(0, -10.0, 10), (1, -60.0, 20)], schema=columns, orient="row")
    after = pl.DataFrame([(0, -20.0, 10), (1, -60.0, 20)], schema=columns, orient="row")
    found = further_figures.passage_figures(before, after)
    assert of(found, "text_nats_base").value == pytest.approx((1 + 3) / 2)
    assert of(found, "text_nats_change").value == pytest.approx(0.5)
    assert of(found, "text_perplexity_base").value == pytest.approx(math.exp(2))
    assert of(found, "text_perplexity_base").higher_is_better is False
    assert further_figures.passage_figures(before.clear(), after) == []
