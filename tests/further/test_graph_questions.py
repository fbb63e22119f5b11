"""Further questions from a graph of a few facts; every expected question written out."""

import polars as pl

from knowpack import records
from knowpack.config import FurtherConfig
from knowpack.further.graph_questions import words
from knowpack.further.pools import Pools
from knowpack.further.selection import further_questions
from knowpack.records import Fact


def fact(name: str, subject: str, relation: str, obj: str, *paraphrases: str, source: str = "made") -> Fact:
    return Fact(name, f"{subject}, {relation}?", (obj, obj[:3]), paraphrases, subject, relation, obj, source=source)


LYON = fact("a", "Lyon", "inCountry", "France", "Where is Lyon?", "Lyon lies where?")
EURO = fact("b", "France", "currency", "Euro", "What do they pay with?")
PARIS = fact("c", "France", "capital", "Paris")
SPAIN = fact("d", "Spain", "currency", "Euro")
TWIN = fact("e", "Lyon", "twinTown", "Milan")
CITIES = [fact(f"x{i}", f"City {i}", "inCountry", "France") for i in range(5)]
ALL = records.table([LYON, EURO, PARIS, SPAIN, TWIN, *CITIES], Fact)


def of(taught: list[Fact], known: list[Fact], untrained: list[Fact], n: int = 10) -> dict[str, list[tuple[str, ...]]]:
    pools = Pools(ALL, *(records.table(part, Fact) for part in (untrained, taught, known)))
    found = further_questions(pools, {one.fact_id for one in taught}, FurtherConfig(n_facts=n, n_forms=0))
    asked: dict[str, list[tuple[str, ...]]] = {}
    for question, answers, kind, origin in found.select("question", "answers", "kind", "origin").iter_rows():
        asked.setdefault(kind, []).append((origin, question, *answers))
    return asked


def test_a_taught_fact_gives_its_neighbours_and_two_hops() -> None:
    found = of([LYON], [], [])
    assert found["neighbour"] == [("e", "Lyon, twinTown?", "Milan", "Mil")]
    ((origin, question, answer, _),) = found["two_hop"]
    assert origin == "a"
    assert (question, answer) in {
        ("What is the currency of the in country of Lyon?", "Euro"),
        ("What is the capital of the in country of Lyon?", "Paris"),
    }
    assert "reversal" not in found  # six cities are in France: asking for one asks nothing


def test_a_reversal_takes_every_subject_that_holds_and_its_own_first() -> None:
    found = of([SPAIN], [PARIS], [])
    assert found["reversal"] == [("d", "Whose currency is Euro?", "Spain", "France")]
    assert found["reversal_known"] == [("c", "Whose capital is Paris?", "France")]


def test_other_wordings_are_of_untrained_facts_and_the_last_of_each() -> None:
    found = of([], [], [LYON, EURO, PARIS])
    assert found == {
        "wording": [
            ("a", "Lyon lies where?", "France", "Fra"),
            ("b", "What do they pay with?", "Euro", "Eur"),
        ]
    }


def test_no_more_than_asked_for_and_the_same_ones_again() -> None:
    first, second = (of(CITIES, [], [LYON, EURO], n=1) for _ in range(2))
    assert first == second
    assert {kind: len(rows) for kind, rows in first.items()} == {"wording": 1, "two_hop": 1}


def test_a_trained_fact_is_no_second_hop_and_no_neighbour() -> None:
    found = of([LYON, EURO, PARIS, TWIN], [], [])
    assert "two_hop" not in found
    assert "neighbour" not in found


def test_worlds_relations_are_no_words() -> None:
    named = fact("w", "Peru", "us_state_code", "ES", source="world")
    assert of([named], [named], []) == {}


def test_facts_without_subject_and_relation_give_none() -> None:
    bare = Fact("z", "Q", ("A",))
    assert of([bare], [bare], [bare]) == {}


def test_words_of_a_relation() -> None:
    assert words("http://dbpedia.org/ontology/birthPlace") == "birth place"
    assert words("alma_mater") == "alma mater"
    assert words("dbo:currency") == "currency"


def test_ids_are_unique_and_kind_stands_behind_the_facts_columns() -> None:
    pools = Pools(ALL, ALL, ALL, ALL)
    found = further_questions(pools, set(), FurtherConfig(n_facts=50))
    assert found["fact_id"].is_unique().all()
    assert found.columns == [*records.schema(Fact), "kind", "origin"]
    assert found.filter(pl.col("kind") == "two_hop").height == 6  # Lyon and five cities, by France
