"""The pictures of a report for the README: wide and narrow, light and dark.

    python docs/screenshots/make.py work/studies/demo/report.html

report.html -> PNG files beside this script, each below 300 kB (128 colours). Needs Chromium and the dev extras.
"""

import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
SHOTS = (  # file, width, height, scheme, the heading at the top, a fact is open
    ("wide-light", 1280, 1560, "light", None, False),
    ("study-dark", 1280, 1500, "dark", "study-title", False),
    ("facts-light", 1280, 900, "light", "facts-title", True),
    ("narrow-light", 375, 1200, "light", None, False),
    ("narrow-dark", 375, 1200, "dark", "facts-title", True),
)
PATIENCE = 300_000  # ms


def main(report: Path, out: Path) -> None:
    """Take all pictures."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        raise SystemExit("no Chromium on this machine: no pictures were taken")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS, timeout=PATIENCE)
        for name, width, height, scheme, heading, opened in SHOTS:
            take(browser, report, out / f"{name}.png", (width, height), scheme, heading, opened)
        browser.close()


def take(
    browser: Browser, report: Path, out: Path, size: tuple[int, int], scheme: str, heading: str | None, opened: bool
) -> None:
    """One picture; with `opened`, of a known fact that was lost."""
    page = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)  # type: ignore[arg-type]
    page.set_default_timeout(PATIENCE)
    page.goto(report.resolve().as_uri() + ("#before=HighlyKnown&move=fell&sort=fell" if opened else ""))
    page.wait_for_selector("#list .row")
    page.wait_for_selector("html[data-drawn=yes]")
    if opened:
        page.click("#list .row")
        page.wait_for_selector("#detail .answers")
    if heading:
        page.evaluate("id => document.getElementById(id).scrollIntoView()", heading)
    page.screenshot(path=out)
    page.close()
    Image.open(out).convert("RGB").quantize(128, dither=Image.Dither.NONE).save(out, optimize=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python docs/screenshots/make.py REPORT.html")
    main(Path(sys.argv[1]), Path(__file__).parent)
