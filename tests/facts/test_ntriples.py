"""N-Triples: every line counted, none silently wrong; fuzzed against a maintained RDF parser."""

import bz2
import gzip
from pathlib import Path

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from knowpack.errors import FactsError
from knowpack.facts.graphs import lines, ntriples, numbers

A, B, C = "<http://e.org/a>", "<http://e.org/r>", "<http://e.org/c>"


def triples(text: str) -> list[tuple[str, str, str]]:
    """What the reader makes of a dump: split, then names checked and unescaped, as graph.read does."""
    frame = ntriples.split(text.encode("utf-8", "surrogatepass")).triples
    known = numbers.Names("test")
    codes = [known.codes(frame[end]) for end in "spo"]
    to = numbers.canonical(known)
    found = []
    for row in zip(*codes, strict=True):
        mapped = [int(code if to is None else to[code]) for code in row]
        if numbers.INVALID not in mapped:
            found.append(tuple(known.names(pl.Series(mapped, dtype=pl.UInt32).to_numpy())))
    return found


def of_parser(line: str) -> tuple[str, str, str] | None:
    """The same line by pyoxigraph; None for a literal, a blank node, or an error."""
    rdf = pytest.importorskip("pyoxigraph")
    try:
        quads = list(rdf.parse(input=line.encode("utf-8", "surrogatepass"), format=rdf.RdfFormat.N_TRIPLES))
    except (SyntaxError, ValueError):
        return None
    if len(quads) != 1:
        return None
    terms = (quads[0].subject, quads[0].predicate, quads[0].object)
    return tuple(map(str, terms)) if all(isinstance(term, rdf.NamedNode) for term in terms) else None  # type: ignore[return-value]


pieces = st.sampled_from(
    [
        A,
        B,
        C,
        "<http://e.org/caf\\u00e9>",
        "<http://e.org/café>",
        "<http://e.org/Alien_(film),_%27x>",
        "<rel>",
        "<http://e.org/a b>",
        "<http://e.org/\\U0001F600>",
        "<http://e.org/\\u0020>",
        "<http://e.org/\\uD800>",
        "<http://e.org/x<y>",
        "<http://e.org/x\\>",
        "<>",
        '"text"',
        '"a \\"b\\" ."@en-GB',
        '"5"^^<http://www.w3.org/2001/XMLSchema#int>',
        '"open',
        "_:b0",
        "_:b.1",
        "_:",
        ".",
        "#",
        "",
        " ",
        "\t",
        "\u00a0",
        "@prefix",
        "<http://e.org/東京>",
        "<mailto:x@y>",
    ]
)
gaps = st.sampled_from([" ", " ", " ", "  ", "\t", ""])


@st.composite
def fuzzed(draw: st.DrawFn) -> str:
    terms = draw(st.lists(pieces, min_size=2, max_size=5))
    return "".join(term + draw(gaps) for term in terms) + draw(
        st.sampled_from([".", " .", " . ", ". # note", " . x", ""])
    )


@settings(max_examples=400, deadline=None)
@given(fuzzed())
@example(f"{A} {B} {C} .")
@example(f"{A} {B} {C} . junk")
@example(f"{A} {B} {C} .  .")
@example(f"{A} {B} {C} .   # a comment")
@example(f"{A}{B} {C} {A} .")
def test_one_line_is_what_the_rdf_parser_says(line: str) -> None:
    expected = of_parser(line)
    if expected is None and triples(line + "\n"):
        # the parser also checks hosts and percent-escapes; what we take beyond it must fit the W3C grammar
        assert ntriples.LINE.fullmatch(line.replace("\t", " ")), line
        return
    assert triples(line + "\n") == ([expected] if expected else [])


