"""Expected values by hand; the traps are those of the authors' code (shared notes on the paper, points 5-7)."""

import polars as pl
import pytest

from knowpack.measure.grading import (
    clean,
    first_line,
    grade,
    grade_table,
    is_refusal,
    match_default,
    match_paper,
)
from knowpack.measure.matching import rules
from knowpack.measure.normalised import normalise


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


# One kind a block: what is right, and beside it what is wrong and looks like it. None = wrong.
RIGHT = [
    ("Vitamin A", "vitamin A"),
    ("It is vitamin A.", "Vitamin A"),
    ("Democratic Republic of Congo", "the Democratic Republic of the Congo"),
    ("A Tale of Two Cities", "The Tale of Two Cities"),
    ("-5", "−5"),
    ("It is −5 °C there", "-5"),
    ("minus 5 degrees", "-5"),
    ("C++", "C++"),
    ("C++17 or later", "C++"),
    ("It was written in C#.", "C#"),
    ("Cと C♯", "C#"),
    ("パリです", "パリ"),
    ("ﾊﾟﾘ", "パリ"),
    ("東京です", "東京"),
    ("Tokyoです", "Tokyo"),
    ("1995年", "1995"),
    ("กรุงเทพมหานครครับ", "กรุงเทพมหานคร"),
    ("दिल्ली है", "दिल्ली"),
    ("서울입니다", "서울"),
    ("1000000", "1,000,000"),
    ("about 1,000,000.00 euros", "1000000"),
    ("1 000 000 people", "1,000,000"),
    ("1.000.000", "1'000'000"),
    ("1.5 million", "1,500,000"),
    ("in 1990", "1990.0"),
    ("March 14th", "March 14"),
    ("on the 14th of March", "March 14"),
    ("14 Mar. 1990", "March 14th, 1990"),
    ("1990-03-14", "14 March 1990"),
    ("14.3.1990", "March 14, 1990"),
    ("3/14/1990", "14/3/1990"),
    ("March 14, 1990", "1990"),
    ("The US", "U.S."),
    ("in the U.S. and Canada", "US"),
    ("J. R. R. Tolkien", "J.R.R. Tolkien"),
    ("JRR Tolkien", "J.R.R. Tolkien"),
    ("No", "No"),
    ("No, it does not.", "No"),
    ("The answer is no.", "No"),
    ("Yes it is", "Yes"),
    ("The ISO code of Icelandic is is.", "is"),
    ("Italian (it)", "it"),
    ("The code is IT", "it"),
    ("In May 1990", "May"),
    ("I think The Who", "The Who"),
    ("Answer:\n\nParis", "Paris"),
    ("**Answer:** Paris", "Paris"),
    ("Answers in Genesis", "Answers in Genesis"),
]
WRONG = [
    ("Vitamin C", "Vitamin A"),
    ("Hepatitis B", "Hepatitis A"),
    ("5", "-5"),
    ("-5", "5"),
    ("1990-1995", "-1995"),
    ("C#", "C++"),
    ("C", "C++"),
    ("F", "F#"),
    ("ハリ", "パリ"),
    ("ハリウッド", "ハリ"),
    ("はは", "ばば"),
    ("大阪です", "東京"),
    ("दल", "दिल्ली"),
    ("서울대학교", "서울"),
    ("100000", "1,000,000"),
    ("1,000", "1,000,000"),
    ("1 million", "1,500,000"),
    ("10²", "102"),
    ("Python 3.14", "3"),
    ("3.10", "3.1"),
    ("1990", "1991.0"),
    ("March 1", "March 14"),
    ("14 May", "March 14"),
    ("March 15, 1990", "March 14, 1990"),
    ("3/4/1990", "March 4, 1990"),
    ("He told us", "U.S."),
    ("a bus", "U.S."),
    ("No information", "No"),
    ("No. 5", "No"),
    ("There is no such thing", "No"),
    ("I don't know what it is", "is"),
    ("It is Italian", "it"),
    ("It may be in June", "May"),
    ("Nobody knows who", "The Who"),
    ("Answer:", "Answer"),
    ("Answer: \nLondon\nParis", "Paris"),
    ("🙂", "??"),
]


@pytest.mark.parametrize(("text", "answer"), RIGHT)
def test_the_same_value_written_in_another_way_is_right(text: str, answer: str) -> None:
    assert match_default(text, [answer]) == answer


@pytest.mark.parametrize(("text", "answer"), WRONG)
def test_what_only_looks_like_the_answer_is_wrong(text: str, answer: str) -> None:
    assert match_default(text, [answer]) is None


def test_the_papers_grader_keeps_the_authors_rules() -> None:
    assert match_paper("No information", ["No"]) == "No"
    assert match_paper("1000000", ["1,000,000"]) is None
    assert match_paper("Vitamin C and a", ["a"]) == "a"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Answer: -5", "-5"),
        ("Answer - 5", "5"),
        ("The answer is -5", "-5"),
        ("Answer:\n  \nAnswer: Paris\nRome", "Paris"),
        ("The Answer", ""),
        ("Answers in Genesis", "Answers in Genesis"),
        ("Answer -5", "-5"),
    ],
)
def test_a_label_is_no_answer_and_its_sign_is_kept(text: str, line: str) -> None:
    assert first_line(text) == line


@pytest.mark.parametrize("text", ["", "??", "🙂", "...", "-", "«»"])
def test_nothing_to_compare_is_empty(text: str) -> None:
    assert normalise(text) == ""


@pytest.mark.parametrize(
    ("answer", "kinds"),
    [
        ("Paris", []),
        ("Vitamin A", ["article"]),
        ("No", ["yes_no"]),
        ("US", ["common_word"]),
        ("U.S.", ["common_word", "abbreviation"]),
        ("東京", ["no_spaces"]),
        ("パリ", ["kana"]),
        ("1,000,000", ["number"]),
        ("-5", ["number", "sign"]),
        ("C++", ["sign"]),
        ("14 March", ["date"]),
        ("3/4/1990", ["two_dates"]),
    ],
)
def test_answers_that_are_read_by_a_rule_of_their_own_are_named(answer: str, kinds: list[str]) -> None:
    assert rules(answer) == kinds
