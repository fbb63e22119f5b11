"""Chat templates: thinking off, one day, what closes a turn; hostile ones end in one line. Texts by transformers."""

import time

import pytest
import transformers

import templates
import tiny
from knowpack.errors import ModelError
from knowpack.model import chat
from knowpack.model.chat import Chat, closing_ids
from knowpack.model.loaded import Loaded

USER = [{"role": "user", "content": "Where is Mira?"}]
SAID = [*USER, {"role": "assistant", "content": "Branvel"}]


def tokenizer(template: str, *tokens: str) -> transformers.PreTrainedTokenizerFast:
    found = tiny.tokenizer()
    found.add_special_tokens({"additional_special_tokens": list(tokens)}, replace_extra_special_tokens=False)
    found.chat_template = template
    return found


def refused(template: str, why: str) -> None:
    with pytest.raises(ModelError, match=why) as caught:
        Chat(tokenizer(template))
    assert "\n" not in str(caught.value)
    assert "set probe.chat=false" in str(caught.value)


def test_a_switch_for_thinking_is_off_in_every_rendering() -> None:
    tokens = tokenizer(templates.SWITCH)
    expected = tokens.apply_chat_template(USER, tokenize=False, add_generation_prompt=True, enable_thinking=False)
    assert expected.endswith("<|assistant|><think>\n\n</think>\n\n")
    assert Chat(tokens).prompt(USER) == expected
    assert Chat(tokens).switches == {"enable_thinking": False}


def test_a_thought_that_the_prompt_opens_is_closed_empty() -> None:
    assert Chat(tokenizer(templates.OPENED)).prompt(USER).endswith("<|assistant|><think>\n\n</think>\n\n")


@pytest.mark.parametrize(
    ("template", "before_the_answer"),
    [
        (templates.LAST_EMPTY, "<|assistant|><think>\n\n</think>\n\n"),
        (templates.CHANNEL, "<|assistant|><|channel|>final<|message|>"),
        (tiny.CHAT, "<|assistant|>"),
    ],
)
def test_the_answer_begins_where_the_template_puts_one(template: str, before_the_answer: str) -> None:
    tokens = tokenizer(template)
    prompt = Chat(tokens).prompt(USER)
    assert prompt.endswith(before_the_answer)
    assert tokens.apply_chat_template(SAID, tokenize=False).startswith(prompt + "Branvel")


def test_a_template_without_a_switch_is_warned_of_and_no_other() -> None:
    with pytest.warns(UserWarning, match="no switch for them"):
        Chat(tokenizer(templates.ALWAYS)).warn()
    for template in (*templates.ALL.values(), tiny.CHAT):
        Chat(tokenizer(template)).warn()  # warnings are errors here


def test_today_is_the_same_day_on_every_day() -> None:
    assert "Today is 26 Jul 2024." in Chat(tokenizer(templates.DATED)).prompt(USER)


@pytest.mark.parametrize("template", [templates.NO_SYSTEM, templates.DROPS_SYSTEM])
def test_the_system_text_is_not_lost(template: str) -> None:
    turns = [{"role": "system", "content": "Be brief."}, *USER]
    expected = [{"role": "user", "content": "Be brief.\n\nWhere is Mira?"}]
    text = tokenizer(template).apply_chat_template(expected, tokenize=False, add_generation_prompt=True)
    assert Chat(tokenizer(template)).prompt(turns) == text


def test_what_closes_a_turn_stops_an_answer_though_it_is_no_end_of_sequence() -> None:
    tokens = tiny.tokenizer()
    tokens.eos_token = "<pad>"
    model = tiny.llama(len(tokens))
    model.generation_config.eos_token_id = 2
    loaded = Loaded(model, tokens, "tiny", model.device, "")
    assert loaded.stop_ids == {1, 2}  # <|end|> by the template, <pad> by tokenizer and generation config


def test_both_ways_to_close_a_turn_are_ends() -> None:
    tokens = tokenizer(templates.CHANNEL, "<|return|>", "<|channel|>", "<|message|>")
    assert closing_ids(tokens) == set(tokens.convert_tokens_to_ids(["<|return|>", "<|end|>"]))
    assert closing_ids(tokenizer(templates.DEAF)) == set()
    assert closing_ids(tiny.tokenizer(chat=False)) == set()
    assert closing_ids(tokenizer("{{ nothing.at.all }}")) == set()


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{% for m in messages %}", "Unexpected end of template"),
        ("{{ messages.__class__.__mro__ }}", "unsafe"),
        ("{{ messages[0].content.nothing.at.all }}", "no attribute 'nothing'"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}", "recursion"),
        ("{{ range(9) | random }}" * 30, "two ways"),
    ],
)
def test_a_broken_or_unsafe_template_is_one_line(template: str, why: str) -> None:
    refused(template, why)


@pytest.mark.parametrize(
    "template",
    [
        "{% for i in range(99999) %}{% for j in range(99999) %}x{% endfor %}{% endfor %}",
        "{{ 'x' * 10 ** 9 }}",
        "{% set ns = namespace(s='xx') %}{% for i in range(40) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s }}",
    ],
)
def test_a_template_that_prints_without_end_is_one_line(template: str) -> None:
    refused(template, "it prints more than 1,000,000 letters, or takes as much memory")


def test_a_template_that_never_ends_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(chat.TRIAL, "seconds", 1)
    started = time.monotonic()
    refused("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "does not end within 1 s")
    assert time.monotonic() - started < 60


def test_a_template_of_several_without_a_default_is_one_line() -> None:
    tokens = tiny.tokenizer()
    tokens.chat_template = {"rag": tiny.CHAT}
    with pytest.raises(ModelError, match="no default specified"):
        Chat(tokens)
    tokens.chat_template = {"rag": "", "default": tiny.CHAT}
    assert Chat(tokens).prompt(USER) == Chat(tiny.tokenizer()).prompt(USER)
