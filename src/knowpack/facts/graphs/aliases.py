"""Other names of entities, offline: redirects and labels files of N-Triples lines.

path + wanted entities -> {entity: names}. The files are streamed; only lines about wanted entities are kept.
"""

import re
from collections.abc import Collection
from pathlib import Path

import polars as pl

from knowpack.errors import FactsError
from knowpack.facts.graphs import lines, ntriples
from knowpack.facts.iri_names import of_iri
from knowpack.progress import SILENT, Progress

REDIRECTS = ("<http://dbpedia.org/ontology/wikiPageRedirects>", "<http://www.w3.org/2002/07/owl#sameAs>")
LABELS = (
    "<http://www.w3.org/2000/01/rdf-schema#label>",
    "<http://www.w3.org/2004/02/skos/core#altLabel>",
    "<http://www.w3.org/2004/02/skos/core#prefLabel>",
    "<http://xmlns.com/foaf/0.1/name>",
)
LABEL_LINE = re.compile(
    rf'({ntriples.IRI}) ({ntriples.IRI}) "((?:[^"\\]|\\.)*)"(?:@([A-Za-z-]+)|\^\^\S+)? ?\.\s*(?:#.*)?'
)
ESCAPES = {"t": "\t", "b": "\b", "n": "\n", "r": "\r", "f": "\f", '"': '"', "'": "'", "\\": "\\"}


def redirects(
    path: Path, wanted: Collection[str], threads: int = 0, progress: Progress = SILENT
) -> dict[str, list[str]]:
    """Entity -> titles of the pages that redirect to it, sorted."""
    targets = pl.Series(sorted(wanted), dtype=pl.String)
    titles_of: dict[str, set[str]] = {}
    n_redirects = 0
    with progress.stage("redirects", None) as advance:
        for number, block in enumerate(lines.blocks(path, threads)):
            part = ntriples.split(block)
            if number == 0:
                ntriples.check_is_triples(part, path)
            triples = part.triples.filter(pl.col("p").is_in(REDIRECTS))
            n_redirects += len(triples)
            for title, target in triples.filter(pl.col("o").is_in(targets.implode())).select("s", "o").iter_rows():
                titles_of.setdefault(target, set()).add(of_iri(title))
            advance(part.counts["lines"])
    if not n_redirects:
        raise FactsError(f"{path} holds no redirects; expected lines with {REDIRECTS[0]}")
    return {target: sorted(titles) for target, titles in titles_of.items()}


def labels(path: Path, wanted: Collection[str], threads: int = 0, progress: Progress = SILENT) -> dict[str, list[str]]:
    """Entity -> its English (or unmarked) labels, in the order of the file."""
    subjects = pl.Series(sorted(wanted), dtype=pl.String).implode()
    labels_of: dict[str, list[str]] = {}
    n_labels = 0
    with progress.stage("labels", None) as advance:
        for block in lines.blocks(path, threads):
            frame = pl.DataFrame({"line": block.decode("utf-8", "replace").split("\n")})
            subject = pl.col("line").str.extract(r"^(<[^>]*>)")
            for line in frame.filter(subject.is_in(subjects))["line"]:
                label = LABEL_LINE.fullmatch(line)
                if label and label[2] in LABELS and (label[4] or "en").split("-")[0] == "en":
                    labels_of.setdefault(label[1], []).append(_text(label[3]))
            n_labels += block.count(b'> "')
            advance(len(frame))
    if not n_labels:
        raise FactsError(f"{path} holds no labels; expected lines with {LABELS[0]}")
    return {entity: list(dict.fromkeys(names)) for entity, names in labels_of.items()}


def _text(escaped: str) -> str:
    """A literal's text: escapes of RDF 1.1 N-Triples resolved."""

    def plain(match: re.Match[str]) -> str:
        code = match[1]
        return chr(int(code[1:], 16)) if code[0] in "uU" else ESCAPES.get(code, code)

    return re.sub(r"\\(u[0-9A-Fa-f]{4}|U00(?:0[0-9A-Fa-f]|10)[0-9A-Fa-f]{4}|.)", plain, escaped)
