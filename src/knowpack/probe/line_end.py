"""Where the answer to a plain prompt ends: a model without a chat template goes on with a question of its own.

ids of an answer so far -> whether it has ended; its text -> the text up to there. The end is that of the first line
that says something, or "Question:", with which the next example of the prompt would begin.
"""

from collections.abc import Callable, Sequence

NEXT = "Question:"


class LineEnd:
    """Watches answers; a token is looked up once, and text is made only where one may end an answer."""

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._may_end: dict[int, bool] = {}

    def __call__(self, ids: Sequence[int]) -> bool:
        """Whether the answer has ended with its newest token."""
        newest = ids[-1]
        if newest not in self._may_end:
            letters = self._decode([newest])
            self._may_end[newest] = "\n" in letters or NEXT[-1] in letters
        return self._may_end[newest] and has_ended(self._decode(ids))


def has_ended(text: str) -> bool:
    """Does the text hold its end?"""
    return cut(text) != text


def cut(text: str) -> str:
    """The text up to its end; as it is where it has none."""
    begin = len(text) - len(text.lstrip())
    ends = [place for end in ("\n", NEXT) if (place := text.find(end, begin)) >= 0]
    return text[: min(ends, default=len(text))]
