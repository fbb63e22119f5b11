"""Graphs in other shapes: tab-separated triples, or a folder as OpenKE keeps it.

TSV of subject, relation, object | folder with entity2id, relation2id, train2id... -> splits of triples by name.
OpenKE's files begin with a count and give head, TAIL, relation.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from knowpack.errors import FactsError
from knowpack.facts.graphs import lines
from knowpack.facts.graphs.ntriples import Split

OPENKE = ("train2id.txt", "valid2id.txt", "test2id.txt")


def splits(path: Path, threads: int = 0) -> Iterator[Split]:
    """Triples of a TSV file, or of an OpenKE folder (or one of its *2id.txt files)."""
    if path.is_dir():
        return _openke(path, [path / name for name in OPENKE if (path / name).is_file()])
    if path.name.endswith("2id.txt"):
        return _openke(path.parent, [path])
    return _tsv(path, threads)


def _tsv(path: Path, threads: int) -> Iterator[Split]:
    n_before = 0
    for block in lines.blocks(path, threads):
        try:
            texts = block.decode("utf-8").removesuffix("\n").split("\n")  # a name may hold U+2028, a line end to Python
        except UnicodeDecodeError as error:
            line = n_before + block.count(b"\n", 0, error.start) + 1
            raise FactsError(f"{path}, line {line}: not UTF-8; save it as UTF-8") from None
        rows = [[cell.strip() for cell in text.split("\t")] for text in texts if text.strip()]
        good = [row for row in rows if len(row) == 3 and all(row)]
        if len(good) * 2 < len(rows) and not n_before:
            first = next(row for row in rows if len(row) != 3 or not all(row))
            raise FactsError(
                f"{path}: got a line of {len(first)} tab-separated cells ({str(first)[:80]}), "
                "expected subject, relation, object"
                + ("; for N-Triples: knowpack facts dbpedia" if first[0].startswith("<") else "")
            )
        n_before += len(texts)
        counts = Counter(lines=len(rows), malformed=len(rows) - len(good))
        yield Split(pl.DataFrame(good, schema=dict.fromkeys("spo", pl.String), orient="row"), counts, None)


def _openke(folder: Path, files: list[Path]) -> Iterator[Split]:
    if not files:
        raise FactsError(f"{folder} holds none of {', '.join(OPENKE)}; expected a folder as OpenKE keeps it")
    entities, relations = _names(folder / "entity2id.txt"), _names(folder / "relation2id.txt")
    for path in files:
        rows = [line.split() for line in _text(path).splitlines()[1:] if line.strip()]
        triples = []
        for number, row in enumerate(rows, 2):
            try:
                head, tail, relation = map(int, row)
                triples.append((entities[head], relations[relation], entities[tail]))
            except (ValueError, KeyError):
                raise FactsError(f"{path}, line {number}: got {row}, expected ids: head tail relation") from None
        frame = pl.DataFrame(triples, schema=dict.fromkeys("spo", pl.String), orient="row")
        yield Split(frame, Counter(lines=len(frame)), None)


def _names(path: Path) -> dict[int, str]:
    names = {}
    for number, line in enumerate(_text(path).splitlines()[1:], 2):
        name, _, index = line.strip().rpartition("\t" if "\t" in line else " ")
        if not line.strip():
            continue
        if not name or not index.isdigit():
            raise FactsError(f"{path}, line {number}: got {line[:80]!r}, expected a name and its id")
        names[int(index)] = name.strip()
    return names


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FactsError(f"cannot read {path}: {error}") from None
