"""Likelihoods on a random Llama against transformers' own logits; distractors and passages by hand."""

from pathlib import Path

import pytest
import torch

import tiny
from knowpack import records
from knowpack.decode.decoder import Decoder
from knowpack.errors import ConfigError
from knowpack.further.likelihoods import Likelihood, PassageScore, likelihoods, passages, score_passages
from knowpack.model.loaded import Loaded, weights_hash
from knowpack.probe.prompts import Prompter
from knowpack.probe.turns import Shot
from knowpack.records import Fact


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    tokens = tiny.tokenizer()
    model = tiny.llama(len(tokens))
    return Loaded(model, tokens, "tiny", torch.device("cpu"), weights_hash(model))


def plain(loaded: Loaded, ids: list[int], answer: list[int]) -> float:
    """The sum of transformers' own log-softmax."""
    with torch.no_grad():
        logits = loaded.model(torch.tensor([ids + answer])).logits[0, len(ids) - 1 : -1].double()
    return float(logits.log_softmax(-1).gather(-1, torch.tensor(answer)[:, None]).sum())


def test_right_and_best_wrong_answer_are_transformers_own(loaded: Loaded) -> None:
    prompter, shots, facts = Prompter(loaded.tokenizer), [Shot("q0", "a0")], tiny.facts(9)
    found = list(records.rows(likelihoods(Decoder(loaded), prompter, facts, facts, shots, 5), Likelihood))
    for fact, one in zip(records.rows(facts, Fact), found, strict=True):
        ids = prompter.encode(shots, fact.question)
        assert one.right == pytest.approx(plain(loaded, ids, prompter.answer_ids(fact.answers[0])), abs=1e-3)
        others = [f.answers[0] for f in records.rows(facts, Fact) if f.relation == fact.relation and f != fact]
        scores = {other: plain(loaded, ids, prompter.answer_ids(other)) for other in others}  # two: fewer than five
        assert one.distractor == max(scores, key=lambda other: scores[other])
        assert one.wrong == pytest.approx(max(scores.values()), abs=1e-3)


def test_an_alias_is_no_distractor_and_a_lone_answer_has_none(loaded: Loaded) -> None:
    facts = records.table(
        [
            Fact("a", "Q", ("Tavin", "Okro"), relation="r"),
            Fact("b", "P", ("okro!",), relation="r"),
            Fact("c", "R", ("X",)),
        ],
        Fact,
    )
    found = likelihoods(Decoder(loaded), Prompter(loaded.tokenizer), facts, facts, [], 8)
    assert found["distractor"].to_list() == [None, "Tavin", None]


def test_passages_are_scored_after_the_first_token(loaded: Loaded) -> None:
    texts = ["Tavin Okro lead", "Where is the city?"]
    found = list(records.rows(score_passages(Decoder(loaded), Prompter(loaded.tokenizer), texts), PassageScore))
    for text, one in zip(texts, found, strict=True):
        ids = list(loaded.tokenizer(text, add_special_tokens=False)["input_ids"])
        assert one.n_tokens == len(ids)
        assert one.logprob == pytest.approx(plain(loaded, [loaded.tokenizer.bos_token_id], ids), abs=1e-3)


def test_the_packages_text_and_one_of_ones_own(tmp_path: Path) -> None:
    assert len(passages("auto")) == 20
    path = tmp_path / "own.txt"
    path.write_text("one\nline\n\n\n  two \n")
    assert passages(str(path)) == ["one line", "two"]
    with pytest.raises(ConfigError, match="give a text file"):
        passages(str(tmp_path / "none.txt"))
    path.write_text(" \n\n ")
    with pytest.raises(ConfigError, match="holds no text"):
        passages(str(path))
