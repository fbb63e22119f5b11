"""A text in the form that the default grader compares: the same value written in two ways gives the same tokens.

text -> lower-case tokens, one space between them. Kept: the sign of a number, + and # behind a name (C++, C#), the
marks of kana and of Indic scripts. Dropped: accents, punctuation, the, and a or an at the start (Vitamin A). Numbers
and dates are written in one way: 1,000,000 and 1 million are 1000000, 14th of March 1990 and 1990-03-14 are march 14
1990.
"""

import unicodedata
from decimal import Decimal
from functools import lru_cache

import regex

MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_ARTICLES = ("a", "an")
_MONTH = rf"({'|'.join(MONTHS)}|sept|[a-z]{{3}})\b\.?"
_FULL_NAME = {name[:3]: name for name in MONTHS} | {name: name for name in MONTHS} | {"sept": "september"}
_TH = r"(?:st|nd|rd|th)?"

# Marks that may be written or left out: accents of Latin, Greek and Cyrillic, points of Hebrew and Arabic.
_OPTIONAL_MARKS = regex.compile(
    r"(?V1)[[\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed"
    r"\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]&&\p{M}]"
)
_DIGIT = regex.compile(r"\d")
_SIGNS = str.maketrans({"−": "-", "–": "-", "‒": "-", "‐": "-", "♯": "#", "’": "'"})
_BEFORE_POWER = regex.compile(r"(?<=\d)(?=[⁰¹²³⁴-⁹½¼¾⅓⅔])")  # else 10² would become 102
_ABBREVIATION = regex.compile(
    r"(?<![\w.'])(?:\p{L}\.(?:\s?\p{L}\.)+(?:\p{L}(?![\w.]))?|(?:\p{L}\.)+\p{L}(?![\w.]))"
)  # u.s. u.s j. r. r.
_DAY_MONTH = regex.compile(rf"(?<![\w.-])(\d{{1,2}}){_TH}(?: of)? {_MONTH}")
_MONTH_DAY = regex.compile(rf"(?<!\w){_MONTH} (?:the )?(\d{{1,2}}){_TH}(?![\w])")
_MONTH_YEAR = regex.compile(rf"(?<!\w){_MONTH},? (?=\d{{4}}(?!\w))")
_ISO = regex.compile(r"(?<![\w-])(\d{4})-(\d\d)-(\d\d)(?:[t ]00:00(?::00(?:\.0+)?)?z?)?(?![\w-])")
_SLASHED = regex.compile(r"(?<![\w/.])(\d{1,2})([/.])(\d{1,2})\2(\d{4})(?![\w/])")
_GROUPED = regex.compile(
    r"(?<![\w.,'])\d{1,3}(?:(?:,\d{3})+(?![\w]|[,']\d)|(?:'\d{3})+(?![\w]|[,']\d)|(?: \d{3})+(?![\w]|[ ,']\d)"
    r"|(?:\.\d{3}){2,}(?![\w]|[.,]\d))"
)  # 1,000,000.00 1'000'000 1 000 000 1.000.000
_NO_FRACTION = regex.compile(r"(?<![\d.])(\d+)\.0+(?![\d.]*\d)")
_BARE_FRACTION = regex.compile(r"(?<![\w.])\.(?=\d)")
_SCALED = regex.compile(r"(?<![\w.])(\d+(?:\.\d+)?) (thousand|million|billion|trillion)(?!\w)")
_SCALES = {"thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_MINUS = regex.compile(r"(?<!\w)minus (?=\d)")
# A number with its sign and its points; else letters, digits and marks, with + or # behind the last letter.
_TOKEN = regex.compile(
    r"(?:(?<!\w)-)?\d+(?:\.\d+)+(?!\w)|(?:(?<!\w)-(?=\d))?[\p{L}\p{M}\p{N}]+(?:(?<=\p{L})[+#]+(?!\p{L}))?"
)


@lru_cache(maxsize=200_000)
def normalise(text: str) -> str:
    """The text's tokens, a space between them; "" where nothing is left to compare (marks, an emoji)."""
    plain = folded(text)
    if "." in plain:
        plain = _ABBREVIATION.sub(_joined, plain)
    if _DIGIT.search(plain):
        plain = numbers_as_values(dates_as_values(plain))
    words = _TOKEN.findall(plain)
    kept = [word for word in words if word != "the"]
    if len(kept) > 1 and kept[0] in _ARTICLES:
        del kept[0]
    return " ".join(kept or words)


def folded(text: str) -> str:
    """Lower case, compatibility forms, no accents, signs written in one way, one space between words."""
    plain = text.casefold()
    if not plain.isascii():
        plain = unicodedata.normalize("NFKD", _BEFORE_POWER.sub(" ", plain)).translate(_SIGNS)
        plain = unicodedata.normalize("NFC", _OPTIONAL_MARKS.sub("", plain))
    return " ".join(plain.split())


def dates_as_values(plain: str) -> str:
    """Dates in a folded text as month, day, year. A date that can be read in two ways (3/4/1990) stays as it is."""
    if "-" in plain:
        plain = _ISO.sub(lambda m: _date(m[0], int(m[3]), int(m[2]), m[1]), plain)
    if "/" in plain or "." in plain:
        plain = _SLASHED.sub(_slashed, plain)
    plain = _DAY_MONTH.sub(lambda m: _named(m[0], int(m[1]), m[2]), plain)
    plain = _MONTH_DAY.sub(lambda m: _named(m[0], int(m[2]), m[1]), plain)
    return str(_MONTH_YEAR.sub(lambda m: f"{_FULL_NAME[m[1]]} " if m[1] in _FULL_NAME else m[0], plain))


def numbers_as_values(plain: str) -> str:
    """Numbers in a folded text without groups, with their sign, a fraction of 0 dropped (1990.0); 3.10 is not 3.1."""
    plain = _MINUS.sub("-", plain)
    plain = _GROUPED.sub(lambda m: regex.sub(r"[ ,.']", "", m[0]), plain)
    if "." in plain:
        plain = _BARE_FRACTION.sub("0.", _NO_FRACTION.sub(r"\1", plain))
    return str(_SCALED.sub(_unscaled, plain))


def two_dates(text: str) -> bool:
    """Does it hold a date that can be read in two ways?"""
    return any(_day_first(m) is None for m in _SLASHED.finditer(folded(text)))


def _joined(match: "regex.Match[str]") -> str:
    return str(match[0]).replace(".", "").replace(" ", "")


def _date(as_written: str, day: int, month: int, year: str) -> str:
    return f"{MONTHS[month - 1]} {day} {year}" if 1 <= day <= 31 and 1 <= month <= 12 else as_written


def _named(as_written: str, day: int, month: str) -> str:
    return f"{_FULL_NAME[month]} {day} " if 1 <= day <= 31 and month in _FULL_NAME else as_written


def _day_first(match: "regex.Match[str]") -> bool | None:
    """None: either way is a date. With points the day stands first (14.3.1990)."""
    first, second = int(match[1]), int(match[3])
    if match[2] == "." or first > 12 or first == second:
        return True
    return False if second > 12 else None


def _slashed(match: "regex.Match[str]") -> str:
    day_first = _day_first(match)
    if day_first is None:
        return str(match[0])
    day, month = (match[1], match[3]) if day_first else (match[3], match[1])
    return _date(match[0], int(day), int(month), match[4])


def _unscaled(match: "regex.Match[str]") -> str:
    value = Decimal(match[1]).scaleb(_SCALES[match[2]])
    return str(int(value)) if value == value.to_integral_value() else str(match[0])
