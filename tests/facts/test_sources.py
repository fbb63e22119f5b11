"""Tables of triples, wordings, paraphrases, a SPARQL endpoint; the real data where they are."""

import re
from pathlib import Path

import polars as pl
import pytest

from knowpack.cli.facts import app
from knowpack.errors import FactsError
from knowpack.facts import paraphrase, wordings
from knowpack.facts.graphs import build, dump, triples, wikidata
from knowpack.records import Fact, rows, table


def test_tab_separated_triples_become_facts(tmp_path: Path) -> None:
    (tmp_path / "g.tsv").write_text(
        "Ann\tbirthPlace\tParis\nBob\tbirthPlace\tRome\nonly two\tcells\n", encoding="utf-8"
    )
    card = dump.from_triples(dump.Sources(tmp_path / "g.tsv"), build.Settings(fill=True), tmp_path / "f.parquet")
    facts = list(rows(pl.read_parquet(tmp_path / "f.parquet"), Fact))
    assert {(fact.question, fact.answers) for fact in facts} == {
        ("Where was Ann born?", ("Paris",)),
        ("Where was Bob born?", ("Rome",)),
    }
    assert card["read"]["malformed"] == 1  # type: ignore[index]


def test_openke_order_is_head_tail_relation(tmp_path: Path) -> None:
    (tmp_path / "entity2id.txt").write_text("2\n<http://x/resource/Ann> 0\n<http://x/resource/Old_Town> 1\n")
    (tmp_path / "relation2id.txt").write_text("1\n<http://x/ontology/birthPlace> 0\n")
    (tmp_path / "train2id.txt").write_text("1\n0 1 0\n")
    (split,) = triples.splits(tmp_path)
    assert split.triples.rows() == [
        ("<http://x/resource/Ann>", "<http://x/ontology/birthPlace>", "<http://x/resource/Old_Town>")
    ]
    (tmp_path / "train2id.txt").write_text("1\n0 7 0\n")
    with pytest.raises(FactsError, match="line 2: got"):
        list(triples.splits(tmp_path))


def test_a_name_with_a_line_separator_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "g.tsv").write_text("Ann\tspouse\tBob\u2028Lee\r\nZoe\tspouse\tDan\n", encoding="utf-8")
    (split,) = triples.splits(tmp_path / "g.tsv")
    assert split.triples["o"].to_list() == ["Bob\u2028Lee", "Dan"]


def test_a_comma_separated_file_is_no_triples(tmp_path: Path) -> None:
    (tmp_path / "g.tsv").write_text("Ann,birthPlace,Paris\n")
    with pytest.raises(FactsError, match="a line of 1 tab-separated cells"):
        list(triples.splits(tmp_path / "g.tsv"))


def test_a_relation_that_is_only_a_code_needs_a_wording(tmp_path: Path) -> None:
    (tmp_path / "g.tsv").write_text("Ann\tP31\thuman\nAnn\tP36\tParis\n", encoding="utf-8")
    card = dump.from_triples(dump.Sources(tmp_path / "g.tsv"), build.Settings(fill=True), tmp_path / "f.parquet")
    assert card["wordings"] == {"P31": "none", "P36": "by hand"}
    assert card["by relation"] == {"P36": 1}
    (tmp_path / "g.tsv").write_text("Ann\tP31\thuman\n", encoding="utf-8")
    with pytest.raises(FactsError, match="give wordings by --templates"):
        dump.from_triples(dump.Sources(tmp_path / "g.tsv"), build.Settings(), tmp_path / "g.parquet")
    assert not (tmp_path / "g.parquet").exists()


@pytest.mark.parametrize(("name", "least"), [("dbpedia", 150), ("bear", 78)])
def test_packaged_wordings_are_several_distinct_questions_each(name: str, least: int) -> None:
    found = wordings.load(name)
    assert len(found) >= least
    for relation, wording in found.items():
        assert len(wording.questions) >= 5, relation
        assert len({question.casefold() for question in wording.questions}) == len(wording.questions), relation
        for question in wording.questions:
            assert question.count("{}") == 1, question
            assert re.fullmatch(r"[A-Z{].*[?.]", question), question


