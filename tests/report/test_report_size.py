"""A report as large as the paper's study: 21,036 facts in 31 cells. The texts are made up, the sizes are not."""

from collections.abc import Callable
from pathlib import Path

import pytest
import synthetic
from opened import Open, Opened

from knowpack.report import page, source
from knowpack.report.report_data import measure

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    study = synthetic.write(tmp_path_factory.mktemp("paper"), n_facts=21_036, n_cells=31, n_drawn=2)
    return page.write(measure(source.load(study)), study / "report.html")


def test_a_paper_sized_page_is_under_2_mb_and_its_facts_are_in_it(large: Path) -> None:
    assert large.stat().st_size < 2_000_000
    assert 'id="asset-facts-0"' in large.read_text(encoding="utf-8")
    assert (large.with_name("report_files") / "run-30.js").is_file() or 'id="asset-run-30"' in large.read_text("utf-8")


def test_filters_of_21036_facts_take_under_200_ms(large: Path, open_page: Open) -> None:
    """By the processor: the clock would measure what else the machine does."""
    opened = open_page(large)
    page_ = opened.page
    for key, value in (("f-move", "fell"), ("f-relation", "spouse"), ("f-cause", "domain"), ("f-sort", "rose")):
        page_.select_option(f"#{key}", value)
        took = least_of(lambda: work(opened, "apply()"), 0.2)
        assert took < 0.2, (key, took)
    page_.click("#clear")
    page_.fill("#f-q", "born kalo")
    assert least_of(lambda: work(opened, "apply()"), 0.2) < 0.2


def test_the_page_opens_in_under_two_seconds_of_work(large: Path, open_page: Open) -> None:
    """All that the page computes until the facts are listed, by the processor."""

    def until_listed() -> float:
        opened = open_page(large)
        assert opened.page.evaluate("performance.getEntriesByName('listed').length") == 1
        seconds = opened.seconds()
        opened.page.close()
        return seconds

    assert least_of(until_listed, 2) < 2


def test_work_is_measured_and_not_the_clock(large: Path, open_page: Open) -> None:
    opened = open_page(large)
    assert work(opened, "new Promise((done) => setTimeout(done, 1000))") < 0.5
    spent = work(opened, "(() => { let s = 0; for (let i = 0; i < 2e8; i++) s += Math.sqrt(i); return s })()")
    assert spent > 0.05


def work(opened: Opened, script: str) -> float:
    """Processor seconds of the page for a script."""
    before = opened.seconds()
    opened.page.evaluate(script)
    return opened.seconds() - before


def least_of(measured: Callable[[], float], limit: float, n: int = 8) -> float:
    """The least of up to n; the first that is under the limit will do. Caches that others fill stretch some of them."""
    least = measured()
    for _ in range(n - 1):
        if least < limit:
            break
        least = min(least, measured())
    return least
