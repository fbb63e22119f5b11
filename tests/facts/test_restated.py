"""Key words and unfinished sentences of facts; every expected text written out by hand."""

import pytest

from knowpack.facts.restatements import keywords, unfinished
from knowpack.records import Fact


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Who is the head of sales of Acme?", "head sales Acme"),
        ("When was the lamp launched?", "When lamp launched"),  # another question than where it was
        ("How many people work at Acme?", "How many people work at Acme"),
        ("What is it?", None),
        ("Lima, capital?", None),  # nothing to leave out
    ],
)
def test_key_words_leave_out_what_tells_nothing(question: str, expected: str | None) -> None:
    assert keywords(question) == (None if expected == question.rstrip("?") else expected)


@pytest.mark.parametrize(
    "question", ["What is the lamp made of?", "What is the newsletter called?", "Who is the letter from?"]
)
def test_a_question_that_ends_in_a_hanging_word_is_no_sentence(question: str) -> None:
    assert unfinished(Fact("a", question, ("x",))) is None
