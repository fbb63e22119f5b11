"""From triples to facts: popularity, single objects, drops, sample, and the same bytes whatever the threads."""

import bz2
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from knowpack.errors import FactsError, StoreError
from knowpack.facts import iri_names
from knowpack.facts.graphs import build, drops, dump, graph, ontology, popularity
from knowpack.facts.graphs.draw import Draw
from knowpack.facts.graphs.ntriples import Split
from knowpack.records import Fact, rows
from knowpack.store import lock

LABEL = "<http://www.w3.org/2000/01/rdf-schema#label>"
DBR, DBO = "http://dbpedia.org/resource/", "http://dbpedia.org/ontology/"


def line(s: str, p: str, o: str) -> str:
    return f"<{DBR}{s}> <{DBO}{p}> <{DBR}{o}> .\n"


def test_popularity_of_a_case_worked_by_hand() -> None:
    # counts 1 x6, 2 x3, 4 x1, 8 x1: 24 in all, so the cuts are where the sum from below reaches 8 and 16.
    # sums: six 1s = 6, the first 2 -> 8 (and with all three 2s 12), 4 -> 16, 8 -> 24
    counts = np.array([1, 1, 1, 1, 1, 1, 2, 2, 2, 4, 8, 0])
    at = popularity.cuts(counts)
    assert at == (2, 4)
    classes = [popularity.NAMES[i] for i in popularity.classes(counts, at)]
    assert classes[:11] == ["tail"] * 9 + ["torso", "head"]


def test_a_third_is_reached_exactly_not_by_rounding() -> None:
    # three entities with one triple each: a third is reached by the first, but equals share a class
    assert popularity.cuts(np.array([1, 1, 1])) == (1, 1)
    # 1 + 2 + 3: the sum reaches 2 = 6/3 at the 2 (sum 3), and 4 at the 3
    assert popularity.cuts(np.array([1, 2, 3])) == (2, 3)
    with pytest.raises(ValueError, match="no entity"):
        popularity.cuts(np.array([0]))


def read(triples: list[tuple[str, str, str]], work: Path, **kwargs: object) -> graph.Graph:
    frame = pl.DataFrame(triples, schema=dict.fromkeys("spo", pl.String), orient="row")
    split = Split(frame, Counter(lines=len(frame)), None)
    return graph.read([split], work, Draw(100, 0), iris=False, **kwargs)  # type: ignore[arg-type]


def test_single_objects_duplicates_and_popularity_in_one_graph(tmp_path: Path) -> None:
    found = read(
        [
            ("a", "r", "x"),
            ("a", "r", "x"),  # the same triple twice is one
            ("b", "r", "x"),
            ("b", "r", "y"),  # two objects: no fact
            ("c", "q", "c"),  # about itself: counts twice
            ("d", "http://www.w3.org/1999/02/22-rdf-syntax-ns#type>", "z"),
        ],
        tmp_path,
    )
    assert found.candidates.select("s", "p", "o").rows() == [("c", "q", "c"), ("a", "r", "x")]
    assert found.report["the same triple again"] == 1
    assert found.report["several objects"] == 2
    assert found.report["relations that make no question"] == 1
    # counts: a 1, y 1, b 2, x 2, c 2 = 8; from below the 1s sum to 2, short of 8/3, the 2s reach 8: one class
    assert found.cuts == (2, 2)
    assert found.entities == {"head": 0, "torso": 0, "tail": 5}


def test_pages_that_are_no_things_are_dropped_with_their_rule() -> None:
    entities = {
        f"<{DBR}List_of_lakes>": 1,
        f"<{DBR}Lists_of_films>": 1,
        f"<{DBR}Category:Lakes>": 2,
        f"<{DBR}Ann_(disambiguation)>": 3,
        f"<{DBR}Ann__1>": 4,
        f"<{DBR}1984_in_film>": 5,
        f"<{DBR}1984>": 5,
        "<http://www.example.com/>": 6,
        f"<{DBR}Lake_Como>": 0,
        f"<{DBR}Listowel>": 0,
        f"<{DBR}AC/DC>": 0,
        f"<{DBR}1984_(novel)>": 0,
    }
    assert drops.pages(pl.Series(list(entities))).tolist() == list(entities.values())


@pytest.mark.parametrize(
    ("fact", "rule"),
    [
        (("birthPlace", "birth place", "Ann", "Where was Ann born?", ["Paris"]), None),
        (("capital", "capital", "Lima", "Capital of Lima?", ["Lima"]), "about itself"),
        (("city", "city", "Lima Zoo", "In which city is Lima Zoo?", ["Lima"]), "answer in the question"),
        (
            ("computingPlatform", "platform", "Tux", "On which platform?", ["Cross-platform"]),
            "a placeholder for any answer",
        ),
        (("island", "island", "Hawaii", "Which island?", ["Islands"]), "the relation's own name as answer"),
        (("militaryRank", "military rank", "Ann", "Which rank?", ["Military ranks of Peru"]), "a page about a topic"),
        (("canton", "canton", "Bern", "Which canton?", ["Cantons of Switzerland"]), "a page about a topic"),
        (("award", "award", "Ann", "Which award?", ["Order of the Bath"]), None),
        (("album", "album", "Ann", "Which album?", ["X"]), "a name of one character"),
        (("area", "area", "Ann", "Which area?", ["Q42"]), "a name that is a number or code"),
    ],
)
def test_facts_that_ask_nothing(fact: tuple[str, str, str, str, list[str]], rule: str | None) -> None:
    assert drops.of_fact(*fact) == rule


