"""Expected values by hand; the traps are those of the authors' code (shared notes on the paper, points 5-7)."""

import polars as pl
import pytest

from knowpack.measure.grading import clean, grade, grade_table, is_refusal, match_default, match_paper, normalise


def test_alias_us_is_not_in_museum() -> None:
    assert match_default("Answer: The museum", ["us"]) is None
    assert match_paper("Answer: The museum", ["us"]) == "us"  # the authors' grader finds it


def test_empty_alias_matches_nothing_by_default_and_everything_in_the_paper() -> None:
    assert match_default("anything", ["", "?!"]) is None
    assert match_paper("anything", [""]) == ""


@pytest.mark.parametrize(
    ("text", "answers", "matched"),
    [
        ("Answer: Paris.", ["Paris"], "Paris"),
        ("the  PARIS, of course", ["Paris"], "Paris"),
        ("\n\n Answer: São Paulo\nQuestion: next", ["Sao Paulo"], "Sao Paulo"),
        ("University of Branvel", ["Branvel University", "University of Branvel"], "University of Branvel"),
        ("Parisian", ["Paris"], None),
        ("London\nAnswer: Paris", ["Paris"], None),  # only the first line counts
        ("The The", ["The The"], "The The"),
        ("O'Neill-Smith", ["O’Neill Smith"], "O’Neill Smith"),
        ("ｐａｒｉｓ", ["Paris"], "Paris"),  # full-width letters
        ("", ["Paris"], None),
    ],
)
def test_default_match(text: str, answers: list[str], matched: str | None) -> None:
    assert match_default(text, answers) == matched


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("Answer: I do not have information about that.", True),
        ("I'm sorry, but I could not verify this.", True),
        ("I couldn’t find any reliable information", True),
        ("There is no information available.", True),
        ("Unknown", True),
        ("We cannot say", True),
        ("Information Technology", False),
        ("The Unknown Soldier by Vilho", False),
        ("Notting Hill", False),
        ("Canberra", False),
        ("No Country for Old Men", False),
        ("I, Robot", False),
        ("", False),
    ],
)
def test_refusal(text: str, refused: bool) -> None:
    assert is_refusal(text) is refused


def test_a_correct_answer_is_not_a_refusal() -> None:
    graded = grade("I do not have information, but Paris", ["Paris"])
    assert graded.matched_default == "Paris"
    assert not graded.refused_default
    assert graded.refused_paper


def test_normalise_by_hand() -> None:
    assert normalise("  The Beatles! (band)") == "beatles band"
    assert clean("Answer: An Apple\nsecond") == "apple"


def test_grade_table_keeps_order_and_other_columns() -> None:
    facts = pl.DataFrame({"fact_id": ["f", "g"], "answers": [["Paris"], ["Rome", "Roma"]]})
    texts = pl.DataFrame({"fact_id": ["g", "f", "g"], "prompt": [0, 1, 2], "text": ["Roma", "nope", "Roma"]})
    graded = grade_table(texts, facts)
    assert graded["prompt"].to_list() == [0, 1, 2]
    assert graded["matched_default"].to_list() == ["Roma", None, "Roma"]
    assert graded["refused_default"].to_list() == [False, False, False]
