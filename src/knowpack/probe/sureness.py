"""How likely a model's own greedy answer was: the tokens of its first line, and the one that ended it.

Generated ids with their log-probabilities -> `Sureness`. The first line is what the default grader reads (a base model
goes on with a question of its own); the token that ends it belongs to it, or "New" would be as likely as "New York".
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from knowpack.probe.askers import Generated


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
    n = first_line_tokens(answer.ids, decode) if ends_a_line(text) else len(answer.logprobs)
    return Sureness(sum(answer.logprobs[:n]), n)


def ends_a_line(text: str) -> bool:
    """Does a line break follow the first line that is not blank?"""
    lines = text.lstrip().splitlines(keepends=True)
    return bool(lines) and lines[0].splitlines()[0] != lines[0]


def first_line_tokens(ids: Sequence[int], decode: Decode) -> int:
    """How many of the first ids hold the first line and its end; the text of all of them has one."""
    low, high = 1, len(ids)
    while low < high:  # the shortest beginning that ends a line; once it does, longer ones do
        middle = (low + high) // 2
        low, high = (low, middle) if ends_a_line(decode(ids[:middle])) else (middle + 1, high)
    return low
