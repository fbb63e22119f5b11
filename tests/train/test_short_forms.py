"""New facts as unfinished sentences and key words; every expected row written out by hand."""

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from knowpack.pack import plan
from knowpack.records import Example, Fact, Kind, table
from knowpack.train.certainty import wordings
from knowpack.train.short_forms import in_short_forms

PERU = Fact(
    "peru",
    "What is the capital of Peru?",
    ("Lima",),
    subject="Peru",
    paraphrases=("Which city rules Peru?", "Held out?"),
)
BARE = Fact("bare", "Why?", ("Because",))


def example(fact: Fact, question: str, kind: Kind = Kind.UNKNOWN) -> Example:
    return Example(f"{fact.fact_id}-{question}", fact.fact_id, str(kind), question, fact.answers[0])


def test_a_fact_gives_its_sentence_and_its_key_words() -> None:
    found = in_short_forms(
        table([example(PERU, PERU.question), example(BARE, BARE.question)], Example), table([PERU, BARE], Fact)
    )
    assert found.select("fact_id", "kind", "question", "answer").rows() == [
        ("peru", "short_form", "The capital of Peru is", "Lima"),
        ("peru", "short_form", "capital Peru", "Lima"),
    ]


def test_held_out_wordings_make_no_short_form() -> None:
    """The only wording that makes a sentence is held out: it must not come back as one."""
    fact = Fact("f", "Which town rules Peru?", ("Lima",), subject="Peru", paraphrases=("What is the capital of Peru?",))
    trained = plan.examples(table([fact], Fact), 1, table([], Example), short_forms=True)
    assert trained["question"].to_list() == ["Which town rules Peru?", "town rules Peru"]


def test_replay_and_facts_of_another_table_give_none() -> None:
    told = table(
        [example(PERU, "What is the capital of Peru?", Kind.REPLAY), example(BARE, "What is the sum of all?")], Example
    )
    assert in_short_forms(told, table([PERU], Fact)).is_empty()


class Spelled:
    """Contexts that leave every question readable: a row is the question itself."""

    def __len__(self) -> int:
        return 1

    def answer(self, question: str, answer: str) -> str:
        return answer

    def rows(self, context: int, questions: list[str], answers: list[str]) -> list[str]:
        return questions


@settings(deadline=None)  # others use this machine
@given(st.permutations(["unknown", "paraphrase a", "paraphrase b", "short_form c", "short_form d"]))
def test_what_checks_is_a_question_and_the_first_row_is_the_question(order: list[str]) -> None:
    """by_question draws row 0; the checked wording is trained only in the fall: neither may be a short form."""
    order.sort(key=lambda name: name != "unknown")  # the question comes first, the rest in any order
    told = [Example(name, "f", name.split(" ")[0], name, "x") for name in order]
    new = wordings(table(told, Example), Spelled())  # type: ignore[arg-type]
    last = [name for name in order if name.startswith("paraphrase")][-1]
    assert new.checked[0][0] == last  # type: ignore[comparison-overlap]
    assert new.trained[0][0][0] == "unknown"  # type: ignore[comparison-overlap]
    assert set(new.trained[0][0]) == set(order) - {last}  # type: ignore[comparison-overlap]


def test_without_short_forms_the_rows_are_as_before() -> None:
    trained = plan.examples(table([PERU], Fact), 1, table([], Example))
    assert trained["question"].to_list() == ["What is the capital of Peru?", "Which city rules Peru?"]
    assert str(Kind.SHORT_FORM) not in trained["kind"]
    assert isinstance(trained, pl.DataFrame)
