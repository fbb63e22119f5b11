"""Key words and unfinished sentences of facts; every expected text written out by hand."""

import pytest

from knowpack.facts.restated import keywords, unfinished
from knowpack.pack import plan
from knowpack.records import Example, Fact, table


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Who is the head of sales of Acme?", "head sales Acme"),
        ("When was the lamp launched?", "When lamp launched"),  # another question than where it was
        ("How many people work at Acme?", "How many people work at Acme"),
        ("What is it?", None),
        ("Lima, capital?", None),  # nothing to leave out
    ],
)
def test_key_words_leave_out_what_tells_nothing(question: str, expected: str | None) -> None:
    assert keywords(question) == (None if expected == question.rstrip("?") else expected)


@pytest.mark.parametrize(
    "question", ["What is the lamp made of?", "What is the newsletter called?", "Who is the letter from?"]
)
def test_a_question_that_ends_in_a_hanging_word_is_no_sentence(question: str) -> None:
    assert unfinished(Fact("a", question, ("x",))) is None


def fact(name: str, answer: str, question: str, *paraphrases: str) -> Fact:
    return Fact(name, question, (answer,), paraphrases)


def test_short_forms_of_two_facts_are_trained_for_neither_and_none_is_made_of_what_is_held_out() -> None:
    facts = table(
        [
            fact("a", "Ada", "Who has founded Acme?", "Who was the founder of Acme?"),
            fact("b", "Bo", "Who did found Acme?", "Name the person.", "What is the first name at Acme?"),
            fact("c", "Cy", "Who was founded Acme?"),  # "founded Acme", as of a
        ],
        Fact,
    )
    found = plan.restated(facts, held_out=1)
    assert found.select("fact_id", "question").rows() == [("b", "found Acme"), ("b", "The person is")]


def test_the_wording_that_training_checks_by_stays_the_last() -> None:
    facts = table([fact("a", "Ada", "Who is the head of Acme?", "Acme is led by whom?", "held out")], Fact)
    trained = plan.examples(facts, 1, table([], Example), restate=True)["question"].to_list()
    assert trained == ["Who is the head of Acme?", "head Acme", "The head of Acme is", "Acme is led by whom?"]
