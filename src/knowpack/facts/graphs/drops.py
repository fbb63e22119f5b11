"""What makes no good question, rule by rule.

Three kinds: relations that ask nothing (`no_question`), pages that are no things (`pages`), and facts whose answer
is no answer (`of_fact`). The rules follow what Sun et al. 2024 clean by hand for DBpedia, stated generally.
"""

import re
from collections.abc import Sequence

import numpy as np
import polars as pl

from knowpack.facts.lint import stands_in, words

SKIPPED = re.compile(
    r"(www\.w3\.org/(1999/02/22-rdf-syntax-ns|2000/01/rdf-schema|2002/07/owl|2004/02/skos/core)#|purl\.org/dc/|"
    r"xmlns\.com/foaf/|purl\.org/linguistics/|/ontology/(wikiPage\w*|thumbnail|category|mainArticleForCategory|class|"
    r"rdf\w*|related|relation|person|map|grades|filename|signature|picture)>$)"
)
"""Relations between a thing and its type, page, picture, category or copy elsewhere."""

_TITLE = r"^<(?:[^>]*/resource/|[^>]*[/#])?"
PAGES = {
    "a list or index page": _TITLE
    + r"(?:Lists?|Index|Outline|Timeline|Glossary|Bibliography|Discography|Filmography)_of_",
    "a category, template or file page": _TITLE
    + r"(?:Category|Template|File|Image|Portal|Help|Wikipedia|Module|Draft):",
    "a disambiguation page": r"_\(disambiguation\)>$",
    "a part of a page (__)": r"__",
    "a page about a year": _TITLE + r"\d{4}s?(?:_in_[^>]*|_BC)?>$",
    "a site, not a thing": r"^<(?:https?://[^/>]+/?|mailto:[^>]*|https?://(?:www\.)?(?:facebook|twitter|youtube|imdb)\.com/[^>]*)>$",
}
"""Rule -> pattern of the IRIs that it drops, as subject or object."""

PLACEHOLDERS = {
    "computingPlatform": ("Cross-platform", "Computing platform", "Multiplatform"),
    "deathCause": ("Death", "Cause of death", "Natural causes", "Killing"),
    "typeOfElectrification": ("Volt", "Railway electrification system"),
    "battery": ("Kilowatt-hour", "Ampere-hour", "Electric battery"),
    "programmingLanguage": ("Programming language",),
    "operatingSystem": ("Cross-platform", "Operating system"),
    "gender": ("Gender",),
    "timeZone": ("Time zone",),
    "spouse": ("Marriage", "Divorce"),
    "formerTeam": ("Free agent",),
    "team": ("Free agent",),
}
"""Relation -> answers that stand for any answer."""

PAGE_ABOUT = re.compile(
    r"^(?:(?:\w+ )?(?:ranks?|cantons|districts|provinces|counties|municipalities|regions|islands|states|divisions|"
    r"departments|communes|languages|religions?|politics|government|economy|geography|demographics|history|culture|"
    r"ethnic groups|ethnicity|honours|awards|works|songs|films|symptoms|deaths?|killing|murder|assassination|"
    r"suicide|marriage|flag|coat of arms|seasons?|listings?|rankings?)) (?:of|in|by|and insignia of) \w",
    re.IGNORECASE,
)
"""Titles of pages about a group or a topic, where a single thing is asked for."""
HAVE_SUCH = (
    "anthem",
    "event",
    "battle",
    "isPartOfMilitaryConflict",
    "award",
    "notableWork",
    "knownFor",
    "previousEvent",
    "followingEvent",
    "governmentType",
    "ideology",
    "field",
    "mainInterest",
    "academicDiscipline",
)
"""Relations whose proper answers may look like that."""

OF_FACT = (
    "about itself",
    "answer in the question",
    "a name of one character",
    "a page about a topic",
    "a placeholder for any answer",
    "the relation's own name as answer",
    "a name that is a number or code",
)


def no_question(relations: pl.Series) -> np.ndarray:
    """Which relations ask nothing, (n,) bool."""
    return np.fromiter((bool(SKIPPED.search(name)) for name in relations), dtype=bool, count=len(relations))


def pages(entities: pl.Series) -> np.ndarray:
    """Index from 1 into PAGES of the first rule that drops each entity, 0 where none; (n,) uint8."""
    flags = np.zeros(len(entities), dtype=np.uint8)
    suspects = entities.str.contains("|".join(f"(?:{pattern})" for pattern in PAGES.values())).arg_true()
    some = entities.gather(suspects)
    for index, pattern in reversed(list(enumerate(PAGES.values(), 1))):
        flags[suspects.filter(some.str.contains(pattern)).to_numpy()] = index
    return flags


def of_fact(relation: str, label: str, subject: str, question: str, answers: Sequence[str]) -> str | None:
    """The rule of OF_FACT that drops a fact, None to keep it. Names are plain text; label: the relation's."""
    answer = answers[0]
    if min(len(subject), len(answer)) < 2:
        return "a name of one character"
    if words(subject) == words(answer):
        return "about itself"
    if any(stands_in(name, question) for name in answers):
        return "answer in the question"
    if answer in PLACEHOLDERS.get(relation, ()):
        return "a placeholder for any answer"
    if _singular(words(answer)) == _singular(words(label)):
        return "the relation's own name as answer"
    if relation not in HAVE_SUCH and PAGE_ABOUT.match(answer):
        return "a page about a topic"
    if re.fullmatch(r"[\d\W]+|[QPm]\.?\d+", answer) or re.fullmatch(r"[QP]\d+", subject):
        return "a name that is a number or code"
    return None


def _singular(text: str) -> str:
    return text.strip().removesuffix("s")
