"""Aliases from a SPARQL endpoint: labels and alternative labels of the objects, hundreds a query.

Fact table + endpoint -> Fact table with more answers. Polite (a pause between queries, back off when told to),
cached and resumable: each batch's names are written beside the output, and a second run asks only for the rest.
"""

import re
import time
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from knowpack.errors import FactsError
from knowpack.facts.columns import MIN_CHARS
from knowpack.facts.graphs.build import MAX_ALIASES
from knowpack.facts.graphs.http_query import Limits, check_address, post
from knowpack.facts.lint import stands_in
from knowpack.facts.values import RowError, text_of
from knowpack.progress import SILENT, Progress
from knowpack.records import Fact, rows, table
from knowpack.store import hash_of, read_json, write_json

Ask = Callable[[str], object]
"""SPARQL query -> the parsed JSON of SPARQL 1.1 Query Results."""
DBPEDIA = re.compile(r"https?://(?:([a-z-]+)\.)?dbpedia\.org/resource/(.+)")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and how to ask."""

    url: str
    language: str = "en"
    batch: int = 300
    """Entities a query."""
    pause_seconds: float = 1.0
    """Between queries."""


def query(entities: Iterable[str], language: str) -> str:
    """SPARQL for the names of these entities (IRIs, or Q-ids of Wikidata): their own, or of the same thing.

    The same thing is told by owl:sameAs, and for DBpedia, which Wikidata does not link, by the page in Wikipedia.
    """
    names = list(entities)
    values = " ".join(f"<{_iri(entity)}>" for entity in names)
    pages = " ".join(f"(<{_iri(entity)}> <{page}>)" for entity in names if (page := _page(entity)))
    of_page = "?page schema:about ?item . ?item rdfs:label|skos:altLabel ?name"
    by_page = f"UNION {{ VALUES (?entity ?page) {{ {pages} }} {of_page} }} " if pages else ""
    return (
        "PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#> PREFIX skos: <http://www.w3.org/2004/02/skos/core#> "
        "PREFIX owl: <http://www.w3.org/2002/07/owl#> PREFIX schema: <http://schema.org/> "
        f"SELECT DISTINCT ?entity ?name WHERE {{ VALUES ?entity {{ {values} }} "
        "{ ?entity rdfs:label|skos:altLabel ?name } "
        "UNION { ?item owl:sameAs ?entity . ?item rdfs:label|skos:altLabel ?name } "
        "UNION { ?entity owl:sameAs ?item . ?item rdfs:label|skos:altLabel ?name } "
        f'{by_page}FILTER(LANG(?name) = "{language}") }}'
    )


def add_aliases(
    facts: pl.DataFrame, endpoint: Endpoint, cache: Path, ask: Ask | None = None, progress: Progress = SILENT
) -> pl.DataFrame:
    """Facts with the names of their objects as further answers. cache: a folder, one JSON file a batch.

    Facts whose object is no IRI or Q-id stay as they are. Raises FactsError if none has one, or the endpoint fails.
    """
    entities = sorted({obj for obj in facts["object"].drop_nulls() if _is_entity(obj)})
    if not entities:
        raise FactsError("no fact has an IRI or a Q-id as its object; nothing to ask the endpoint for")
    if ask is None:
        check_address(endpoint.url)
        limits = Limits(endpoint.pause_seconds)
        ask = lambda text: post(endpoint.url, {"query": text, "format": "json"}, limits)  # noqa: E731
    names: dict[str, list[str]] = {}
    batches = [entities[start : start + endpoint.batch] for start in range(0, len(entities), endpoint.batch)]
    with progress.stage("aliases", len(entities)) as advance:
        has_queried = False
        for batch in batches:
            path = cache / f"{hash_of([endpoint.url, endpoint.language, batch])}.json"
            if path.is_file():
                aliases = read_json(path)
            else:
                if has_queried:
                    time.sleep(endpoint.pause_seconds)
                aliases = names_in(ask(query(batch, endpoint.language)), batch, endpoint.url)
                write_json(path, aliases)
                has_queried = True
            assert isinstance(aliases, dict)
            names |= aliases
            advance(len(batch))
    return table([_with(fact, names) for fact in rows(facts, Fact)], Fact)


def names_in(answer: object, entities: Iterable[str], url: str) -> dict[str, list[str]]:
    """Entity as asked -> names, sorted. Raises FactsError for what is no SPARQL result."""
    by_iri = {_iri(entity): entity for entity in entities}
    names_of: dict[str, set[str]] = {}
    try:
        for binding in answer["results"]["bindings"]:  # type: ignore[index]
            entity = by_iri.get(binding["entity"]["value"])
            name = text_of(binding["name"]["value"], "name")
            if entity is not None and name is not None:
                names_of.setdefault(entity, set()).add(name)
    except RowError:
        raise FactsError(f"{url} gave a name that is no text; is it the query endpoint?") from None
    except (KeyError, TypeError):
        raise FactsError(f"{url} gave no SPARQL results in JSON; is it the query endpoint?") from None
    return {entity: sorted(names) for entity, names in sorted(names_of.items())}


def _with(fact: Fact, names: Mapping[str, list[str]]) -> Fact:
    answers: dict[str, str] = {}
    for name in fact.answers:
        answers.setdefault(name.casefold(), name)
    for name in names.get(fact.object or "", []):
        if len(name) >= MIN_CHARS and len(answers) <= MAX_ALIASES and not stands_in(name, fact.question):
            answers.setdefault(name.casefold(), name)
    return replace(fact, answers=tuple(answers.values()))


def _is_entity(obj: str) -> bool:
    return obj.startswith(("http://", "https://")) or (obj[:1] == "Q" and obj[1:].isdigit())


def _page(entity: str) -> str | None:
    """DBpedia's resource -> its page in Wikipedia, escaped as MediaWiki does; None for anything else."""
    match = DBPEDIA.fullmatch(entity)
    if match is None:
        return None
    title = urllib.parse.quote(urllib.parse.unquote(match[2]), safe=";@$!*(),/~:")
    return f"https://{match[1] or 'en'}.wikipedia.org/wiki/{title}"


def _iri(entity: str) -> str:
    if entity[:1] == "Q" and entity[1:].isdigit():
        return f"http://www.wikidata.org/entity/{entity}"
    return "".join(c if c not in '<>"{}|^`\\ ' else urllib.parse.quote(c) for c in entity)
