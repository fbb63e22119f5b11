"""Which tokens an answer's own probability is over; one id a character, sums by hand."""

import math

import pytest

from knowpack.errors import ModelError
from knowpack.measure.grading import ended_line
from knowpack.probe.askers import Generated
from knowpack.probe.sureness import sureness


def decode(ids: object) -> str:
    return "".join(map(chr, ids))  # type: ignore[call-overload]


def said(text: str, *, stopped: bool) -> Generated:
    """Each of the tokens at -1, -2, -4, ... nats."""
    return Generated([ord(c) for c in text], tuple(-(2.0**i) for i in range(len(text) + stopped)))


@pytest.mark.parametrize(
    ("text", "stopped", "logprob", "n"),
    [
        ("ab", True, -7.0, 3),  # 1 + 2 + 4: the end of the turn is part of the answer
        ("ab", False, -3.0, 2),  # cut short by max_new_tokens
        ("ab\ncd", False, -7.0, 3),  # up to the line break, which ends it as the stop token would
        ("\na\nb", True, -7.0, 3),  # a blank line before the first
        ("", True, -1.0, 1),  # nothing said: how sure it was to say nothing
    ],
)
def test_the_first_line_and_what_ends_it(text: str, stopped: bool, logprob: float, n: int) -> None:
    assert sureness(said(text, stopped=stopped), text, decode) == (logprob, n)


def test_who_gives_no_log_probabilities_is_not_sure_of_anything() -> None:
    assert sureness(Generated([97], None), "a", decode) is None


def test_a_line_ends_where_the_grader_ends_it() -> None:
    assert ended_line("Paris\r\nQuestion:") == "Paris"
    assert ended_line("  \n Paris\u2028and more") == "Paris"  # str.splitlines
    assert ended_line("Paris") is None
    assert ended_line("\n\n") is None


@pytest.mark.parametrize("before", ["Answer:\n", "**Answer:**\n\n", "<think>\nno\n</think>\n", "no\nno</think>\n"])
def test_a_label_or_a_thought_alone_on_its_line_is_not_the_answer_that_is_sure(before: str) -> None:
    text = f"{before}ab\ncd"
    n = len(before) + 3  # up to the line break behind ab; 1 + 2 + 4 + ... = 2^n - 1
    assert sureness(said(text, stopped=False), text, decode) == (-(2.0**n - 1), n)


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_a_probability_that_is_no_number_is_no_probability(value: float) -> None:
    """Of whoever answers: a backend of one's own, too."""
    with pytest.raises(ModelError, match="gives no number"):
        sureness(Generated([97], (value,)), "a", decode)
