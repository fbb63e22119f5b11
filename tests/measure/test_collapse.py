"""Diversity and refusals, counted by hand."""

import math

import polars as pl
import pytest

from knowpack import records
from knowpack.errors import FactsError
from knowpack.measure import collapse
from knowpack.records import Fact, Figure, Knowledge, Response


def said(*texts: str, prompts: int = 1) -> pl.DataFrame:
    """Answers of facts in turn, `prompts` each; "?" refuses under both graders."""
    rows = []
    for i, text in enumerate(texts):
        refused = text == "?"
        rows.append(Response(f"f{i // prompts}", i % prompts, 0, 0, text, None, None, refused, refused))
    return records.table(rows, Response)


def values(found: list[Figure], grader: str = "default") -> dict[str, float]:
    return {figure.name: figure.value for figure in found if figure.grader == grader}


def test_table_four_by_hand() -> None:
    # First prompt: x, ?, z. Without refusals: x three times ("X." is the same answer), z twice.
    found = values(collapse.diversity(said("x", "X.", "?", "the x", "z", "z", prompts=2)))
    assert found == pytest.approx(
        {
            "n_refused_first": 1.0,
            "n_unique_answers": 2.0,
            "mean_count": 2.5,
            "spread_count": 0.5,
            "top_ten_share": 1.0,
            "entropy": -(0.6 * math.log(0.6) + 0.4 * math.log(0.4)),
        }
    )


def test_refusals_are_counted_on_the_first_prompt_only() -> None:
    assert values(collapse.diversity(said("x", "?", "y", "?", prompts=2)))["n_refused_first"] == 0.0


def test_eleven_answers_leave_a_share_outside_the_top_ten() -> None:
    found = values(collapse.diversity(said(*[f"a{i}" for i in range(11)], "a0")))
    assert found["top_ten_share"] == pytest.approx(11 / 12)


def test_collapse_is_minus_the_base() -> None:
    found = values(collapse.diversity(said("x", "x", "x", "x"), said("a", "b", "c", "?")))
    assert found["n_unique_answers_minus_base"] == -2.0
    assert found["entropy_minus_base"] == pytest.approx(-math.log(3))
    assert found["n_refused_first_minus_base"] == -1.0
    assert found["entropy_base"] == pytest.approx(math.log(3))


def test_all_refused_has_no_mean_and_no_entropy() -> None:
    found = values(collapse.diversity(said("?", "?"), said("a", "b")))
    assert found["n_unique_answers"] == 0.0
    assert "entropy" not in found
    assert "entropy_minus_base" not in found


def test_paraphrases_and_samples_are_left_out() -> None:
    answers = said("x", "y")
    more = answers.with_columns(form=pl.lit(1, dtype=pl.Int64), text=pl.lit("z"))
    sampled = answers.with_columns(sample=pl.lit(1, dtype=pl.Int64), text=pl.lit("w"))
    assert values(collapse.diversity(pl.concat([answers, more, sampled])))["n_unique_answers"] == 2.0


def test_no_answers_raise() -> None:
    with pytest.raises(FactsError, match="at least one"):
        collapse.diversity(said("x").clear())


def known(*rows: tuple[str, str, float]) -> pl.DataFrame:
    names = {"U": "Unknown", "W": "WeaklyKnown", "M": "MaybeKnown", "H": "HighlyKnown"}
    both = [Knowledge(f, g, 10, 0.0, names[c], "", p) for g in ("default", "paper") for f, c, p in rows]
    return records.table(both, Knowledge)


def facts(ids: str) -> pl.DataFrame:
    return records.table([Fact(i, "Q", ("A",), relation="r") for i in ids], Fact)


def test_refusals_on_unknown_and_false_ones_on_known() -> None:
    before = known(("a", "U", 1.0), ("b", "W", 0.6), ("c", "U", 0.2), ("d", "H", 0.0), ("e", "H", 0.2), ("t", "U", 1.0))
    after = known(("a", "U", 0.5), ("b", "M", 0.3), ("c", "U", 0.1), ("d", "U", 0.5), ("e", "H", 0.1), ("t", "H", 0.0))
    found = values(collapse.refusals(before, after, {"t"}, facts("abcdet")))
    assert found == pytest.approx(
        {
            "refused_unknown_base": 0.6,  # (1 + .6 + .2) / 3; the categories are the base's
            "refused_unknown": 0.3,
            "refused_known_base": 0.1,
            "refused_known": 0.3,
        }
    )


def test_without_known_facts_there_are_no_false_refusals() -> None:
    same = known(("a", "U", 0.0))
    assert set(values(collapse.refusals(same, same, set(), facts("a")))) == {"refused_unknown_base", "refused_unknown"}


def test_other_facts_are_an_error() -> None:
    with pytest.raises(FactsError, match="2 facts were probed before and not after"):
        collapse.refusals(known(("a", "U", 0.0)), known(("b", "U", 0.0)), set(), facts("a"))
