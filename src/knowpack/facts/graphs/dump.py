"""From files to facts and their card: the chain of this room for knowledge graphs.

paths + settings -> parquet, card.json, card.md, written only when all is done.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from knowpack.facts import wordings
from knowpack.facts.graphs import aliases, build, graph, lines, ntriples, triples
from knowpack.facts.graphs import data_card as cards
from knowpack.facts.graphs import ontology as ontologies
from knowpack.facts.graphs.draw import Draw
from knowpack.progress import SILENT, Progress
from knowpack.store import lock, write_json, write_table, write_text


@dataclass(frozen=True, slots=True)
class Sources:
    """The files of a graph."""

    triples: Path
    """N-Triples, plain or packed; for `triples`, a TSV file or an OpenKE folder."""
    ontology: Path | None = None
    redirects: Path | None = None
    labels: Path | None = None
    templates: Path | None = None
    """The user's own wordings; relations that it lacks keep ours."""
    threads: int = 0
    """For decompression; 0 = all cores. Changes no byte of the result."""


def from_ntriples(sources: Sources, settings: build.Settings, out: Path, progress: Progress = SILENT) -> cards.Card:
    """Facts of an N-Triples dump -> out, out.card.json, out.card.md."""
    return _make(sources, settings, out, ntriples.stream(sources.triples, sources.threads), progress, iris=True)


def from_triples(sources: Sources, settings: build.Settings, out: Path, progress: Progress = SILENT) -> cards.Card:
    """The same for tab-separated triples or an OpenKE folder."""
    return _make(sources, settings, out, triples.splits(sources.triples, sources.threads), progress, iris=False)


def _make(
    sources: Sources,
    settings: build.Settings,
    out: Path,
    splits: Iterator[ntriples.Split],
    progress: Progress,
    *,
    iris: bool,
) -> cards.Card:
    templates = wordings.load("bear") | wordings.load("dbpedia")
    if sources.templates:
        templates |= wordings.load(str(sources.templates))
    ontology = ontologies.read(sources.ontology) if sources.ontology else ontologies.Ontology()
    for later in filter(None, (sources.labels, sources.redirects)):
        lines.kind_of(later)  # a wrong file is told now, not after the dump
    drawing = Draw(settings.candidates(), settings.seed)
    with _folder(out) as work:
        triples = graph.read(splits, work, drawing, ontology=ontology, iris=iris, progress=progress)
    labels, redirects = sources.labels, sources.redirects
    built = build.build(
        triples,
        templates,
        ontology,
        settings,
        (lambda wanted: aliases.labels(labels, wanted, sources.threads, progress)) if labels else None,
        (lambda wanted: aliases.redirects(redirects, wanted, sources.threads, progress)) if redirects else None,
    )
    inputs = {
        "triples": sources.triples,
        "ontology": sources.ontology,
        "redirects": redirects,
        "labels": labels,
        "templates": sources.templates,
    }
    data = cards.card(triples, built, ontology, settings, inputs)
    write(out, built.facts, data)
    return data


def write(out: Path, facts: pl.DataFrame, data: cards.Card) -> None:
    """The card first: where the facts exist, their card does too."""
    write_json(out.with_suffix(".card.json"), data)
    write_text(out.with_suffix(".card.md"), cards.markdown(data))
    write_table(out, facts)


@contextmanager
def _folder(out: Path) -> Iterator[Path]:
    """A folder beside the output for spilled numbers, removed at the end; what a killed run left goes first."""
    folder = out.with_name(f".{out.name}.work")
    with lock(folder):
        try:
            for left in folder.iterdir():
                if left.name != ".lock":
                    left.unlink()
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
