"""Whether an answer stands in a line of text, by the default grader's rules.

(answer, line) -> found or not. An answer is found as whole tokens. Two kinds are found in another way: an answer in a
script without spaces (東京 in 東京です), and one that is a common word (No, US, it), which counts only where it stands
for the answer.
"""

from functools import lru_cache

import regex

from knowpack.measure.common_words import COMMON, YES_NO
from knowpack.measure.normalised import MONTHS, folded, normalise, two_dates

_SPEAKS = r"(?:i|it|he|she|they|we|you|this|that|there)\b"
_FREE = regex.compile(r"[\p{Han}\p{Hiragana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]")
_KATAKANA = regex.compile(r"[\p{Katakana}ー]")
_HANGUL = regex.compile(r"\p{Hangul}")
_PARTICLE = regex.compile(
    r"(?:은|는|이|가|을|를|의|에|에서|에게|로|으로|와|과|도|만|입니다|이다|이에요|예요|이었다|였다)(?: |$)"
)
_MARK = regex.compile(r"\p{M}")
RULES = {
    "yes_no": "yes or no: counts only where it is the answer itself",
    "common_word": "a common word: counts only alone, in capitals or in quotes",
    "no_spaces": "a script without spaces: found inside longer words",
    "number": "a number: compared as a value, found wherever the same number stands",
    "date": "a date: compared as a value, whatever its order",
    "two_dates": "a date that can be read in two ways (3/4/1990): write the month as a word",
    "sign": "a sign that counts: minus, + or #",
    "abbreviation": "an abbreviation with points: the same as without (U.S. and US)",
    "article": "a or an inside: it counts (Vitamin A)",
    "kana": "kana: marks count, and a word of katakana is found whole",
}
"""Kinds of answers that the default grader reads by a rule of their own."""


def contains(answer: str, line: str, normalised: str) -> bool:
    """Does the answer stand in the line? normalised: the line, normalised."""
    answer_text = normalise(answer)
    if not answer_text:
        return False
    if answer_text in COMMON:
        return normalised == answer_text or _stands_out(answer, answer_text, line)
    if f" {answer_text} " in f" {normalised} ":
        return True
    return not normalised.isascii() and _inside(answer_text, normalised)


def rules(answer: str) -> list[str]:
    """The keys of RULES that this answer is read by."""
    plain, text = folded(answer), normalise(answer)
    bare = text.lstrip("-").replace(".", "")
    dated = regex.search(rf"(?<!\w)(?:{'|'.join(MONTHS)}) \d", text)
    holds = {
        "yes_no": text in YES_NO,
        "common_word": text in COMMON - YES_NO,
        "no_spaces": bool(_FREE.search(text)),
        "number": bare.isdecimal(),
        "date": bool(dated),
        "two_dates": two_dates(answer),
        "sign": bool(regex.search(r"(?:^| )-\d|[+#](?: |$)", text)),
        "abbreviation": bool(regex.search(r"(?<!\w)\p{L}\. ?\p{L}(?!\p{L})", plain)),
        "article": bool({"a", "an"} & set(text.split()[1:])),
        "kana": bool(regex.search(r"[\p{Hiragana}\p{Katakana}]", text)),
    }
    return [name for name in RULES if holds[name]]


def _stands_out(answer: str, answer_text: str, line: str) -> bool:
    """A common word as the answer: said first and cut off, said behind "is", in quotes, or as it is written."""
    word, plain = regex.escape(answer_text), folded(line)
    if any(pattern.search(plain) for pattern in _as_the_answer(word)):
        return True
    if answer_text in YES_NO:
        return regex.match(rf"{word} {_SPEAKS}", plain) is not None
    exact = answer.strip()
    if not exact.isalpha() and regex.search(rf"(?<!\w){regex.escape(exact)}(?!\w)", line):  # .is, U.S., The Who
        return True
    if exact.startswith("."):
        return False
    capitals = "[.]?".join(answer_text.upper())
    if len(answer_text) > 1 and not line.isupper() and regex.search(rf"(?<![\w']){capitals}(?!\w)", line):
        return True
    return exact[:1].isupper() and regex.search(rf"(?<=[\w,]\s){regex.escape(exact)}(?!\w)", line) is not None


@lru_cache(maxsize=1_000)
def _as_the_answer(word: str) -> "tuple[regex.Pattern[str], ...]":
    """Patterns on a folded line: at its start and cut off; behind is, code or a colon and cut off; in quotes."""
    return (
        regex.compile(rf"^(?:the )?{word}(?:$|[,;:!?]|\.(?! ?\d))"),
        regex.compile(rf"(?:\b(?:is|are|was|be|code|symbol)|[:=]) {word}(?:$|[.,;:!?)])"),
        regex.compile(rf"[\"'`(*“‘]{word}[\"'`)*”’]"),
    )


def _inside(answer_text: str, normalised: str) -> bool:
    """Wanted somewhere in the normalised line, at a place where a word may begin and end."""
    at = normalised.find(answer_text)
    while at >= 0:
        end = at + len(answer_text)
        begins = at == 0 or _between(normalised[at - 1], answer_text[0])
        ends = end == len(normalised) or _between(answer_text[-1], normalised[end])
        if begins and (ends or (_HANGUL.match(answer_text[-1]) and _PARTICLE.match(normalised, end))):
            return True
        at = normalised.find(answer_text, at + 1)
    return False


def _between(left: str, right: str) -> bool:
    """May a word end after left and another begin with right? Katakana stands in words of its own, which are whole."""
    if left == " " or right == " ":
        return True
    if _MARK.match(right):
        return False
    katakana = bool(_KATAKANA.match(left)), bool(_KATAKANA.match(right))
    if any(katakana):
        return not all(katakana)
    return bool(_FREE.match(left) or _FREE.match(right))
