"""A query by HTTP, with an end: how long it may take, how much may come, how often and how long it waits.

(address, form fields) -> parsed JSON. Raises FactsError in one line.
"""

import http.client
import queue
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass

from knowpack.errors import FactsError
from knowpack.facts.values import parsed

AGENT = "knowpack (https://pypi.org/project/knowpack)"
RETRIES = 4
BLOCK = 1 << 16


@dataclass(frozen=True, slots=True)
class Limits:
    """What an endpoint may ask of us."""

    pause_seconds: float = 1.0
    """Before a second try; twice as long before each further one."""
    answer_seconds: float = 75.0
    """For one whole answer, first to last byte. (Wikidata itself ends a query after 60 s.)"""
    wait_seconds: float = 60.0
    """The longest Retry-After that is waited for."""
    answer_bytes: int = 1 << 26
    """64 MiB: hundreds of times what a batch of names needs."""


def check_address(url: str) -> None:
    """Raise FactsError unless it is http or https with a host (file: would read from this machine)."""
    try:
        parts = urllib.parse.urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise FactsError(f"got --endpoint {url!r}, expected an address that begins with https:// or http://")


def post(url: str, fields: Mapping[str, str], limits: Limits) -> object:
    """POST a form; tries again where the endpoint is busy (429, 5xx) or breaks off, as long as it asks for."""
    check_address(url)
    request = urllib.request.Request(
        url,
        urllib.parse.urlencode(fields).encode(),
        {"Accept": "application/sparql-results+json", "User-Agent": AGENT},
    )
    for attempt in range(RETRIES):
        last = attempt == RETRIES - 1
        wait = limits.pause_seconds * 2 ** (attempt + 1)
        try:
            answer = _within(request, limits)
            break
        except urllib.error.HTTPError as error:
            error.close()  # an open response would live as long as the traceback
            retry_after = error.headers.get("Retry-After", "")
            if (error.code != 429 and error.code < 500) or last:
                raise FactsError(f"{url} refused the query: {error.code} {error.reason}") from None
            wait = float(retry_after[:9]) if retry_after.isascii() and retry_after.isdigit() else wait
            if wait > limits.wait_seconds:
                raise FactsError(
                    f"{url} asks to be left alone for {wait:.0f} s; what was fetched is kept, run it again then"
                ) from None
        except TimeoutError:
            raise FactsError(
                f"{url} gave no whole answer within {limits.answer_seconds:g} s; what was fetched is kept, "
                "run it again, with a smaller --batch"
            ) from None
        except (OSError, http.client.HTTPException) as error:
            if last:
                raise FactsError(f"{url} cannot be reached: {error}; what was fetched is kept, run it again") from None
        time.sleep(wait)
    try:
        return parsed(answer.decode("utf-8"))
    except ValueError as error:
        raise FactsError(f"{url} gave no JSON ({str(error)[:100]}); is it the query endpoint?") from None


def _within(request: urllib.request.Request, limits: Limits) -> bytes:
    """The answer's bytes. Raises TimeoutError after the time for a whole answer, however slowly its bytes drip.

    A socket's own timeout begins anew with every byte, so another thread reads, and is left behind when time is up.
    """
    ready: queue.Queue[bytes | BaseException] = queue.Queue()
    ends = time.monotonic() + limits.answer_seconds

    def read() -> None:
        try:
            ready.put(_read(request, limits, ends))
        except BaseException as error:  # handed to the caller, who raises it
            ready.put(error)

    threading.Thread(target=read, daemon=True, name="endpoint").start()
    try:
        answer = ready.get(timeout=limits.answer_seconds + 1)
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(answer, bytes):
        return answer
    if isinstance(answer, urllib.error.URLError) and isinstance(answer.reason, TimeoutError):
        raise TimeoutError
    raise answer


def _read(request: urllib.request.Request, limits: Limits, ends: float) -> bytes:
    opener = urllib.request.OpenerDirector()  # of http and https alone, also after a redirect
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    content = bytearray()
    with opener.open(request, timeout=limits.answer_seconds) as reply:
        while block := reply.read1(BLOCK):
            content += block
            if len(content) > limits.answer_bytes:
                mebibytes = limits.answer_bytes >> 20
                raise FactsError(f"{request.full_url} sent over {mebibytes} MiB in one answer; give a smaller --batch")
            if time.monotonic() > ends:
                raise TimeoutError
        missing = reply.length
    if missing:
        raise http.client.IncompleteRead(bytes(content[:0]), missing)
    return bytes(content)
