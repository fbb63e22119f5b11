"""A made-up dump of DBpedia's size and shape: triples.nt.bz2 and ontology.nt in a folder, for kg_dump.py.

Whole (share 1): 22.8M lines, about 6M entities, 650 relations; sorted by subject, power-law popularity, a quarter of
the subjects' relations with several objects, names with parentheses, commas, percent-escapes and other scripts,
some literals and broken lines.
"""

import bz2
import json
from pathlib import Path

import numpy as np
import polars as pl

LINES = 22_800_000
ENTITIES = 6_000_000
RELATIONS = 650
SYLLABLES = [
    "ba",
    "ren",
    "to",
    "li",
    "mar",
    "ko",
    "ven",
    "sta",
    "dor",
    "mi",
    "gra",
    "ne",
    "sol",
    "thu",
    "par",
    "wick",
    "ham",
    "jo",
    "quel",
    "ry",
    "fos",
    "el",
    "an",
    "bur",
    "ches",
    "ter",
    "ia",
    "ov",
    "os",
    "kin",
]
SCRIPTS = ["é", "ö", "ñ", "ł", "š", "東京", "Москва", "ü"]
DBR, DBO = "http://dbpedia.org/resource/", "http://dbpedia.org/ontology/"
RDFS = "http://www.w3.org/2000/01/rdf-schema#"


def words(rng: np.random.Generator, n: int) -> pl.Series:
    """Made-up words of two to four syllables."""
    parts = pl.Series(SYLLABLES)
    columns = [parts.gather(rng.integers(0, len(parts), n)) for _ in range(4)]
    lengths = pl.Series(rng.integers(2, 5, n))
    frame = pl.DataFrame({str(i): column for i, column in enumerate(columns)}).with_columns(n=lengths)
    rest = [pl.when(pl.col("n") > i).then(pl.col(str(i))).otherwise(pl.lit("")) for i in (2, 3)]
    return frame.select(word=pl.concat_str("0", "1", *rest).str.to_titlecase())["word"]


def entities(rng: np.random.Generator, n: int) -> pl.Series:
    """IRIs of n entities; the index at the end of every third keeps them apart."""
    vocabulary = words(rng, 60_000)
    pick = [vocabulary.gather((60_000 * rng.random(n) ** 2).astype(np.int64)) for _ in range(3)]
    frame = pl.DataFrame({"a": pick[0], "b": pick[1], "c": pick[2]}).with_columns(
        kind=pl.Series(rng.random(n)), number=pl.int_range(n), script=pl.Series(SCRIPTS).gather(rng.integers(0, 8, n))
    )
    two = pl.concat_str("a", pl.lit("_"), "b")
    three = pl.concat_str(two, pl.lit("_"), "c")
    shapes = [  # share of the names, shape
        (0.45, three),
        (0.15, pl.concat_str(three, pl.lit("_("), "number", pl.lit(")"))),
        (0.12, pl.concat_str(two, pl.lit(",_"), "c", "number")),
        (0.03, pl.concat_str("a", pl.lit("%27s_"), three)),
        (0.04, pl.concat_str(two, "script", "number")),
        (0.005, pl.concat_str(three, pl.lit("__1"))),
        (0.005, pl.concat_str(pl.lit("List_of_"), three)),
    ]
    name, below = pl.concat_str(two, "number"), sum(share for share, _ in shapes)
    for share, shape in reversed(shapes):
        name = pl.when((pl.col("kind") >= below - share) & (pl.col("kind") < below)).then(shape).otherwise(name)
        below -= share
    return frame.select(iri=pl.concat_str(pl.lit(f"<{DBR}"), name, pl.lit(">")))["iri"]


def relations(rng: np.random.Generator, n: int) -> pl.Series:
    """IRIs of n relations: those with wordings first, then made-up ones."""
    from knowpack.facts import wordings

    known = list(wordings.load("dbpedia"))[:n]
    made = words(rng, 2 * n).str.to_lowercase().unique(maintain_order=True).head(n - len(known)).to_list()
    return pl.Series([f"<{DBO}{name}>" for name in [*known, *(name + "Thing" for name in made)]])


def make(folder: Path, share: float, seed: int = 0) -> None:
    """Write the dump and a small ontology."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    n_lines, n_entities = int(LINES * share), int(ENTITIES * share)
    names, kinds = entities(rng, n_entities), relations(rng, RELATIONS)
    write_ontology(folder / "ontology.nt", kinds.to_list())
    relation_share = 1 / np.arange(1, RELATIONS + 1) ** 1.1
    relation_share /= relation_share.sum()
    degree = np.minimum(rng.zipf(1.9, n_entities), 60) + 1  # (n_entities,) triples as subject
    subjects = np.repeat(np.arange(n_entities), degree)
    subjects = np.sort(rng.choice(subjects, n_lines, replace=len(subjects) < n_lines))
    packer = bz2.BZ2Compressor(9)
    size = 0
    with (folder / "triples.nt.bz2").open("wb") as handle:
        for start in range(0, n_lines, 500_000):
            part = subjects[start : start + 500_000]
            text = lines_of(rng, part, names, kinds, relation_share)
            size += len(text)
            handle.write(packer.compress(text))
        handle.write(packer.flush())
    (folder / "made.json").write_text(json.dumps({"share": share, "lines": n_lines, "bytes": size}))


def lines_of(
    rng: np.random.Generator, subjects: np.ndarray, names: pl.Series, kinds: pl.Series, relation_share: np.ndarray
) -> bytes:
    """N-Triples of these subjects; objects by a power law over the entities, 1 line in 4 repeats the relation above."""
    n = len(subjects)
    p = rng.choice(len(kinds), n, p=relation_share)
    again = (rng.random(n) < 0.25) & (np.roll(subjects, 1) == subjects)
    p[again] = np.roll(p, 1)[again]
    o = (len(names) * rng.random(n) ** 4).astype(np.int64)
    o = o * 7919 % len(names)  # popular objects anywhere in the order of subjects
    frame = pl.DataFrame({"s": names.gather(subjects), "p": kinds.gather(p), "o": names.gather(o)})
    odd = pl.Series(rng.random(n))
    line = pl.concat_str("s", pl.lit(" "), "p", pl.lit(" "), "o", pl.lit(" ."))
    literal = pl.concat_str("s", pl.lit(" "), "p", pl.lit(' "some text"@en .'))
    chosen = (
        pl.when(odd < 1e-4).then(literal).when(odd < 1.2e-4).then(pl.concat_str("s", pl.lit(" broken"))).otherwise(line)
    )
    return ("\n".join(frame.select(line=chosen)["line"]) + "\n").encode()


def write_ontology(path: Path, kinds: list[str]) -> None:
    """Label, domain and range of each relation, twenty classes."""
    lines = []
    for number, relation in enumerate(kinds):
        local = relation[len(DBO) + 1 : -1]
        lines.append(f'{relation} <{RDFS}label> "{local}"@en .')
        lines.append(f"{relation} <{RDFS}domain> <{DBO}Class{number % 20}> .")
        lines.append(f"{relation} <{RDFS}range> <{DBO}Class{(number * 7) % 20}> .")
    path.write_text("\n".join(lines) + "\n")
