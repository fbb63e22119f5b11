"""Facts in other forms; every expected question written out by hand."""

import pytest

from knowpack import records
from knowpack.config import FurtherConfig
from knowpack.facts import world_facts
from knowpack.facts.restatements import unfinished
from knowpack.further.pools import Pools
from knowpack.further.selection import FORMS, further_questions, most_questions
from knowpack.records import Fact


def fact(name: str, question: str, answer: str, *paraphrases: str, subject: str | None = None) -> Fact:
    return Fact(name, question, (answer,), paraphrases, subject, "made" if subject else None)


LIMA = fact("a", "What is the capital of Peru?", "Lima", subject="Peru")
QUITO = fact("b", "What is the capital of Ecuador?", "Quito", subject="Ecuador")
PRICE = fact("c", "How much is the lamp?", "40 euros")
WEIGHT = fact("d", "How heavy is the lamp?", "2 kg")
LISTED = fact("e", "Is the lamp sold in shops?", "No")


def of(taught: list[Fact], known: list[Fact], n: int = 10, texts: tuple[str, ...] = ()) -> dict[str, list[str]]:
    tables = [records.table(part, Fact) for part in ([*taught, *known], [], taught, known)]
    found = further_questions(Pools(*tables), set(), FurtherConfig(n_facts=0, n_forms=n), texts)
    asked: dict[str, list[str]] = {}
    for question, answers, kind in found.select("question", "answers", "kind").iter_rows():
        asked.setdefault(kind, []).append(f"{question} {'/'.join(answers)}")
    return asked


def test_the_same_claim_is_never_all_true_or_all_false() -> None:
    found = of([LIMA, QUITO], [])
    assert found["yes_no"] == [
        'Is "Lima" the right answer to "What is the capital of Peru?", yes or no? yes',
        'Is "Lima" the right answer to "What is the capital of Ecuador?", yes or no? no',
    ]


def test_a_false_claim_of_a_number_is_a_number_and_never_the_facts_own() -> None:
    found = of([LIMA, PRICE, QUITO, WEIGHT], [])["yes_no"]
    assert found[1] == 'Is "2 kg" the right answer to "How much is the lamp?", yes or no? no'
    assert found[3] == 'Is "40 euros" the right answer to "How heavy is the lamp?", yes or no? no'


def test_a_fact_answered_by_yes_or_no_gives_no_claim() -> None:
    assert "yes_no" not in of([LISTED], [])


def test_without_any_other_answer_there_is_no_false_claim() -> None:
    assert len(of([LIMA, PRICE], [])["yes_no"]) == 1  # no other place, no other number


def test_behind_text_takes_the_texts_in_turn_and_none_without() -> None:
    found = of([LIMA, QUITO, PRICE], [], texts=("Rain fell.", "Bread needs time."))
    assert found["behind_text"] == [
        "Rain fell.\n\nWhat is the capital of Peru? Lima",
        "Bread needs time.\n\nWhat is the capital of Ecuador? Quito",
        "Rain fell.\n\nHow much is the lamp? 40 euros",
    ]
    assert "behind_text" not in of([LIMA], [])


def test_known_facts_are_asked_apart() -> None:
    assert of([], [LIMA]) == {
        "statement_known": ["Complete the sentence: The capital of Peru is ... Lima"],
        "yes_no_known": ['Is "Lima" the right answer to "What is the capital of Peru?", yes or no? yes'],
    }


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (LIMA, "The capital of Peru is"),
        (fact("w", "Who was Kant's first teacher?", "Schultz"), "Kant's first teacher was"),
        (fact("x", "Which city leads?", "Lima", "Name the capital city of Peru."), "The capital city of Peru is"),
        (fact("y", "In which country is Lyon?", "France", subject="Lyon"), "Lyon is in the country of"),
        (fact("y", "On which continent is China?", "Asia", subject="China"), "China is on the continent of"),
        (fact("z", "In which street is Tarn's Lisbon office?", "Rua", subject="Lisbon office"), None),
        (fact("z", "In which year was Tarn founded?", "1987", subject="Tarn"), None),  # "Tarn founded was in" is none
        (PRICE, None),
        (LISTED, None),
    ],
)
def test_an_unfinished_sentence_by_the_first_wording_that_makes_one(made: Fact, sentence: str | None) -> None:
    assert unfinished(made) == sentence


def test_most_facts_of_world_have_a_sentence() -> None:
    facts = list(records.rows(world_facts.facts().sample(400, seed=1), Fact))
    assert sum(unfinished(one) is not None for one in facts) > 200


def test_no_more_than_asked_for_and_none_where_none_are_wanted() -> None:
    many, more = (
        [fact(f"{sign}{i}", f"What is the {sign} of house {i}?", f"{sign} {i}", subject=f"house {i}") for i in range(9)]
        for sign in ("sign", "colour")
    )
    assert {kind: len(asked) for kind, asked in of(many, more, n=4, texts=("Rain.",)).items()} == {
        f"{kind}{end}": 4 for kind in FORMS for end in ("", "_known")
    }
    assert of(many, more, n=0, texts=("Rain.",)) == {}


def test_the_most_that_can_be_asked_is_no_more_than_the_facts_give() -> None:
    facts = records.table([LIMA, QUITO, PRICE, fact("f", "Where is Lima?", "Peru", "Lima is where?")], Fact)
    asked = FurtherConfig(n_facts=100, n_forms=30)
    # trained: 100 neighbours, reversals and two hops of one fact, three forms of it; known: one wording, reversals and
    # two hops of two facts (the others name no relation), three forms of four
    assert most_questions(asked, facts, 1) == (100 + 2 + 3) + (1 + 2 * 2 + 3 * 4)
    assert most_questions(asked, facts, 0) == 1 + 2 * 2 + 3 * 4
    assert most_questions(FurtherConfig(n_facts=0, n_forms=0), facts, 1) == 0


def test_a_long_text_is_cut_to_whole_sentences_and_never_to_more_than_its_limit() -> None:
    sentences = [f"Number {i} of them has exactly eight words." for i in range(9)]  # 8 words each: five are 40
    (asked,) = of([PRICE], [], texts=(" ".join(sentences),))["behind_text"]
    assert asked == f"{' '.join(sentences[:5])}\n\nHow much is the lamp? 40 euros"
    (asked,) = of([PRICE], [], texts=("word " * 90,))["behind_text"]
    assert asked.split("\n\n")[0] == " ".join(["word"] * 40)
