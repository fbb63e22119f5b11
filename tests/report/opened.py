"""A report opened in the browser, as the tests hold it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from playwright.sync_api import Page

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Opened(NamedTuple):
    """A page in the browser, and what it said and asked for."""

    page: "Page"
    console: list[str]
    requests: list[str]
    seconds: Callable[[], float]
    """What the page has computed so far: processor seconds of its thread, whatever else the machine does."""


Open = Callable[..., Opened]
