"""The packaged facts and few-shot examples: sound, single, fairly asked; company.csv is a table to import."""

from importlib import resources
from pathlib import Path

import polars as pl
import pytest

from knowpack.facts import column_names, columns, readers, world_facts
from knowpack.facts.lint import HARMLESS, lint, stands_in, words
from knowpack.pack.request import HELD_OUT
from knowpack.records import Fact, fact_id_of, rows, schema

COMPANY = Path(__file__).parents[2] / "examples/company.csv"

KNOWN = [  # by hand
    ("capital", "Japan", "Tokyo"),
    ("capital", "Netherlands", "Amsterdam"),
    ("capital_of", "Nairobi", "Kenya"),
    ("continent", "Brazil", "South America"),
    ("continent", "Nigeria", "Africa"),
    ("currency", "Japan", "Japanese yen"),
    ("currency", "Finland", "euro"),
    ("currency_country", "zloty", "Poland"),
    ("currency_code", "Swiss franc", "CHF"),
    ("official_language", "Portugal", "Portuguese"),
    ("main_language", "Japan", "Japanese"),
    ("iso_alpha2", "Germany", "DE"),
    ("iso_alpha3", "Switzerland", "CHE"),
    ("internet_domain", "Sweden", ".se"),
    ("calling_code", "France", "+33"),
    ("demonym", "Peru", "Peruvian"),
    ("largest_city", "Turkey", "Istanbul"),
    ("only_neighbour", "Portugal", "Spain"),
    ("city_country", "Mumbai", "India"),
    ("city_country", "Cologne", "Germany"),
    ("city_continent", "Nairobi", "Africa"),
    ("city_language", "Osaka", "Japanese"),
    ("us_city_state", "Chicago", "Illinois"),
    ("us_state_capital", "California", "Sacramento"),
    ("us_capital_state", "Austin", "Texas"),
    ("us_state_code", "Texas", "TX"),
    ("us_city_time_zone", "Seattle", "Pacific Time"),
    ("subdivision_country", "Bavaria", "Germany"),
    ("subdivision_capital", "Ontario", "Toronto"),
    ("city_subdivision", "Nuremberg", "Bavaria"),
    ("airport_city", "FRA", "Frankfurt am Main"),
    ("element_symbol", "gold", "Au"),
    ("symbol_element", "Fe", "iron"),
    ("atomic_number", "gold", "79"),
    ("number_element", "8", "oxygen"),
    ("element_family", "neon", "noble gas"),
    ("language_code", "German", "de"),
    ("language_script", "Hindi", "Devanagari"),
]
LEFT_OUT = [  # several objects, an ambiguous name, a disputed place, an answer in its own question
    ("capital", "South Africa"),
    ("capital", "Bolivia"),
    ("capital", "Israel"),
    ("capital", "Singapore"),
    ("capital", "Georgia"),
    ("continent", "Russia"),
    ("continent", "Turkey"),
    ("official_language", "Belgium"),
    ("city_country", "Birmingham"),
    ("city_country", "Sevastopol"),
    ("city_country", "Jerusalem"),
    ("us_city_state", "Springfield"),
    ("us_city_state", "Portland"),
    ("calling_code", "Canada"),
    ("atomic_number", "helium"),
    ("element_symbol", "hydrogen"),
]


@pytest.fixture(scope="module")
def facts() -> pl.DataFrame:
    return world_facts.facts()


@pytest.fixture(scope="module")
def shots() -> pl.DataFrame:
    return world_facts.shots()


def test_world_is_a_fact_table_large_enough_and_small_on_disk(facts: pl.DataFrame) -> None:
    assert facts.schema == schema(Fact)
    assert len(facts) >= 6_000
    assert facts["relation"].n_unique() >= 16
    assert set(facts["source"]) == {"world"}
    assert set(facts["popularity"]) == {"head", "torso", "tail"}
    assert facts.null_count().sum_horizontal()[0] == 0
    assert len((resources.files("knowpack.facts") / "data/world.parquet").read_bytes()) <= 1_500_000


def test_one_object_a_subject_and_relation(facts: pl.DataFrame) -> None:
    assert facts.select("relation", pl.col("subject").str.to_lowercase()).is_unique().all()


def test_no_answer_stands_in_any_wording_of_its_question(facts: pl.DataFrame) -> None:
    for fact in rows(facts, Fact):
        for text in (fact.question, *fact.paraphrases):
            assert not any(stands_in(answer, text) for answer in fact.answers), (fact.answers, text)


def test_every_fact_has_seven_distinct_wordings_with_its_subject(facts: pl.DataFrame) -> None:
    for fact in rows(facts, Fact):
        wordings = {words(text) for text in (fact.question, *fact.paraphrases)}
        assert len(wordings) >= 7 > 2 * HELD_OUT, fact.question
        assert all(words(fact.subject or "") in text for text in wordings), fact.question


