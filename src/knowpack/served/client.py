"""Requests to a server of the OpenAI API: many at once, with limits, retries and one clear line when it is silent.

bodies -> answers, in their order. An answer is what `read` makes of a response; whatever it cannot read raises, so that
a request that failed is never an answer. Inside `keeping` every answer goes to a file as it comes.
"""

import asyncio
import json
import logging
import os
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from knowpack import store
from knowpack.config import ServedConfig
from knowpack.errors import ModelError, StoreError
from knowpack.served.address import Address
from knowpack.served.answer_journal import AnswerJournal

if TYPE_CHECKING:
    from openai import AsyncOpenAI

T = TypeVar("T")
Body = dict[str, object]


class Ask(NamedTuple):
    """One request."""

    body: Body
    last: int = 0
    """How many of its prompt's last tokens it is about; 0 = what follows them."""


MARGIN_SECONDS = 30.0  # for the pauses between tries
AGAIN = "what was answered is kept: run the same command again"


class Server:
    """One server; nothing is open between two calls."""

    def __init__(self, address: Address, settings: ServedConfig) -> None:
        """Raises ModelError where the client is not installed."""
        try:
            import openai  # noqa: F401
        except ImportError:
            raise ModelError("served models need the openai client: pip install 'knowpack[served]'") from None
        logging.getLogger("httpx2").setLevel(logging.WARNING)  # a line for each request
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self.address = address
        self.settings = settings
        self._kept: AnswerJournal | None = None

    @contextmanager
    def keeping(self, path: Path) -> Iterator[None]:
        """Within, answers go to this file, and those in it are not asked for again."""
        self._kept = AnswerJournal(path)
        try:
            yield
        finally:
            self._kept.close()
            self._kept = None

    def page(self, path: str) -> object | None:
        """A page of the server as JSON; None where it has none by this path, or one that is no JSON.

        path: "/models" below the API, or with the server's root "//props".
        """
        text = self._run(lambda client: self._send(client, path))
        try:
            content: object = json.loads(text)
        except (ValueError, RecursionError):
            return None
        return content

    def command(self, path: str, body: Body) -> str:
        """Send one body; the text of the answer. Raises ModelError in one line."""
        return self._run(lambda client: self._send(client, path, body))

    def ask(self, path: str, asks: Sequence[Ask], read: Callable[[Ask, object], T]) -> list[T]:
        """Answers to all requests, in order; equal ones are asked once.

        read: a request and its response's JSON -> what is kept of it, itself plain JSON; raises ModelError where it is
        no answer. All that were answered before the first failure are kept.
        """
        keys = [store.hash_of([path, *ask]) for ask in asks]
        known: dict[str, object] = self._kept.known if self._kept else {}
        new = {key: ask for key, ask in zip(keys, asks, strict=True) if key not in known}
        if new:
            self._run(lambda client: self._ask(client, path, new, read, known))
        return [known[key] for key in keys]  # type: ignore[misc]

    async def _ask(
        self,
        client: "AsyncOpenAI",
        path: str,
        asks: dict[str, Ask],
        read: Callable[[Ask, object], T],
        known: dict[str, object],
    ) -> None:
        gate = asyncio.Semaphore(self.settings.concurrency)
        failures: list[ModelError | StoreError] = []

        async def one(key: str, ask: Ask) -> None:
            async with gate:
                if failures:  # those under way end, no others begin
                    return
                try:
                    answer = read(ask, self._parsed(await self._send(client, path, ask.body)))
                    known[key] = answer
                    if self._kept:
                        self._kept.add(key, answer)
                except (ModelError, StoreError) as error:
                    failures.append(error)

        await asyncio.gather(*(one(*pair) for pair in asks.items()))
        if failures:
            raise failures[0]

    async def _send(self, client: "AsyncOpenAI", path: str, body: Body | None = None) -> str:
        """One request with its retries -> the response's text. body None: a page, "" where there is none."""
        import openai

        url = self.address.root + path[1:] if path.startswith("//") else path
        where = f"the server at {self.address.url}"
        tries = self.settings.retries + 1
        seconds = self.settings.timeout_seconds
        try:
            async with asyncio.timeout(tries * seconds + MARGIN_SECONDS):
                if body is None:
                    return str(await client.get(url, cast_to=str))
                return str(await client.post(url, body=body, cast_to=str))
        except (openai.APITimeoutError, TimeoutError):
            raise ModelError(
                f"{where} did not answer within {seconds:g} s ({tries} tries); lower model.served.concurrency or raise "
                f"model.served.timeout_seconds; {AGAIN}"
            ) from None
        except openai.APIConnectionError as error:
            reason = printable(str(error.__cause__ or error))
            raise ModelError(f"{where} is gone ({tries} tries: {reason}); start it; {AGAIN}") from None
        except openai.NotFoundError as error:
            if body is None:
                return ""
            raise ModelError(f"{where} refused a request: {error_of(error.body, error.message)}") from None
        except openai.APIStatusError as error:
            raise ModelError(
                f"{where} refused a request (status {error.status_code}): "
                f"{error_of(error.body, error.message)}; {AGAIN}"
            ) from None
        except openai.OpenAIError as error:
            raise ModelError(f"{where}: {printable(str(error))}; {AGAIN}") from None

    def _parsed(self, text: str) -> object:
        try:
            content: object = json.loads(text)
        except (ValueError, RecursionError):
            raise ModelError(
                f"the server at {self.address.url} gave something that is no JSON: {printable(text)}; "
                f"is that an OpenAI API? {AGAIN}"
            ) from None
        return content

    def _run(self, work: "Callable[[AsyncOpenAI], Awaitable[T]]") -> T:
        """Run it to its end, with a client of its own; also where a loop runs already (a notebook)."""

        async def whole() -> T:
            from openai import AsyncOpenAI

            key = None if os.environ.get("OPENAI_API_KEY") else "none"  # the client reads it by itself
            async with AsyncOpenAI(
                base_url=self.address.url,
                api_key=key,
                timeout=self.settings.timeout_seconds,
                max_retries=self.settings.retries,
            ) as client:
                return await work(client)

        return _blocking(whole())


def _blocking(work: Coroutine[object, object, T]) -> T:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def error_of(body: object, otherwise: str) -> str:
    """A server's own words of an error, in one line."""
    for key in ("error", "message", "detail"):
        if isinstance(body, dict) and key in body:
            body = body[key]
    return printable(body if isinstance(body, str) and body else otherwise)


def printable(text: str, longest: int = 200) -> str:
    """A foreign text as it may be printed: one line, no control characters, not too long."""
    line = "".join(char if char.isprintable() else " " for char in text[: 4 * longest])
    line = " ".join(line.split())
    return line if len(line) <= longest else line[:longest] + "..."
