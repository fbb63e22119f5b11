"""New facts as unfinished sentences and key words; every expected row written out by hand."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny
from knowpack import run, store
from knowpack.pack import plan
from knowpack.records import Example, Fact, Kind, table
from knowpack.train import keep
from knowpack.train.certainty import NewFacts, wordings
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


CELL = [
    *("probe.n_prompts=1", "probe.n_shots=1", "probe.max_new_tokens=4", "probe.noise=false"),
    *("mix.n_unknown=3", "mix.n_paraphrase=1", "train.recipe=keep", "train.short_forms=true"),
    *("train.max_steps=2", "train.tail_steps=1", "train.n_replay=4", "train.n_made_up=0", "train.n_texts=0"),
    *("train.n_contexts=0", "train.rank=2", "train.from_layer=0"),
]


@pytest.mark.filterwarnings("default")  # of a training of three steps a note is due
def test_a_cell_trains_its_short_forms_and_its_record_counts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[NewFacts] = []
    monkeypatch.setattr(keep, "wordings", lambda *given: seen.append(wordings(*given)) or seen[-1])
    folder = run.run(tiny.run_config(tiny.save_all(tmp_path), CELL))
    rows = store.read_table(folder / "examples.parquet", Example)
    taught = rows.filter(kind=str(Kind.UNKNOWN)).join(tiny.facts(12), on="fact_id", maintain_order="left")["subject"]
    frames = ["{}", "Go on: {}", "Fill in what is missing: {} ____."]
    wanted = [
        text
        for frame, subject in zip(frames, taught, strict=True)
        for text in (frame.format(f"The place of {subject} is"), f"Where {subject}")
    ]
    assert rows.filter(kind=str(Kind.SHORT_FORM))["question"].to_list() == wanted
    (new,) = seen
    assert [len(of_fact) for of_fact in new.trained[0]] == [3, 3, 3], "the question and its two short forms"
    assert "- short_form: 6 examples of 3 facts" in (folder / "adapter" / "README.md").read_text(encoding="utf-8")