def test_names_of_iris() -> None:
    assert iri_names.of_iri(f"<{DBR}Caf%C3%A9_M%C3%BCller>") == "Café Müller"
    assert iri_names.of_iri(f"<{DBR}AC/DC>") == "AC/DC"
    assert iri_names.of_iri(f"<{DBR}100%25_Wolf>") == "100% Wolf"
    assert iri_names.of_iri(f"<{DBR}Bad_%ff_escape>") == "Bad %ff escape"
    assert iri_names.of_iri("<http://yago.org/x#Ann_Lee>") == "Ann Lee"
    assert iri_names.bare("Alien (film)") == "Alien"
    assert iri_names.before_comma("Springfield, Illinois") == "Springfield"
    assert iri_names.without_kind("Russian language") == "Russian"


def small_dump(folder: Path, n: int = 3000) -> Path:
    rng = np.random.default_rng(0)
    text = "".join(
        line(f"Person_{s}_of_Town", ("birthPlace", "team", "spouse")[s % 3], f"Thing_{int(o)}")
        for s, o in zip(range(n), 40 * rng.random(n) ** 3, strict=True)
    )
    folder.mkdir(exist_ok=True)
    (folder / "d.nt.bz2").write_bytes(bz2.compress(text.encode()))
    (folder / "o.nt").write_text(
        f"<{DBO}birthPlace> <http://www.w3.org/2000/01/rdf-schema#range> <{DBO}Place> .\n"
        f'<{DBO}birthPlace> <http://www.w3.org/2000/01/rdf-schema#label> "birth place"@en .\n'
        f"<{DBO}Place> <http://www.w3.org/2000/01/rdf-schema#subClassOf> <{DBO}Thing> .\n"
    )
    return folder / "d.nt.bz2"


def test_balanced_sample_with_card_labels_and_redirects(tmp_path: Path) -> None:
    pytest.importorskip("pyoxigraph")
    triples = small_dump(tmp_path)
    (tmp_path / "r.nt").write_text(
        line("Old_Thing", "wikiPageRedirects", "Thing_0") + line("X", "wikiPageRedirects", "Thing_0")
    )
    (tmp_path / "l.nt").write_text(
        "".join(f'<{DBR}Thing_{i}> {LABEL} "Thing n\\u00ba{i}"@en .\n' for i in range(40))
        + f'<{DBR}Thing_0> {LABEL} "Ding 0"@de .\n'
    )
    sources = dump.Sources(triples, tmp_path / "o.nt", tmp_path / "r.nt", tmp_path / "l.nt")
    card = dump.from_ntriples(sources, build.Settings(per_relation=12), tmp_path / "f.parquet")
    facts = list(rows(pl.read_parquet(tmp_path / "f.parquet"), Fact))
    assert Counter(fact.relation for fact in facts) == card["by relation"]
    assert all(n <= 12 for n in Counter(fact.relation for fact in facts).values())
    assert all(n <= 4 for n in Counter((fact.relation, fact.popularity) for fact in facts).values())
    answers = {fact.object: fact.answers for fact in facts}
    assert answers[f"{DBR}Thing_0"] == ("Thing nº0", "Thing 0", "Old Thing")  # "X" is too short, the German is not ours
    assert next(fact.range for fact in facts if fact.relation == "birthPlace") == "Place"
    assert card["superclasses"] == {"Place": ["Thing"]}
    on_disk = json.loads((tmp_path / "f.card.json").read_text())
    assert on_disk == card
    assert sorted(on_disk["inputs"]) == ["labels", "ontology", "redirects", "triples"]


def test_what_the_ontology_wants_of_another_kind_is_dropped(tmp_path: Path) -> None:
    known = ontology.Ontology(
        ranges={"born": "Place", "plays": "Device"}, parents={"Town": ("Place",)}, domains={"born": "Person"}
    )
    towns = [(f"p{i}", "born", "paris") for i in range(5)]
    found = read([*towns, ("p9", "plays", "paris"), ("p8", "plays", "horn")], tmp_path, ontology=known)
    assert ("p9", "plays", "paris") not in found.candidates.select("s", "p", "o").rows()
    assert ("p8", "plays", "horn") in found.candidates.select("s", "p", "o").rows()
    assert found.report[graph.OTHER_KIND] == 1


