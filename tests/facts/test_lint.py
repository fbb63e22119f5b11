"""Lint: each trap is found, and a clean table is clean."""

import polars as pl

from knowpack.facts.lint import counts, lint, stands_in
from knowpack.records import Fact, table


def facts(*items: Fact) -> pl.DataFrame:
    return table(items, Fact)


def test_clean_table_has_no_findings() -> None:
    assert lint(facts(Fact("1", "Where was Ann born?", ("Paris",), relation="born"))) == []


def test_each_trap_is_found() -> None:
    found = lint(
        facts(
            Fact("1", "Where was Ann born?", ("Paris",), relation="r"),
            Fact("2", "where was ann born", ("paris",), relation="r"),
            Fact("3", "Where was Ann born?", ("Rome",), relation="r"),
            Fact("4", "Which city has the Lima airport?", ("Lima",), relation="r"),
            Fact("5", "Who?", ("Bob", "B"), relation="r"),
            Fact("6", "Who is it?", ("Eve",)),
        )
    )
    assert [(f.check, f.fact_id) for f in found] == [
        ("duplicate", "2"),
        ("short_alias", "5"),
        ("answer_in_question", "4"),
        ("conflict", "3"),
        ("no_relation", "6"),
    ]
    assert counts(found)["shot"] == 0


def test_alias_us_is_not_in_museum() -> None:
    assert not stands_in("us", "Which museum is it?")
    assert stands_in("U.S.", "Is the U.S. large?")
    assert stands_in("Malmö", "Is Malmo large?")


def test_overlap_with_the_shots_by_question_wording_or_subject() -> None:
    shots = pl.DataFrame(
        {"question": ["Who wrote Emma?", "Of what is Lima the capital?"], "answer": ["Austen", "Peru"]}
    )
    found = lint(
        facts(
            Fact("1", "Emma is by whom?", ("Austen",), paraphrases=("Who wrote Emma?",), relation="r"),
            Fact("2", "Lima is the capital of which country?", ("Peru",), subject="Lima", relation="r"),
            Fact("3", "Quito is the capital of which country?", ("Ecuador",), subject="Quito", relation="r"),
        ),
        shots,
    )
    assert [(f.check, f.fact_id) for f in found] == [("shot", "1"), ("shot", "2")]
