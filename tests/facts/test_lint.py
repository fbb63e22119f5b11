"""Lint: each trap is found, and a clean table is clean."""

import polars as pl

from knowpack.facts.lint import HARMLESS, counts, lint, stands_in
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


def test_an_answer_of_nothing_but_marks_is_found() -> None:
    found = lint(facts(Fact("1", "Which mark?", ("??",), relation="r"), Fact("2", "Which face?", ("Bob", "🙂🙂"))))
    assert [(f.check, f.fact_id) for f in found if f.check == "unmatchable"] == [
        ("unmatchable", "1"),
        ("unmatchable", "2"),
    ]


def test_answers_that_read_as_missing_are_found() -> None:
    found = lint(facts(Fact("1", "Who?", ("nan",)), Fact("2", "Who else?", ("Nancy",)), Fact("3", "And?", ("N/A",))))
    assert [f.fact_id for f in found if f.check == "reads_as_missing"] == ["1", "3"]


def test_c_plus_plus_and_c_sharp_are_two_questions_and_two_answers() -> None:
    found = lint(
        facts(
            Fact("1", "Who made C++?", ("Stroustrup",), relation="r"),
            Fact("2", "Who made C#?", ("Hejlsberg",), relation="r"),
            Fact("3", "Which language?", ("C++",), relation="r"),
            Fact("4", "Which language?", ("C#",), relation="r"),
        )
    )
    assert [(f.check, f.fact_id) for f in found if f.check in ("conflict", "duplicate")] == [("conflict", "4")]


def test_each_rule_of_the_grader_that_an_answer_falls_under_is_a_warning_and_no_fault() -> None:
    found = lint(
        facts(Fact("1", "Is it?", ("No", "Never")), Fact("2", "How many?", ("1,000",)), Fact("3", "都は?", ("東京",)))
    )
    warned = [(f.check, f.fact_id) for f in found if f.check != "no_relation"]
    assert warned == [("yes_no", "1"), ("no_spaces", "3"), ("number", "2")]
    assert all(check in HARMLESS for check, _ in warned)
