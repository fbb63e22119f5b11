"""The data card of a fact table made from a graph: what is in it, what was dropped and why, from which files.

Graph + Built -> `Card` as JSON beside the facts and as Markdown. Counts only; nothing is estimated.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import polars as pl

from knowpack.facts.graphs.build import Built, Settings
from knowpack.facts.graphs.graph import Graph
from knowpack.facts.graphs.ontology import Ontology
from knowpack.facts.graphs.popularity import NAMES
from knowpack.store import hash_file, hash_table

Card = dict[str, object]


def card(graph: Graph, built: Built, ontology: Ontology, settings: Settings, inputs: Mapping[str, Path | None]) -> Card:
    """All counts of one table. inputs: what for -> file; folders and None are not hashed."""
    facts = built.facts
    n_aliases = facts["answers"].list.len() - 1
    classes = sorted({*facts["domain"].drop_nulls(), *facts["range"].drop_nulls()})
    return {
        "facts": len(facts),
        "facts_hash": hash_table(facts),
        "settings": asdict(settings),
        "by popularity": {name: int((facts["popularity"] == name).sum()) for name in NAMES},
        "by relation": _counts(facts, "relation"),
        "by domain": _counts(facts, "domain"),
        "wordings": dict(sorted(built.wordings.items())),
        "aliases": {"facts with an alias": int((n_aliases > 0).sum()), "aliases": int(n_aliases.sum())},
        "entities": graph.entities,
        "popularity cuts": {"tail: triples at most": graph.cuts.tail, "torso: triples at most": graph.cuts.torso},
        "read": graph.report,
        "facts with one object": int(graph.singles["n"].sum()),
        "candidates drawn": len(graph.candidates),
        "candidates dropped": built.dropped,
        "superclasses": {name: list(ontology.chain(name)) for name in classes},
        "inputs": {
            what: {"file": path.name, "sha256": hash_file(path)}
            for what, path in inputs.items()
            if path and path.is_file()
        },
    }


def _counts(facts: pl.DataFrame, column: str) -> dict[str, int]:
    counted = facts[column].drop_nulls().value_counts().sort(["count", column], descending=[True, False])
    return dict(counted.iter_rows())


def markdown(data: Card) -> str:
    """The card as a page: a table for each mapping of counts, a line for each single figure."""
    parts = ["# Data card\n"]
    for name, value in data.items():
        if name == "superclasses":
            continue
        if isinstance(value, dict):
            rows = list(value.items())
            table = _table(rows[:60])
            more = f"\n({len(rows) - 60} more in the JSON beside this page)\n" if len(rows) > 60 else ""
            parts.append(f"## {name[0].upper()}{name[1:]} ({len(rows)})\n\n{table}{more}")
        else:
            parts.append(f"- {name}: {_cell(value)}\n")
    return "\n".join(parts)


def _table(rows: Sequence[tuple[str, object]]) -> str:
    return "| | |\n|---|---:|\n" + "".join(f"| {name} | {_cell(value)} |\n" for name, value in rows)


def _cell(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(map(str, value.values()))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
