"""The TextAsker of a server: chat messages in, text out; any API that speaks as OpenAI's does.

Server + Description -> ServedTextAsker. Sampling settings are sent with every request, so that a server's own defaults
change nothing; they are part of the identity.
"""

import datetime
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from knowpack import store
from knowpack.errors import ModelError
from knowpack.model.chat import switches_of
from knowpack.probe.askers import Identity
from knowpack.probe.turns import Message
from knowpack.served import server_adapters
from knowpack.served.client import Ask, Body, Server, error_of, printable
from knowpack.served.kinds import Description, Kind

NEUTRAL: Mapping[Kind, Mapping[str, object]] = {
    "vllm": {"top_p": 1.0, "top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0},
    "llama.cpp": {"top_p": 1.0, "top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0},
    "other": {"top_p": 1.0},
}
"""Beside the temperature: the model's own distribution, nothing cut off or moved."""
LARGEST_SEED = (1 << 31) - 1
CLOCK = "strftime_now"
"""What a template calls to print today's date."""


@dataclass(frozen=True)
class ServedTextAsker:
    """A TextAsker over a server."""

    server: Server
    description: Description
    revision: str | None
    """The user's own mark."""
    model: str
    """What the requests name."""
    adapter: str | None = None
    """What the answers are given with, by its content where that is known."""
    extra: Mapping[str, object] | None = None
    """Sent with every request: llama.cpp's scales of adapters."""

    @property
    def name(self) -> str:
        """As the server calls it, and the adapter."""
        return self.server.address.name + (f" + {self.adapter}" if self.adapter else "")

    @property
    def identity(self) -> Identity:
        """What the server says of the model; by text, under which sampling; its chat template where it tells."""
        template, off = self.description.chat_template, self._thinking_off
        dated = CLOCK in (template or "")  # the server's own clock: another day is another prompt
        return Identity(
            store.hash_of(["served", dict(self.description.answers), self.revision, self.adapter]),
            store.hash_of(
                ["text", self.description.kind, dict(NEUTRAL[self.description.kind]), *([off] if off else [])]
            ),
            store.hash_of([template, datetime.date.today().isoformat()] if dated else template),
        )

    @property
    def _thinking_off(self) -> dict[str, object]:
        """Variables for the server's chat template, as every rendering here has them: llama.cpp tells which it has."""
        switches = switches_of(self.description.chat_template or "")
        return {"chat_template_kwargs": switches} if switches and self.description.kind == "llama.cpp" else {}

    @property
    def device(self) -> str:
        """No device of this machine's."""
        return f"served by {self.description.kind}"

    def answer(
        self,
        chats: Sequence[Sequence[Message]],
        *,
        max_new_tokens: int,
        temperature: float = 0.0,
        seed: int | None = None,
    ) -> list[str]:
        """The assistant's next turn of each chat. Raises ModelError in one line where one cannot be had."""
        settings: Body = {
            "model": self.model,
            "max_tokens": max_new_tokens,
            "temperature": temperature,
            **NEUTRAL[self.description.kind],
            **self._thinking_off,
            **(self.extra or {}),
        }
        if temperature > 0 and seed is not None:
            settings["seed"] = seed % LARGEST_SEED
        asks = [Ask({**settings, "messages": list(chat)}) for chat in chats]
        return self.server.ask("/chat/completions", asks, partial(_text, self.server.address.url))

    def keeping(self, path: Path) -> AbstractContextManager[None]:
        """Within, every answer is appended to this file, and what stands in it already is not asked again."""
        return self.server.keeping(path)

    @contextmanager
    def with_adapter(self, adapter: str | Path) -> Iterator["ServedTextAsker"]:
        """The same model with an adapter that its server has, or can load."""
        if self.description.kind == "vllm":
            with server_adapters.loaded_by_vllm(self.server, adapter) as name:
                yield replace(self, adapter=name, model=name)
        else:
            yield self.for_good(adapter)

    def for_good(self, adapter: str | Path) -> "ServedTextAsker":
        """The same without an end: vLLM keeps the adapter, under its content's name."""
        if self.description.kind == "llama.cpp":
            scaled = server_adapters.one_on_in_llama_cpp(self.server, str(adapter))
            return replace(self, adapter=scaled.content, extra=scaled.scales)
        if self.description.kind != "vllm":
            raise ModelError(
                f"the server at {self.server.address.url} takes no adapters that knowpack knows of; "
                "serve the tuned model under a name of its own, and compare with --tuned"
            )
        name = server_adapters.load_into_vllm(self.server, adapter)
        return replace(self, adapter=name, model=name)


def _text(url: str, _: Ask, response: object) -> str:
    """The text of a chat completion; a response without one is no answer."""
    try:
        choice = response["choices"][0]  # type: ignore[index]
        content, why = choice["message"]["content"], choice.get("finish_reason")
    except (KeyError, IndexError, TypeError, AttributeError):
        raise ModelError(
            f"the server at {url} gave no chat completion: {error_of(response, printable(str(response)))}"
        ) from None
    if why == "length" and not content:
        raise ModelError(
            f"the model at {url} used up its tokens before an answer (does it think first?); raise probe.max_new_tokens"
        )
    if why == "content_filter" or not isinstance(content, str):
        raise ModelError(
            f"the server at {url} withheld an answer (finish_reason {printable(str(why))}); nothing is scored"
        )
    return content
