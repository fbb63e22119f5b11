"""What a cell of a table holds, as text: missing is missing, 1990.0 is 1990, a list that is written out is read.

value as read -> text, or texts. What cannot be text raises RowError with a reason to count and a detail to show.
"""

import ast
import io
import json
import math
import re
import tokenize
from collections.abc import Callable, Iterable
from datetime import date, datetime
from decimal import Decimal

Value = object
"""Text, number, list, mapping, bytes, date or None: what the file held."""
_MIDNIGHT = re.compile(r"(\d{4}-\d\d-\d\d)[ T]00:00:00(?:\.0+)?")  # a day, as spreadsheets and pandas write it
LONGEST_LIST = 100_000
"""Characters of a list that is written out as text; a longer one is no list of names."""


class RowError(Exception):
    """A row that makes no fact: (reason to count, detail to show)."""


class RepeatedError(ValueError):
    """A JSON object that names a key twice."""


def text_of(value: Value, column: str) -> str | None:
    """Text, stripped; None where it is missing or empty. A list or mapping is no text."""
    if value is None:
        return None
    if isinstance(value, list | dict | tuple | set):
        raise RowError(f"column {column} holds a {type(value).__name__}, expected text", "")
    if isinstance(value, bytes):
        try:
            text = value.decode("utf-8")
        except UnicodeDecodeError:
            raise RowError(f"column {column} holds bytes that are not UTF-8", f": {value[:20]!r}") from None
    else:
        text = _written(value)
    if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
        raise RowError(f"column {column} holds half a character (a lone surrogate)", f": {text[:40]!a}")
    day = _MIDNIGHT.fullmatch(text.strip())
    return day[1] if day else text.strip() or None


def texts_of(value: Value, column: str, separator: str | None) -> list[str]:
    """A list, one written as JSON or Python, or text (split by the separator) -> stripped texts; "" for empty ones."""
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return []
    if isinstance(value, str) and value.strip()[:1] + value.strip()[-1:] in ("[]", "()"):
        value = _literal(value.strip(), column)
    if isinstance(value, str) and separator:
        value = value.split(separator)
    items = value if isinstance(value, list | tuple) else [value]
    return [text_of(item, column) or "" for item in items]


def parsed(text: str) -> object:
    """JSON, NaN and Infinity as None. Raises ValueError in one line: no JSON, nested too deep, a key named twice."""
    try:
        return json.loads(text, parse_constant=lambda _: None, object_pairs_hook=_once)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _once(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    result: dict[str, object] = {}
    for key, value in pairs:
        if key in result:
            raise RepeatedError(f"the key {key[:80]!r} stands twice in one object")
        result[key] = value
    return result


def _written(value: Value) -> str:
    if isinstance(value, float):
        if not math.isfinite(value):
            return ""
        return str(int(value)) if value.is_integer() else str(value)
    if isinstance(value, Decimal):
        return str(int(value)) if value.is_finite() and value == value.to_integral_value() else str(value)
    if isinstance(value, datetime):
        midnight = (value.hour, value.minute, value.second, value.microsecond) == (0, 0, 0, 0)
        return value.date().isoformat() if midnight else value.isoformat(sep=" ")
    return value.isoformat() if isinstance(value, date) else str(value)


def _literal(text: str, column: str) -> Value:
    """A list as JSON or as Python prints it; the text itself where it is neither."""
    readers: tuple[Callable[[str], object], ...] = (parsed, _python)
    if len(text) > LONGEST_LIST:
        raise RowError(f"column {column} holds a list of over {LONGEST_LIST} characters", f" ({len(text)})")
    for read in readers:
        try:
            value = read(text)
        except RepeatedError:
            raise RowError(f"column {column} holds JSON that names a key twice", f": {text[:40]!r}") from None
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError, tokenize.TokenError) as error:
            if "too deep" in str(error) or isinstance(error, MemoryError | RecursionError):
                raise RowError(f"column {column} holds a list that is nested too deep", f": {text[:20]!r}...") from None
            continue
        if isinstance(value, list | tuple):
            return value
    return text


def _python(text: str) -> object:
    """A Python literal; ['a' 'b'], as numpy prints an array, is two texts, not one."""
    value = ast.literal_eval(text)
    if isinstance(value, list | tuple):
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
        strings = [ast.literal_eval(token.string) for token in tokens if token.type == tokenize.STRING]
        if len(strings) > len(value):
            return strings
    return value
