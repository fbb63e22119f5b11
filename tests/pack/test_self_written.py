"""Without a table of known facts: what is a question of the model's own, and that its answers are no knowledge."""

import pytest
import torch

import tiny
from knowpack.config import RunConfig
from knowpack.errors import ModelError
from knowpack.measure import own_answers
from knowpack.model.loaded import Loaded
from knowpack.pack.self_written import answered, question_of, written
from knowpack.probe.askers import Generated
from knowpack.probe.prompts import Prompter
from knowpack.probe.turns import Shot
from knowpack.records import SELF_WRITTEN, Fact, Figure, table

SHOTS = [Shot("Who leads Orlen Works?", "Tavin Okro")]


@pytest.mark.parametrize(
    ("text", "question"),
    [
        (" Who wrote the book of\tMira?\nAnswer: Bo", "Who wrote the book of Mira?"),
        ("Where is it? Question: Who?", "Where is it?"),
        ("Who?", None),  # too short to be about anything
        ("The city of Branvel.", None),
        ("Tell me\nwho is it?", None),  # the question is not what came first
        ("Is \x1b[1m this so?", None),  # no escape sequence becomes a question
    ],
)
def test_the_first_question_that_was_written(text: str, question: str | None) -> None:
    assert question_of(text) == question


@pytest.mark.parametrize("chat", [True, False])
def test_the_model_goes_on_where_a_question_begins(chat: bool) -> None:
    prompter = Prompter(tiny.tokenizer(chat), chat=chat)
    begun = prompter.decode(prompter.before_question(SHOTS))
    assert begun.endswith("Question:")
    assert begun.count("Question:") == 2  # the shot's, and its own
    assert prompter.decode(prompter.encode(SHOTS, "Who is Zed?")).startswith(begun)


class Says:
    """A backend by token ids that answers everything alike."""

    def __init__(self, prompter: Prompter, text: str) -> None:
        self.ids = prompter.continuation(text)

    def generate_each(self, asked, *, max_new_tokens, until=None, finished=None):  # type: ignore[no-untyped-def]
        return [[Generated(self.ids, None) for _ in tails] for _, tails, *_ in asked]


def test_its_own_answers_are_the_right_ones_refusals_too() -> None:
    prompter = Prompter(tiny.tokenizer())
    asked = ["Who is Zed?", "Who is Ypsilon?"]
    facts = answered(Says(prompter, "Answer: I do not know."), prompter, RunConfig(), SHOTS, asked)  # type: ignore[arg-type]
    assert facts["answers"].to_list() == [["I do not know."]] * 2
    assert facts["question"].to_list() == asked
    assert facts["source"].unique().to_list() == [SELF_WRITTEN]
    with pytest.raises(ModelError, match="--known"):
        answered(Says(prompter, ""), prompter, RunConfig(), SHOTS, [])  # type: ignore[arg-type]


def test_the_same_seed_writes_the_same_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    from knowpack.decode.transformers_asker import TransformersAsker

    tokens = tiny.tokenizer()
    base = TransformersAsker(Loaded(tiny.llama(len(tokens)), tokens, "tiny", torch.device("cpu"), "0" * 16))
    monkeypatch.setattr("knowpack.pack.self_written.question_of", lambda text: text)  # random weights ask nothing
    first, again, other = (written(base, Prompter(tokens), [SHOTS], 20, seed) for seed in (1, 1, 2))
    assert len(first) == 20
    assert first == again
    assert first != other


def test_what_is_kept_is_never_called_known() -> None:
    mine = Fact("a", "Who?", ("Bo",), source=SELF_WRITTEN)
    new = Fact("b", "Whose?", ("Cy",), source="facts")
    facts = table([mine, new], Fact)
    assert own_answers.written_by_the_model(facts, {"b"})
    assert not own_answers.written_by_the_model(facts, set())
    assert not own_answers.written_by_the_model(facts, {"a", "b"})
    found = own_answers.renamed([Figure("known_lost_net", "default", 0.1, n=9), Figure("harm_net", "default", 0.2)])
    assert [(one.name, one.value, one.n) for one in found] == [("own_lost_net", 0.1, 9), ("harm_net", 0.2, None)]


def test_figures_of_knowledge_are_not_there_for_its_own_answers() -> None:
    """Its own refusals are among its answers: "false refusals of known facts" would count those it keeps."""
    given = [Figure(name, "default", 0.5) for name in ("refused_known_base", "ece_change", "auroc", "earlier_right")]
    assert [one.name for one in own_answers.renamed(given)] == ["earlier_right"]
    assert own_answers.named({"known_lost_net": 1, "ece": 2}) == {"own_lost_net": 1}