SCRIPT = """
import sys
from pathlib import Path
from knowpack.facts.graphs import build, dump
folder = Path(sys.argv[1])
sources = dump.Sources(folder / sys.argv[2], None, threads=int(sys.argv[4]))
dump.from_ntriples(sources, build.Settings(per_relation=12, seed=3), folder / sys.argv[3])
"""


def run_script(folder: Path, source: str, out: str, threads: int) -> None:
    env = {**os.environ, "POLARS_MAX_THREADS": str(threads)}
    subprocess.run([sys.executable, "-c", SCRIPT, str(folder), source, out, str(threads)], check=True, env=env)


def test_threads_and_the_order_of_lines_change_no_byte(tmp_path: Path) -> None:
    triples = small_dump(tmp_path)
    texts = bz2.decompress(triples.read_bytes()).splitlines(keepends=True)
    np.random.default_rng(1).shuffle(texts)
    (tmp_path / "shuffled.nt").write_bytes(b"".join(texts))
    run_script(tmp_path, "d.nt.bz2", "one.parquet", 1)
    run_script(tmp_path, "d.nt.bz2", "four.parquet", 4)
    run_script(tmp_path, "shuffled.nt", "shuffled.parquet", 2)
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "four.parquet").read_bytes()
    assert (tmp_path / "one.card.json").read_bytes() == (tmp_path / "four.card.json").read_bytes()
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "shuffled.parquet").read_bytes()


def test_a_killed_run_leaves_no_half_written_facts(tmp_path: Path) -> None:
    small_dump(tmp_path)
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), "d.nt.bz2", "f.parquet", "1"]
    with subprocess.Popen(command) as process:
        while process.poll() is None and not (tmp_path / ".f.parquet.work").exists():
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    if (tmp_path / "f.parquet").exists():  # it was done before the kill
        pl.read_parquet(tmp_path / "f.parquet")
    (tmp_path / ".f.parquet.work").mkdir(exist_ok=True)
    (tmp_path / ".f.parquet.work" / "3").write_bytes(b"numbers of a run killed before")
    run_script(tmp_path, "d.nt.bz2", "f.parquet", 1)
    assert len(pl.read_parquet(tmp_path / "f.parquet"))
    assert not (tmp_path / ".f.parquet.work").exists()


def test_two_runs_do_not_share_an_output(tmp_path: Path) -> None:
    sources = dump.Sources(small_dump(tmp_path))
    with lock(tmp_path / ".f.parquet.work"), pytest.raises(StoreError, match="another knowpack process"):
        dump.from_ntriples(sources, build.Settings(), tmp_path / "f.parquet")


def test_wrong_labels_are_told_before_the_dump_is_read(tmp_path: Path) -> None:
    (tmp_path / "l.nt.bz2").write_text("no bz2")
    sources = dump.Sources(tmp_path / "never_opened.nt", labels=tmp_path / "l.nt.bz2")
    with pytest.raises(FactsError, match="but is no bz2 file"):
        dump.from_ntriples(sources, build.Settings(), tmp_path / "f.parquet")


def test_an_ontology_without_ranges_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("pyoxigraph")
    (tmp_path / "o.nt").write_text(f"<{DBO}a> <{DBO}b> <{DBO}c> .\n")
    with pytest.raises(FactsError, match="no relation a range"):
        ontology.read(tmp_path / "o.nt")
    (tmp_path / "o.ttl").write_text("no turtle at all")
    with pytest.raises(FactsError, match="no readable ontology"):
        ontology.read(tmp_path / "o.ttl")


def test_a_class_that_may_be_a_person_is_no_evidence_of_its_kind() -> None:
    known = ontology.Ontology(
        {},
        {"birthPlace": "Animal", "spouse": "Person"},
        {"birthPlace": "Town", "team": "Agent"},
        {"Person": ("Animal", "Agent"), "Animal": ("Species",), "Plant": ("Species",), "Town": ("Place",)},
    )
    place, person = ontology.KINDS_OF_THING.index("Place"), ontology.KINDS_OF_THING.index("Person")
    relations = ["<http://x/birthPlace>", "spouse", "team"]
    assert known.kinds(relations).tolist() == [[-1, place], [person, -1], [-1, -1]]
    assert ontology.KINDS_OF_THING[known.kind("Plant")] == "Species"


def test_superclasses_nearest_first_and_wording_from_the_label() -> None:
    known = ontology.Ontology(
        {"chiefCook": "chief cook", "Inn": "inn"},
        {"chiefCook": "Inn"},
        {"chiefCook": "Person"},
        {"Person": ("Agent",), "Agent": ("Thing",), "Thing": ("Agent",)},
    )
    assert known.chain("Person") == ("Agent", "Thing")
    wording = known.wording("chiefCook")
    assert wording.fill("Red Lion")[0] == "Who is the chief cook of Red Lion?"
    assert len(wording.questions) == 5
    assert (wording.domain, wording.range) == ("Inn", "Person")
