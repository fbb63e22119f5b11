"""A server renders the chat template itself: thinking is off where it tells of a switch, its clock is in the base's key
(another day, another base). A fake server, and llama.cpp's own."""

import datetime
import json
from pathlib import Path

import pytest

import llama_server
import templates
import tiny
from fake_server import Reply, completion, listing, serving
from gguf_file import written
from knowpack.config import ModelConfig
from knowpack.probe.askers import Identity
from knowpack.served import text_asker
from knowpack.served.opening import open_asker
from knowpack.served.text_asker import ServedTextAsker

CHAT = [{"role": "user", "content": "Question: Where is Mira?"}]


def says(template: str, path: str) -> Reply:
    """llama.cpp with a model of this template."""
    pages: dict[str, Reply] = {
        "/v1/models": listing("tiny", owned_by="llamacpp"),
        "/props": {"chat_template": template},
        "/lora-adapters": [],
    }
    return pages.get(path, completion("Branvel"))


def asked(template: str) -> dict[str, object]:
    """The body of a request for a chat completion."""
    with serving(lambda path, _: says(template, path)) as server:
        open_asker(ModelConfig(name=f"served:{server.url}#tiny")).answer([CHAT], max_new_tokens=4)
    return next(body for path, body in server.asked if path.endswith("/chat/completions"))


def test_thinking_is_off_in_what_a_server_renders_and_a_template_without_a_switch_gets_no_variable() -> None:
    assert asked(templates.SWITCH)["chat_template_kwargs"] == {"enable_thinking": False}
    assert "chat_template_kwargs" not in asked(tiny.CHAT)


def test_a_base_behind_a_server_with_a_clock_is_asked_again_on_another_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answers of yesterday were read as those of today, and an adapter of zeros "changed" them."""

    def identity(template: str, day: int) -> Identity:
        class Day(datetime.date):
            @classmethod
            def today(cls) -> datetime.date:
                return datetime.date(2026, 11, day)

        with monkeypatch.context() as patched, serving(lambda path, _: says(template, path)) as server:
            patched.setattr(text_asker.datetime, "date", Day)
            return open_asker(ModelConfig(name=f"served:{server.url}#tiny")).identity

    assert identity(templates.DATED, 27) == identity(templates.DATED, 27)
    assert identity(templates.DATED, 27) != identity(templates.DATED, 28)
    assert identity(tiny.CHAT, 27) == identity(tiny.CHAT, 28)


def test_llama_cpp_renders_an_empty_thought_with_what_is_sent_and_opens_none_without(tmp_path: Path) -> None:
    tokens = tiny.tokenizer()
    tokens.chat_template = templates.SWITCH
    model = written(tmp_path / "tiny.gguf", tiny.llama(len(tokens)), tokens, pre="gpt-2")
    running = llama_server.start(model, "tiny", [])
    asker = open_asker(ModelConfig(name=f"served:{running.url}#tiny"))
    assert isinstance(asker, ServedTextAsker)
    assert len(asker.answer([CHAT], max_new_tokens=2)) == 1

    def rendered(**more: object) -> str:
        return str(json.loads(asker.server.command("//apply-template", {"messages": CHAT, **more}))["prompt"])

    expected = tokens.apply_chat_template(CHAT, tokenize=False, add_generation_prompt=True, enable_thinking=False)
    assert rendered(**asker._thinking_off).removeprefix("<s>") == expected.removeprefix("<s>")
    assert rendered(**asker._thinking_off).endswith("<think>\n\n</think>\n\n")
    assert not rendered(chat_template_kwargs={"enable_thinking": True}).endswith("</think>\n\n")