def test_the_users_templates_in_the_shape_of_head_to_tail(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text('{"<http://dbpedia.org/ontology/owner>": "Owner of _?", "<http://x/y>": ""}')
    found = wordings.load(str(tmp_path / "t.json"))
    assert found["owner"].fill("The Times") == ["Owner of The Times?"]
    assert "y" not in found
    (tmp_path / "t.json").write_text('{"owner": "Owner?"}')
    with pytest.raises(FactsError, match="no place for the subject"):
        wordings.load(str(tmp_path / "t.json"))
    with pytest.raises(FactsError, match="known by name: dbpedia, bear"):
        wordings.load("nonsense.yaml")


FACT = Fact("1", "Where was Ann Lee born?", ("Old Town", "Oldtown"), subject="Ann Lee", relation="birthPlace")


def test_templates_then_frames_fill_up_to_n() -> None:
    found = paraphrase.by_templates(table([FACT], Fact), 7, wordings.load("dbpedia"))
    (fact,) = rows(found.facts, Fact)
    assert len(fact.paraphrases) == 7
    assert fact.paraphrases[0] == "What is the birthplace of Ann Lee?"
    assert fact.paraphrases[4].endswith(FACT.question)
    assert found.report == {"kept": 7, "the same again": 1}


def test_what_a_model_writes_is_checked() -> None:
    text = """1. In which place was Ann Lee born?
    - "Where was Ann Lee born?"
    3) Was Ann Lee born in Old Town?
    Where was she born?
    In which place was Ann Lee born?
    Sure! Here are some
    """
    found = paraphrase.by_model(table([FACT], Fact), 5, lambda prompts: [text] * len(prompts))
    (fact,) = rows(found.facts, Fact)
    assert fact.paraphrases == ("In which place was Ann Lee born?",)
    assert found.report == {
        "kept": 1,
        "the same again": 2,
        "the answer slipped in": 1,
        "the subject is lost": 1,
        "no question": 1,
    }
    with pytest.raises(FactsError, match="no usable wording"):
        paraphrase.by_model(table([FACT], Fact), 5, lambda prompts: ["Old Town"] * len(prompts))


def test_endpoint_is_asked_in_batches_once_and_names_are_checked(tmp_path: Path) -> None:
    facts = table(
        [Fact(str(i), f"Where is {i}?", (f"Town {i}",), object=f"http://x/{i}") for i in range(5)]
        + [Fact("6", "Who?", ("Ann",))],
        Fact,
    )
    asked: list[str] = []

    def ask(query: str) -> object:
        asked.append(query)
        entities = re.findall(r"<(http://x/\d)>", query)
        names = [(e, n) for e in entities for n in ("T", f"TOWN {e[-1]}", f"Where is {e[-1]}", f"Burg {e[-1]}")]
        return {"results": {"bindings": [{"entity": {"value": e}, "name": {"value": n}} for e, n in names]}}

    place = wikidata.Endpoint("http://endpoint", batch=2, pause_seconds=0)
    found = wikidata.add_aliases(facts, place, tmp_path, ask)
    assert len(asked) == 3
    assert found["answers"].to_list() == [[f"Town {i}", f"Burg {i}"] for i in range(5)] + [["Ann"]]
    assert wikidata.add_aliases(facts, place, tmp_path, ask).equals(found)
    assert len(asked) == 3  # the second run asks nothing
    with pytest.raises(FactsError, match="no SPARQL results"):
        wikidata.add_aliases(facts, wikidata.Endpoint("http://other"), tmp_path, lambda query: {"error": 1})


def test_db15k_becomes_facts(shared: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyoxigraph")
    sources = dump.Sources(shared / "data" / "db15k", shared / "data" / "dbpedia_ontology" / "dbo-snapshots.ttl")
    card = dump.from_triples(sources, build.Settings(source="db15k"), tmp_path / "f.parquet")
    assert card["read"]["triples"] == 99_028  # type: ignore[index]
    assert card["facts"] > 3_000  # type: ignore[operator]
    assert set(card["wordings"].values()) == {"by hand", "from the ontology", "from its name"}  # type: ignore[attr-defined]


def test_bear_and_entity_questions_import(shared: Path, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    bear = sorted(map(str, (shared / "data" / "bear" / "BEAR").glob("P*.jsonl")))
    columns = ["--subject", "sub_label", "--object", "obj_label", "--relation-from-file", "--wordings", "bear"]
    command = ["import", *bear, *columns, "--source", "bear", "--drop-bad", "--out", str(tmp_path / "b.parquet")]
    assert CliRunner().invoke(app, command).exit_code == 0
    facts = pl.read_parquet(tmp_path / "b.parquet")
    assert (len(facts), facts["relation"].n_unique()) == (7_731, 60)
    assert facts["paraphrases"].list.len().min() == 4
    questions = str(shared / "data" / "entity_questions" / "dev" / "P36.dev.jsonl")
    command = ["import", questions, "--relation-from-file", "--drop-bad", "--out", str(tmp_path / "e.parquet")]
    assert CliRunner().invoke(app, command).exit_code == 0
    assert pl.read_parquet(tmp_path / "e.parquet")["relation"].unique().to_list() == ["P36"]