def test_wordings_begin_with_a_capital_and_hold_no_open_blank(facts: pl.DataFrame) -> None:
    texts = facts.select(pl.concat_list(pl.concat_list("question"), "paraphrases").explode()).to_series()
    assert not texts.str.contains(r"[{}]|  | the the ").any()
    assert texts.str.contains(r"[?.]$").all()
    assert texts.str.head(1).eq(texts.str.head(1).str.to_uppercase()).all()


def test_ids_are_those_of_the_fields(facts: pl.DataFrame) -> None:
    for fact in rows(facts, Fact):
        assert fact.fact_id == fact_id_of("world", fact.subject, fact.relation, fact.object, fact.question)
        assert fact.answers[0] == fact.object


def test_no_object_is_found_inside_another_of_its_relation(facts: pl.DataFrame) -> None:
    """ "Guinea" would be graded correct in "Papua New Guinea"."""
    for (relation,), part in facts.group_by("relation"):
        names = {(fact.object, words(name)) for fact in rows(part, Fact) for name in fact.answers}
        text = "\n".join(sorted({name for _, name in names}))
        for obj, name in names:
            if text.count(name) > 1:
                inside = {other for other, longer in names if name in longer}
                assert inside == {obj}, (relation, name, inside)


@pytest.mark.parametrize(("relation", "subject", "expected"), KNOWN)
def test_known_by_hand(facts: pl.DataFrame, relation: str, subject: str, expected: str) -> None:
    found = facts.filter(pl.col("relation") == relation, pl.col("subject") == subject)
    assert found["object"].to_list() == [expected]


@pytest.mark.parametrize(("relation", "subject"), LEFT_OUT)
def test_left_out(facts: pl.DataFrame, relation: str, subject: str) -> None:
    assert facts.filter(pl.col("relation") == relation, pl.col("subject") == subject).is_empty()


def test_countries_have_their_article_and_their_aliases(facts: pl.DataFrame) -> None:
    asked = facts.filter(pl.col("relation") == "capital", pl.col("subject") == "Netherlands").row(0, named=True)
    assert asked["question"] == "What is the capital of the Netherlands?"
    assert asked["paraphrases"][3] == "The Netherlands has which city as its capital?"
    usa = facts.filter(pl.col("relation") == "city_country", pl.col("subject") == "Chicago")["answers"][0]
    assert {"United States", "USA", "US", "United States of America"} <= set(usa)
    krw = facts.filter(pl.col("relation") == "currency", pl.col("subject") == "South Korea")["answers"][0]
    assert "won" not in krw.to_list()  # North Korea's too


def test_lint_finds_nothing_with_the_shots(facts: pl.DataFrame, shots: pl.DataFrame) -> None:
    assert [finding for finding in lint(facts, shots) if finding.check not in HARMLESS] == []


def test_general_is_varied_and_not_of_the_world(facts: pl.DataFrame, shots: pl.DataFrame) -> None:
    assert len(shots) >= 200
    assert shots["question"].is_unique().all()
    assert shots["answer"].str.split(" ").list.len().max() <= 5
    assert (shots["answer"].value_counts()["count"] <= 0.04 * len(shots)).all()
    assert shots["question"].str.split(" ").list.first().n_unique() >= 10
    every = facts.select(pl.concat_list(pl.concat_list("question"), "paraphrases").explode()).to_series()
    assert not {words(text) for text in every} & {words(text) for text in shots["question"]}


def test_no_shot_is_a_fact_asked_backwards(facts: pl.DataFrame, shots: pl.DataFrame) -> None:
    """A shot whose answer is a subject and whose question names the object gives the fact away as well."""
    subjects: dict[str, list[Fact]] = {}
    for fact in rows(facts, Fact):
        subjects.setdefault(words(fact.subject or ""), []).append(fact)
    for question, answer in shots.rows():
        for fact in subjects.get(words(answer), []):
            assert not stands_in(fact.answers[0], question), (question, answer, fact.question)


def test_company_imports_to_sixty_facts_without_a_flag() -> None:
    found = columns.facts_of(readers.rows(str(COMPANY)), column_names.Columns(), source="company")
    assert len(found.facts) == 60
    assert not found.dropped
    assert (found.facts["paraphrases"].list.len() == 5).all()
    assert [f for f in lint(found.facts) if f.check not in HARMLESS] == []
    answers = found.facts["answers"].list.first()
    assert {"Yes", "No"} <= set(answers)
    assert found.facts["subject"].null_count() == found.facts["relation"].null_count() == 0
