"""IRIs as names that a person would write.

<http://dbpedia.org/resource/Alien_(film)> -> "Alien (film)"; of it the bare name "Alien". Percent-escapes are
decoded where they are valid UTF-8, underscores are spaces.
"""

import re
from urllib.parse import unquote

PARENTHESIS = re.compile(r"\s*\(([^()]*)\)$")
KIND = re.compile(r"^(.+) (?:languages?|music|people)$")
COMMA = re.compile(r"^(.+?), \w")


def of_iri(iri: str) -> str:
    """The last part of an IRI as text; a name that is no IRI stays, but for underscores."""
    text = iri
    if iri.startswith("<") and iri.endswith(">"):
        text = iri[1:-1]
        _, mark, title = text.partition("/resource/")  # titles may hold slashes: AC/DC
        text = title if mark else re.split(r"[/#]", text.rstrip("/#"))[-1]
        decoded = unquote(text, errors="replace")
        text = text if "\ufffd" in decoded else decoded
    return " ".join(text.replace("_", " ").split())


def bare(name: str) -> str:
    """Without what tells it from its namesakes: "Alien (film)" -> "Alien"."""
    short = PARENTHESIS.sub("", name)
    return short if len(short) > 1 else name


def disambiguator(name: str) -> str | None:
    """What stands in the closing parenthesis, None where there is none."""
    match = PARENTHESIS.search(name)
    return match[1] if match else None


def without_kind(name: str) -> str | None:
    """A name that says its kind without it: "Russian language" -> "Russian", "Hip hop music" -> "Hip hop"."""
    match = KIND.match(name)
    return match[1] if match and len(match[1]) > 2 else None


def before_comma(name: str) -> str | None:
    """A place's own name: "Springfield, Illinois" -> "Springfield"."""
    match = COMMA.match(name)
    return match[1] if match and len(match[1]) > 1 else None


def spaced(local: str) -> str:
    """camelCase as words: "birthPlace" -> "birth place"."""
    return " ".join(re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[^A-Z_\s]+", local)).lower()
