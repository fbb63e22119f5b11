"""A fact before it is worded, and what all parts of the build read.

The tables by hand: choices.yaml (what to leave out, names, aliases), subdivisions.yaml, wordings.yaml.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Draft:
    """One subject, one relation, one object."""

    relation: str
    subject: str
    object: str
    aliases: tuple[str, ...] = ()
    shown: str | None = None
    """The subject as it stands in a sentence ("the Netherlands"); None: as it is."""
    weight: float = 0.0
    """How well known the subject is: inhabitants, speakers; larger is better known."""
    places: Mapping[str, str] = field(default_factory=dict)
    """Other blanks of the wordings: kind, country."""


def table(name: str) -> dict[str, Any]:
    """A YAML file beside this one."""
    data: dict[str, Any] = yaml.safe_load((HERE / f"{name}.yaml").read_text(encoding="utf-8"))
    return data


def plain(name: str) -> str:
    """Lower case without accents or punctuation: what makes two names one."""
    folded = unicodedata.normalize("NFKD", name.casefold().replace("’", "").replace("'", ""))
    return " ".join("".join(c if c.isalnum() else " " for c in folded if not unicodedata.combining(c)).split())


def unaccented(name: str) -> str:
    """Without diacritics; letters that have no decomposition (ł, ø, ß) by hand."""
    by_hand = str.maketrans(
        {
            "ł": "l",
            "Ł": "L",
            "ø": "o",
            "Ø": "O",
            "ß": "ss",
            "đ": "d",
            "ı": "i",
            "æ": "ae",
            "ð": "d",
            "Ð": "D",
            "Đ": "D",
            "ʻ": "'",
        }
    )
    folded = unicodedata.normalize("NFKD", name.translate(by_hand))
    return "".join(c for c in folded if not unicodedata.combining(c))


def with_plain(names: list[str]) -> tuple[str, ...]:
    """The names, and each without its diacritics where that differs; each once, case apart."""
    every = [form for name in names for form in (name, unaccented(name))]
    kept: dict[str, str] = {}
    for name in every:
        if len(name) > 1:
            kept.setdefault(name.casefold(), name)
    return tuple(kept.values())
