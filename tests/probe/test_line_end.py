"""A plain answer ends at its line's end; the trap: 32 tokens spent on 3, a blank first line taken for the end."""

import pytest
import torch
from transformers import StoppingCriteriaList, StopStringCriteria

import tiny
from knowpack.config import ProbeConfig, RunConfig
from knowpack.decode.decoder import Decoder
from knowpack.model.loaded import Loaded, weights_hash
from knowpack.probe import probe as stage
from knowpack.probe.line_end import LineEnd, cut, has_ended
from knowpack.probe.prompts import Prompter
from knowpack.probe.turns import Shot


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (" Paris\n\nQuestion: Who", " Paris"),
        (" Paris Question: Who", " Paris "),
        ("\n\nParis\nmore", "\n\nParis"),  # a blank line says nothing
        (" Paris: a town", " Paris: a town"),
        ("\n", "\n"),
        ("Question: Who", ""),
    ],
)
def test_where_an_answer_ends(text: str, kept: str) -> None:
    assert cut(text) == kept
    assert has_ended(text) == (kept != text)


def test_an_answer_ends_with_the_first_token_that_ends_its_line() -> None:
    tokens = tiny.tokenizer(chat=False)
    until = LineEnd(tokens.decode)
    ids = tokens("Mira\nQuestion", add_special_tokens=False)["input_ids"]
    ends = [until(ids[: n + 1]) for n in range(len(ids))]
    assert ends.index(True) == next(n for n in range(len(ids)) if "\n" in tokens.decode(ids[: n + 1]))


def made() -> Loaded:
    tokens = tiny.tokenizer(chat=False)
    model = tiny.llama(len(tokens), seed=3)
    with torch.no_grad():
        model.lm_head.weight[tokens("\n", add_special_tokens=False)["input_ids"]] *= 3  # lines end now and then
    return Loaded(model, tokens, "tiny", torch.device("cpu"), weights_hash(model))


def test_a_plain_probe_stops_where_transformers_stops_at_the_strings() -> None:
    loaded, shots, table = made(), [[Shot("Who?", "Tavin")], [Shot("Where?", "Branvel")]], tiny.facts(12)
    prompter = Prompter(loaded.tokenizer)
    config = ProbeConfig(max_new_tokens=24)
    found = stage.probe(Decoder(loaded), table, shots, prompter, config).collect()
    whole = stage.probe(Decoder(loaded), table, shots, prompter, config.model_copy(update={"stop": False})).collect()
    assert found["text"].to_list() == [cut(text) for text in whole["text"]]
    assert found["text"].to_list() != whole["text"].to_list(), "no answer ended early: the test does not test stopping"
    ids = prompter.encode(shots[0], table["question"][0])
    stop = StoppingCriteriaList([StopStringCriteria(loaded.tokenizer, ["\n", "Question:"])])
    told = loaded.model.generate(
        torch.tensor([ids]), max_new_tokens=24, do_sample=False, stopping_criteria=stop, pad_token_id=2
    )
    text = loaded.tokenizer.decode(told[0, len(ids) :], skip_special_tokens=True)
    assert found["text"][0] == cut(text)


def test_the_papers_presets_do_not_stop_there() -> None:
    assert RunConfig().probe.stop
    assert not RunConfig.model_validate({"preset": "paper"}).probe.stop
    assert not RunConfig.model_validate({"preset": "authors"}).probe.stop
