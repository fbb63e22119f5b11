"""The address of a served model: `served:http://host:port/v1#NAME` -> url and name."""

from typing import NamedTuple
from urllib.parse import urlsplit

from knowpack.config import SERVED
from knowpack.errors import ModelError

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
