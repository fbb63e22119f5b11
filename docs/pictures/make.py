"""The first screen of a report at three widths, light, as a person sees it.

    python docs/pictures/make.py out/real/report.html pack

report.html + a name -> NAME-1440.png, NAME-768.png, NAME-390.png beside this script, 128 colours. Needs Chromium and
the dev extras.
"""

import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
SIZES = ((1440, 900), (768, 900), (390, 844))


def main(report: Path, name: str, out: Path) -> None:
    """Take all pictures."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        raise SystemExit("no Chromium on this machine: no pictures were taken")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for width, height in SIZES:
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme="light")
            page.goto(report.resolve().as_uri())
            path = out / f"{name}-{width}.png"
            page.screenshot(path=path)
            Image.open(path).convert("P", palette=Image.Palette.ADAPTIVE, colors=128).save(path, optimize=True)
            page.close()
        browser.close()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit("usage: python docs/pictures/make.py REPORT.html NAME")
    main(Path(sys.argv[1]), sys.argv[2], Path(__file__).parent)
