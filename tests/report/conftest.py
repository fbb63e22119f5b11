"""A made-up study with its report, and a browser to look at it with."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import synthetic
from opened import FLAGS, Open, Opened

from knowpack import report

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PATIENCE = int(os.environ.get("KNOWPACK_PATIENCE_MS", "120000"))  # other work may share the machine


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of 600 facts, 11 cells, one of them a sham; one cell failed, one missing."""
    return synthetic.write(tmp_path_factory.mktemp("work"), n_facts=600, n_cells=11)


@pytest.fixture(scope="session")
def built(study: Path) -> Path:
    """Its report.html."""
    return report.build(study)


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """The system's Chromium; the tests that need it are skipped where there is none."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium on this machine: the report was not opened in a browser")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install knowpack[dev]")
    with api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=FLAGS, timeout=PATIENCE)
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser: "Browser") -> Iterator[Open]:
    """open_page(path, fragment="", width=1280, scheme="light") -> Opened, the facts listed."""
    opened: list[Page] = []

    def open_(path: Path, fragment: str = "", width: int = 1280, scheme: str = "light") -> Opened:
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme, accept_downloads=True)  # type: ignore[arg-type]
        page.set_default_timeout(PATIENCE)
        console: list[str] = []
        requests: list[str] = []
        page.on("console", lambda message: console.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: console.append(f"exception: {error}"))
        page.on("request", lambda request: requests.append(request.url))
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})

        def seconds() -> float:
            metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
            return float(metrics["TaskDuration"])

        page.goto(path.as_uri() + fragment)
        page.wait_for_selector("#list .row")
        opened.append(page)
        return Opened(page, console, requests, seconds)

    yield open_
    for page in opened:
        page.close()
