"""How likely a model's own greedy answer was: the tokens of its first line, and the one that ended it.

Generated ids with their log-probabilities -> `Sureness`. The first line is what the default grader reads (a base model
goes on with a question of its own); the token that ends it belongs to it, or "New" would be as likely as "New York".
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from knowpack.measure.grading import ended_line
from knowpack.probe.askers import Generated, check_logprobs


class Sureness(NamedTuple):
    """Of one answer."""

    logprob: float
    """Nats, summed over n_tokens."""
    n_tokens: int
    """Tokens of the first line and, where it was not cut short, the one that ended it."""


Decode = Callable[[Sequence[int]], str]


def sureness(answer: Generated, text: str, decode: Decode) -> Sureness | None:
    """text: of all the ids. None where whoever answered gives no log-probabilities."""
    if answer.logprobs is None:
        return None
    check_logprobs(answer.logprobs)
    line = ended_line(text)
    n = len(answer.logprobs) if line is None else first_line_tokens(answer.ids, line, decode)
    return Sureness(sum(answer.logprobs[:n]), n)


def first_line_tokens(ids: Sequence[int], line: str, decode: Decode) -> int:
    """How many of the first ids hold `line`, the first that the text of all of them says, and its end.

    A label on a line of its own and thoughts stand before it: the answer came through them, so they are counted in.
    """
    low, high = 1, len(ids)
    while low < high:  # the shortest beginning that ends this line; once it does, longer ones do
        middle = (low + high) // 2
        low, high = (low, middle) if ended_line(decode(ids[:middle])) == line else (middle + 1, high)
    return low
