"""A stream of triples -> candidate facts, one object each, in memory bounded by the entities.

Splits of triples (ntriples, triples) -> `Graph`. One pass over the dump: names become numbers, spilled to 32 files
by subject; what needs all triples of a subject (duplicates, single objects) is done file by file. Nothing depends
on the numbers themselves, so neither threads nor the order of lines change the facts.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from knowpack.errors import FactsError, StoreError
from knowpack.facts.graphs import drops, popularity
from knowpack.facts.graphs.draw import Draw, Keeper
from knowpack.facts.graphs.ntriples import Split
from knowpack.facts.graphs.numbers import INVALID, Names, canonical, hashes
from knowpack.facts.graphs.ontology import Ontology
from knowpack.progress import SILENT, Advance, Progress

N_PARTS = 32
OTHER_KIND = "subject or object of another kind"
RECORD = np.dtype([("s", "<u4"), ("o", "<u4"), ("p", "<u2")])


@dataclass(frozen=True, slots=True)
class Graph:
    """What a dump holds."""

    candidates: pl.DataFrame
    """s, p, o (names as in the dump), popularity, priority (uint64, the least is drawn first); sorted by it within
    p and popularity."""
    singles: pl.DataFrame
    """p, popularity, n: facts with one object, after the rules on pages."""
    report: dict[str, int]
    """What was read and what was dropped, by rule, in the order of the work."""
    cuts: popularity.Cuts
    entities: dict[str, int]
    """Entities of each popularity class."""


class Numbered(NamedTuple):
    """The two dictionaries of a dump and how each number maps to its canonical one."""

    entities: Names
    relations: Names
    entity_map: np.ndarray | None
    relation_map: np.ndarray | None


def read(
    splits: Iterable[Split],
    work: Path,
    draw: Draw,
    *,
    ontology: Ontology | None = None,
    iris: bool = True,
    progress: Progress = SILENT,
) -> Graph:
    """Read all triples and draw candidates.

    work: an empty folder for the spilled numbers, 10 bytes a triple. iris: names are IRIs in brackets.
    """
    entities, relations = Names("entities"), Names("relations")
    report: Counter[str] = Counter(dict.fromkeys(("lines", "literal", "blank node", "malformed", "triples"), 0))
    with progress.stage("triples", None) as advance:
        _spill(splits, entities, relations, work, report, advance)
    if not report["triples"]:
        raise FactsError("no triple in the dump has an entity as its object; expected lines of <s> <p> <o> .")
    maps = (canonical(entities), canonical(relations)) if iris else (None, None)
    numbered = Numbered(entities, relations, *maps)
    names = entities.all()
    kinds = ontology.kinds(relations.all().to_list()) if ontology else np.full((relations.n, 2), -1, dtype=np.int8)
    votes = np.zeros((entities.n, int(kinds.max()) + 2), dtype=np.uint32)
    with progress.stage("single objects", N_PARTS) as advance:
        counts = _single_objects(work, numbered, drops.pages(names), kinds, votes, report, advance)
    cuts = popularity.cuts(counts)
    classes = popularity.classes(counts, cuts)
    keys = hashes(names)
    del names
    with progress.stage("candidates", N_PARTS) as advance:
        keeper = Keeper(classes, keys, hashes(relations.all()), draw)
        drawn = _candidates(work, keeper, kinds, votes, report, advance)
    sizes = np.bincount(classes[counts > 0], minlength=3)
    return Graph(
        _named(_split_cell(drawn), numbered).sort("p", "popularity", "priority", "s", "o"),
        _named(_split_cell(keeper.counts()), numbered).sort("p", "popularity"),
        dict(report),
        cuts,
        {name: int(size) for name, size in zip(popularity.NAMES, sizes, strict=True)},
    )


def _spill(
    splits: Iterable[Split], entities: Names, relations: Names, work: Path, report: Counter[str], advance: Advance
) -> None:
    """Write (s, o, p) as numbers to the file of their subject."""
    files = [(work / str(part)).open("wb") for part in range(N_PARTS)]
    try:
        for split in splits:
            report.update(split.counts)
            advance(split.counts["lines"])
            if split.triples.is_empty():
                continue
            s = entities.run_codes(split.triples["s"])
            o, p = entities.codes(split.triples["o"]), relations.run_codes(split.triples["p"])
            if relations.n > 2**16:
                raise FactsError("over 65,536 relations in the dump; are its columns in another order?")
            report["triples"] += len(s)
            part = (s % N_PARTS).astype(np.uint8)
            order = np.argsort(part, kind="stable")
            records = np.empty(len(s), dtype=RECORD)
            records["s"], records["o"], records["p"] = s[order], o[order], p[order]
            ends = np.cumsum(np.bincount(part, minlength=N_PARTS)).tolist()
            for handle, start, end in zip(files, [0, *ends], ends, strict=False):
                records[start:end].tofile(handle)
    except OSError as error:
        raise StoreError(f"cannot write beside the facts: {error.strerror or error}; free some space") from None
    finally:
        for handle in files:
            handle.close()


def _single_objects(
    work: Path,
    numbered: Numbered,
    flags: np.ndarray,
    kinds: np.ndarray,
    votes: np.ndarray,
    report: Counter[str],
    advance: Advance,
) -> np.ndarray:
    """Replace each file by its (s, p, o) with one object for s and p; returns triples of each entity.

    Fills votes, (n_entities, n_kinds + 1): how often an entity stands where the ontology wants this kind of thing;
    the last column is where it wants none.
    """
    counts = np.zeros(numbered.entities.n, dtype=np.int64)
    skipped = drops.no_question(numbered.relations.all())
    for rule in (
        "malformed",
        "relations that make no question",
        "the same triple again",
        "several objects",
        *drops.PAGES,
    ):
        report[rule] += 0
    for part in range(N_PARTS):
        records = np.fromfile(work / str(part), dtype=RECORD)
        frame = pl.DataFrame({name: records[name] for name in ("s", "p", "o")})
        frame = _mapped(frame, numbered, report)
        keep = ~skipped[frame["p"].to_numpy()]
        report["relations that make no question"] += len(frame) - int(keep.sum())
        frame = frame.filter(pl.Series(keep))
        n = len(frame)
        frame = frame.unique()
        report["the same triple again"] += n - len(frame)
        _count(frame, counts, kinds, votes)
        n = len(frame)
        pair = pl.col("s").cast(pl.UInt64) * 2**16 + pl.col("p")
        frame = frame.filter(pair.is_unique())
        report["several objects"] += n - len(frame)
        frame = _without_pages(frame, flags, report)
        frame.write_ipc(work / f"{part}.arrow")
        (work / str(part)).unlink()
        advance(1)
    return counts


def _count(frame: pl.DataFrame, counts: np.ndarray, kinds: np.ndarray, votes: np.ndarray) -> None:
    """Add these triples to the counts and votes of their entities."""
    flat = votes.reshape(-1)
    for column, end in enumerate(("s", "o")):
        entity = frame[end].to_numpy()
        times = np.bincount(entity)
        counts[: len(times)] += times
        kind = kinds[frame["p"].to_numpy(), column] % votes.shape[1]  # -1 -> the last column
        np.add.at(flat, entity.astype(np.int64) * votes.shape[1] + kind, np.uint32(1))  # one index: numpy's fast path


def _mapped(frame: pl.DataFrame, numbered: Numbered, report: Counter[str]) -> pl.DataFrame:
    """Canonical numbers; triples with a term that is no IRI are malformed after all."""
    maps = {"s": numbered.entity_map, "o": numbered.entity_map, "p": numbered.relation_map}
    for name, to in maps.items():
        if to is not None:
            frame = frame.with_columns(pl.Series(name, to[frame[name].to_numpy()]))
    n = len(frame)
    frame = frame.filter(pl.all_horizontal(pl.col("s", "p", "o") != INVALID))
    report["malformed"] += n - len(frame)
    report["triples"] -= n - len(frame)
    return frame


def _without_pages(frame: pl.DataFrame, flags: np.ndarray, report: Counter[str]) -> pl.DataFrame:
    flag = np.maximum(flags[frame["s"].to_numpy()], flags[frame["o"].to_numpy()])
    for index, rule in enumerate(drops.PAGES, 1):
        report[rule] += int((flag == index).sum())
    return frame.filter(pl.Series(flag == 0))


def _candidates(
    work: Path, keeper: Keeper, kinds: np.ndarray, votes: np.ndarray, report: Counter[str], advance: Advance
) -> pl.DataFrame:
    """Go through the single-object facts; those whose subject or object is of another kind are dropped first."""
    votes[:, -1] = 0
    total = votes.sum(axis=1)
    report[OTHER_KIND] += 0
    for part in range(N_PARTS):
        frame = pl.read_ipc(work / f"{part}.arrow")
        p = frame["p"].to_numpy()
        other = np.zeros(len(frame), dtype=bool)
        for column, end in enumerate(("s", "o")):
            entity, kind = frame[end].to_numpy(), kinds[p, column]
            # the fact's own vote is no evidence; two others are, if under a tenth of them are for this kind
            mine, all_others = votes[entity, kind].astype(np.int64) - 1, total[entity].astype(np.int64) - 1
            other |= (kind >= 0) & (all_others >= 2) & (mine * 10 < all_others)
        report[OTHER_KIND] += int(other.sum())
        keeper.add(frame.filter(pl.Series(~other)))
        advance(1)
    return keeper.kept


def _split_cell(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(p=pl.col("cell") // 3, popularity=pl.col("cell") % 3).drop("cell")


def _named(frame: pl.DataFrame, numbered: Numbered) -> pl.DataFrame:
    """Numbers -> names."""
    names_of = {"s": numbered.entities, "p": numbered.relations, "o": numbered.entities}
    named = [
        pl.Series(end, names.names(frame[end].to_numpy())) for end, names in names_of.items() if end in frame.columns
    ]
    popular = pl.col("popularity").replace_strict(
        dict(enumerate(popularity.NAMES)), return_dtype=pl.Enum(popularity.NAMES)
    )
    return frame.with_columns(*named, popular)
