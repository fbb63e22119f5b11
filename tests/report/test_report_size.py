"""A report as large as the paper's study: 21,036 facts in 31 cells. The texts are made up, the sizes are not."""

from collections.abc import Callable
from pathlib import Path

import pytest
import synthetic
from opened import Open

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
    page_ = open_page(large).page
    for key, value in (("f-move", "fell"), ("f-relation", "spouse"), ("f-cause", "domain"), ("f-sort", "rose")):
        page_.select_option(f"#{key}", value)
        took = least_of(lambda: page_.evaluate("apply()"), 200)
        assert took[0] < 200, (key, took)
    page_.click("#clear")
    page_.fill("#f-q", "born kalo")
    took = least_of(lambda: page_.evaluate("apply()"), 200)
    assert took[0] < 200, took


def test_the_page_opens_in_under_two_seconds_of_work(large: Path, open_page: Open) -> None:
    """What the browser computes until the facts are listed: twice of a few times, for others stretch the clock."""

    def opened() -> float:
        page_ = open_page(large).page
        seconds: float = page_.evaluate("performance.getEntriesByName('listed')[0].startTime / 1000")
        page_.close()
        return seconds

    seconds = least_of(opened, 2, n=3, of=1)
    assert seconds[1] < 2, seconds


def least_of(timed: Callable[[], float], limit: float, n: int = 5, of: int = 0) -> list[float]:
    """n times or more, in order; up to eight times as many until the `of`-th is under the limit: the rest of the
    machine stretches some of them and not all."""
    took = sorted(timed() for _ in range(n))
    while took[of] >= limit and len(took) < 8 * n:
        took = sorted([*took, timed()])
    return took