@settings(max_examples=100, deadline=None)
@given(st.lists(fuzzed(), max_size=8))
def test_a_block_is_the_sum_of_its_lines(texts: list[str]) -> None:
    block = "".join(text + "\n" for text in texts)
    assert sorted(triples(block)) == sorted(triple for text in texts for triple in triples(text + "\n"))
    counts = ntriples.split(block.encode()).counts
    assert counts["lines"] == sum(ntriples.split((text + "\n").encode()).counts["lines"] for text in texts)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_bytes_of_any_kind_never_crash(block: bytes) -> None:
    found = ntriples.split(block + b"\n")
    assert sum(found.counts[kind] for kind in ("literal", "blank node", "malformed")) <= found.counts["lines"]


def test_each_kind_of_line_is_counted_once() -> None:
    block = f'{A} {B} {C} .\n\n# note\n{A} {B} "x y" .\n_:b {B} {C} .\n{A} {B} _:b .\n{A} {B}\n{A}\t{B}\t{C}\t.\r\n'
    found = ntriples.split(block.encode())
    assert dict(found.counts) == {"lines": 6, "literal": 1, "blank node": 2, "malformed": 1}
    assert found.triples.rows() == [tuple(term for term in (A, B, C))] * 2
    assert found.first_bad == f"{A} {B}"


def test_a_bad_byte_costs_its_own_line_only() -> None:
    found = ntriples.split(f"{A} {B} {C} .\n".encode() + b"<http://e.org/\xff> <http://e.org/r> <http://e.org/c> .\n")
    assert (len(found.triples), found.counts["malformed"]) == (1, 1)


def test_escaped_and_plain_iris_are_one_entity() -> None:
    text = f"<http://e.org/caf\\u00e9> {B} {C} .\n<http://e.org/café> {B} {A} .\n"
    assert [triple[0] for triple in triples(text)] == ["<http://e.org/café>"] * 2


@pytest.mark.parametrize("kind", ["plain", "bz2", "gz", "zst"])
def test_every_compression_gives_the_same_lines_over_block_borders(tmp_path: Path, kind: str) -> None:
    content = b"".join(f"{A} {B} <http://e.org/{i}> .\n".encode() for i in range(2000)) + b"<x> <y> <z> ."
    path = tmp_path / "dump"
    if kind == "zst":
        zstandard = pytest.importorskip("zstandard")
        path.write_bytes(zstandard.compress(content[:50_000]) + zstandard.compress(content[50_000:]))
    else:
        path.write_bytes({"plain": bytes, "bz2": bz2.compress, "gz": gzip.compress}[kind](content))
    blocks = list(lines.blocks(path, threads=2, size=1000))
    assert b"".join(blocks) == content + b"\n"
    assert all(block.endswith(b"\n") for block in blocks)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.nt.bz2", bz2.compress(b"<a> <b> <c> .\n" * 50_000)[:-40], "torn or damaged bz2 file"),
        ("x.nt.gz", gzip.compress(b"<a> <b> <c> .\n" * 50_000)[:-40], "torn or damaged gz file"),
        ("x.nt.zst", b"\x28\xb5\x2f\xfd" + bytes(20), "torn or damaged zst file"),
        ("x.nt.bz2", b"<http://a/a> <http://a/b> <http://a/c> .\n", "named .bz2 but is no bz2 file"),
        ("x.zip", b"PK\x03\x04....", "is a zip file"),
        ("x.nt", b"", "is empty"),
        ("x.ttl", b"@prefix a: <http://a/> .\na:b a:c a:d .\n", "holds no N-Triples: got '@prefix"),
        ("x.csv", b"head,relation,tail\na,b,c\n", "holds no N-Triples"),
    ],
)
def test_wrong_input_gets_one_clear_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FactsError, match=message) as caught:
        list(ntriples.stream(tmp_path / name))
    assert "\n" not in str(caught.value)


def test_a_torn_zst_frame_is_no_end_of_file(tmp_path: Path) -> None:
    zstandard = pytest.importorskip("zstandard")
    content = b"".join(f"{A} {B} <http://e.org/{i}> .\n".encode() for i in range(20_000))
    (tmp_path / "x.zst").write_bytes(zstandard.compress(content)[:-30])
    with pytest.raises(FactsError, match="torn or damaged zst"):
        list(lines.blocks(tmp_path / "x.zst"))
