"""The address of a served model: `served:http://host:port/v1#NAME` -> url and name."""

import os
import socket
from typing import NamedTuple
from urllib.parse import urlsplit

from knowpack.config import SERVED
from knowpack.errors import ModelError

PATIENCE_SECONDS = 5.0
PROXIES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
FORM = "served:http://host:port/v1#NAME"


class Address(NamedTuple):
    """Where a model is served, and what it is called there."""

    url: str
    """Of the API, without a slash at its end: http://host:port/v1."""
    name: str

    @property
    def root(self) -> str:
        """What stands before /v1: a server's own pages."""
        return self.url.removesuffix("/v1")


def check_answers(address: Address) -> None:
    """Raise ModelError where nothing takes a connection there; through a proxy that is the proxy's to know."""
    parts = urlsplit(address.url)
    port = parts.port or (80 if parts.scheme == "http" else 443)
    if any(os.environ.get(key) for key in PROXIES):
        return
    try:
        socket.create_connection((parts.hostname or "", port), timeout=PATIENCE_SECONDS).close()
    except OSError as error:
        raise ModelError(
            f"no server answers at {address.url} ({error.strerror or error}); start it, or mend the address: {FORM}"
        ) from None


def parse(name: str) -> Address:
    """Raises ModelError in one line where it is no address. A key goes into OPENAI_API_KEY, never into the name."""
    url, sign, model = name.removeprefix(SERVED).partition("#")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if not sign or not model or parts.scheme not in ("http", "https") or not host or not url.isprintable():
        raise ModelError(f"got the model {name!r}; expected {FORM}")
    if parts.username is not None or parts.query:
        raise ModelError(f"the address of {model} holds a key or a query; put the key into OPENAI_API_KEY: {FORM}")
    return Address(url.rstrip("/"), model)
