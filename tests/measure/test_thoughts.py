"""Thoughts are skipped before grading; the trap: the first line of a right answer was "<think>"."""

import pytest

from knowpack.measure.grading import first_line, grade
from knowpack.measure.thoughts import aloud


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Paris", "Paris"),
        ("<think>\nLyon? No.\n</think>\n\nAnswer: Paris", "\n\nAnswer: Paris"),
        ("Lyon? No.\n</think>\n\nAnswer: Paris", "\n\nAnswer: Paris"),  # the prompt had opened it
        ("<think>\nLyon? No, it must", ""),  # its end never came
        ("[THINK]Lyon?[/THINK]Paris", "Paris"),
        ("<seed:think>Lyon?</seed:think>Paris", "Paris"),
        ("<thinking>Lyon?</thinking>Paris <reasoning>x</reasoning>!", "Paris !"),
        ("I think that it is <b>Paris</b>", "I think that it is <b>Paris</b>"),
    ],
)
def test_what_is_said_aloud(text: str, said: str) -> None:
    assert aloud(text) == said


def test_a_right_answer_after_a_thought_is_right_and_a_wrong_one_wrong() -> None:
    right = grade("<think>\nLyon?\n</think>\n\nAnswer: Paris", ["Paris"])
    assert (right.matched_default, right.matched_paper, right.refused_default) == ("Paris", "Paris", False)
    wrong = grade("<think>\nParis? I have no information.\n</think>\n\nAnswer: Lyon", ["Paris"])
    assert wrong == (None, None, False, False)
    assert first_line("<think>\n\n</think>\n\nAnswer: Paris\nmore") == "Paris"
