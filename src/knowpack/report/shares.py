"""Shares for a person: 0.034 is 3.4%, on the page and in the terminal alike."""

import re


def share(value: float, limit: float | None = None) -> str:
    """0.034 -> 3.4%; 0.951 -> 95%; 0.9966 -> 99.7%, for it is not all; never -0%.

    limit: a value that is not the limit is never printed as it.
    """
    digits = 1 if abs(value) < 0.0995 or 0.995 <= value < 0.9995 else 0
    while (
        limit is not None
        and value != limit
        and digits < 2
        and f"{100 * value:.{digits}f}" == f"{100 * limit:.{digits}f}"
    ):
        digits += 1
    text = f"{100 * value:.{digits}f}"
    return f"{text.removeprefix('-') if float(text) == 0 else text.replace('-', '−')}%"


def points(delta: float) -> str:
    """A change of a share: −40 points; +1.4 points."""
    text = f"{abs(100 * delta):.{1 if abs(delta) < 0.0995 else 0}f}"
    return f"{'' if float(text) == 0 else '−' if delta < 0 else '+'}{text} points"


def in_shares(text: str, limit: float) -> str:
    """A text in which shares stand with four to six digits, as the reason of a verdict has them, with percentages."""
    return re.sub(r"-?\b[01]\.\d{4,6}\b", lambda match: share(float(match[0]), limit), text)
