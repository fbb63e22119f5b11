"""How the page is laid out: on paper, on a phone, without a script; what a chart's labels stand beside."""

import re
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import synthetic
from opened import Open

from knowpack.pack.budget import Verdict
from knowpack.records import Estimate
from knowpack.report import bands, cards, charts, lost_facts, page, source, training_view
from knowpack.report.charts import Dot, DotRow, Line, Reach
from knowpack.report.first_screen import DecidingFigure
from knowpack.report.markup import table
from knowpack.report.report_data import measure
from knowpack.report.verdict import Judgement

if TYPE_CHECKING:
    from playwright.sync_api import Browser

DRAWN = "html[data-drawn=yes]"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page alone, without static figures, of a study of four cells; 14 facts fell in the one that it opens with."""
    study = synthetic.write(tmp_path_factory.mktemp("small"), n_facts=600, n_cells=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lost_facts, "SHOWN", 5)
        return page.write(measure(source.load(study)), study / "report.html")


# --- charts ---------------------------------------------------------------------------------------------------


def test_the_strip_of_a_card_names_its_ends_zero_and_the_limit() -> None:
    drawn = cards.strip(Estimate(-0.011, -0.057, 0.03, 133), 0.1, "down")
    texts = re.findall(r"<text[^>]*>([^<]+)</text>", str(drawn))
    assert texts == ["−10%", "0.0%", "10%", "limit 10%"]  # the scale's ticks are steps of 5%, from −10% to 10%


@pytest.mark.parametrize("estimate", [Estimate(-0.011, -0.057, 0.03, 133), Estimate(0.02, n=1)])
def test_a_card_shows_its_limit_once(estimate: Estimate) -> None:
    """On its strip where there is one; for those who hear the page it stands in words, too."""
    judged = Judgement("met", [Verdict("known_lost", 0.1, "met", estimate, "")], "")
    drawn = str(cards.card(DecidingFigure("known_lost_net", "Lost", estimate), SimpleNamespace(judgement=judged)))  # type: ignore[arg-type]
    heard = '<p class="hidden">limit 10%</p>'
    assert drawn.replace(heard, "").count("limit 10%") == 1
    assert (heard in drawn) == (estimate.low is not None)


def test_an_end_of_a_strip_that_would_touch_zero_is_left_out() -> None:
    drawn = cards.strip(Estimate(0.5, -0.01, 0.9, 50), None, "down")  # ticks of 25%: −25% would be 20% off, and stands
    assert re.findall(r">([^<]+)</text>", str(drawn)) == ["−25%", "0.0%", "100%"]
    assert cards._named(charts.Scale(-0.05, 1.0, [])) == [0.0, 1.0]  # 5 of 105 is below the 14% that a label takes


def test_labels_of_thin_bars_do_not_touch() -> None:
    """Unknown 8 stood in the band of HighlyKnown 29 above it."""
    drawn = bands.bands([[1, 0, 0], [0, 1, 0], [0, 0, 998]], ["Unknown", "MaybeKnown", "HighlyKnown"], "text")
    tops = [float(y or 0) for y in re.findall(r'<svg x="0%"(?: y="([\d.]+)")?', drawn)]  # 0 is the default of SVG
    labels = [float(y) for y in re.findall(r'<text x="-13" y="(-?[\d.]+)"', drawn)]
    places = [top + label for top, label in zip(tops, labels, strict=True)]
    assert len(places) == 3
    assert all(below - above >= 16 for above, below in pairwise(places))
    assert places[-1] <= 300, "inside the chart"


def test_the_axis_below_zero_has_a_label_at_its_end() -> None:
    row = DotRow("a", [Dot(Estimate(0.6, -0.1, 0.8, 80), "down")], "60%")
    drawn = charts.dots([row], "share", "text")
    assert re.findall(r'text-anchor="\w+">([^<]+)</text>', drawn) == ["−25%", "0%", "50%", "100%"]


def test_rows_of_fewer_than_ten_are_grey_and_it_is_said() -> None:
    few, many = (DotRow(f"n = {n}", [Dot(Estimate(0.0, 0.0, 0.6, n), "down")], "0.0%") for n in (9, 10))
    assert 'class="dot-row few"' in charts.dots([few], "share", "text")
    assert "few" not in charts.dots([many], "share", "text")
    assert charts.few_note([many]) == ""
    assert "fewer than 10" in charts.few_note([few, many])


def test_plots_side_by_side_share_their_axes() -> None:
    """One panel went from 70 to 100%, its neighbour from 0."""
    line = Line("50 facts", "s0", "o", [(1, Estimate(0.9)), (10, Estimate(1.0))])
    drawn = charts.lines([line], "epoch", "right", "text", log=False, reach=Reach((1, 30), (0.0, 1.0)))
    assert [f">{tick}</text>" in drawn for tick in ("0%", "50%", "100%", "30")] == [True] * 4


def test_one_number_of_facts_is_drawn_by_cell_with_the_base_first() -> None:
    lines = [Line("pack", "f-pack", "*", [(50, Estimate(0.7, 0.6, 0.8, 200))])]
    drawn = training_view.over(lines, "acc", base=Estimate(0.75, 0.69, 0.81, 200))
    assert re.findall(r'class="dot-label">([^<]+)<', drawn) == ["the base", "pack"]
    assert re.findall(r'class="dot-value">([^<]+)<', drawn) == ["0.750", "0.700"]


def test_a_benchmark_of_one_seed_has_the_interval_of_its_standard_error() -> None:
    one = training_view._estimate([("arc", "acc", 0.8, 0.02, 400)])
    assert (one.low, one.high, one.n) == (
        pytest.approx(0.8 - 1.96 * 0.02, abs=1e-5),
        pytest.approx(0.8392, abs=1e-4),
        400,
    )
    several = training_view._estimate([("arc", "acc", 0.8, 0.02, 400), ("arc", "acc", 0.9, 0.02, 400)])
    assert (several.value, several.low, several.high) == (pytest.approx(0.85), 0.8, 0.9)


def test_n_is_not_parted_from_its_number() -> None:
    assert "n\u00a0=\u00a050" in table(["a"], [["12% (10% to 14%, n = 50)"]], "text")


# --- in a browser ----------------------------------------------------------------------------------------------


@pytest.mark.browser
def test_on_paper_nothing_is_folded_away_even_without_a_script(small: Path, browser: "Browser") -> None:
    seen = (
        "[...document.querySelectorAll('details > :not(summary)')]"
        ".map(one => one.checkVisibility({contentVisibilityAuto: true}) && one.getBoundingClientRect().height > 10)"
    )
    for script in (True, False):
        printed = browser.new_page(java_script_enabled=script)
        printed.goto(small.as_uri())
        printed.emulate_media(media="print")
        if script:
            printed.wait_for_selector(DRAWN)
        assert printed.locator("details").count() > 3
        assert printed.locator("#slot-figures tbody tr").last.is_visible()
        assert printed.locator("#epochs details tbody tr").last.is_visible()
        assert printed.locator("#grid .paper-only").first.is_visible(), "the measure's name"
        if script:
            assert all(printed.evaluate(seen))
        assert printed.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        printed.close()


@pytest.mark.browser
def test_another_grader_is_said_in_the_verdict_box(small: Path, open_page: Open) -> None:
    page = open_page(small).page
    assert page.locator(".other-grader").count() == 0
    page.check("input[name=grader][value=paper]", force=True)
    page.wait_for_selector(".ship .other-grader")
    assert "always by the default grader" in (page.text_content(".ship") or "")
    page.check("input[name=grader][value=default]", force=True)
    page.wait_for_selector(".ship:not(:has(.other-grader))")


@pytest.mark.browser
def test_lost_facts_are_not_in_a_box_that_scrolls_and_the_rest_opens(small: Path, browser: "Browser") -> None:
    page = browser.new_page(java_script_enabled=False)
    page.goto(small.as_uri())
    shown = page.locator("#slot-lost > div > .scroll tbody tr")
    hidden = page.locator("#slot-lost .rest tbody tr")
    assert shown.count() == 5
    n = shown.count() + hidden.count()
    assert n > 10
    assert page.locator("#slot-lost summary").inner_text() == f"Showing the first 5 of {n}: show all"
    assert not hidden.last.is_visible()
    page.click("#slot-lost summary")
    assert hidden.last.is_visible()
    assert page.evaluate("document.querySelectorAll('.scroll').length") > 3
    for box in page.locator(".scroll").all():
        assert box.evaluate("one => one.scrollHeight - one.clientHeight") <= 1
    page.close()


@pytest.mark.browser
def test_a_lost_fact_opens_its_answers(small: Path, open_page: Open) -> None:
    page = open_page(small).page
    link = page.locator("a.to-fact").nth(1)
    question = link.text_content()
    link.click()
    page.wait_for_selector("#detail .answers")
    assert page.text_content("#detail h3") == question
    assert "fact=" in page.evaluate("location.hash")
    again = open_page(small, page.evaluate("location.hash")).page
    again.wait_for_selector("#detail .answers")
    assert again.text_content("#detail h3") == question


@pytest.mark.browser
def test_a_table_that_goes_on_beyond_its_edge_fades_there(small: Path, open_page: Open) -> None:
    page = open_page(small, width=560).page
    page.wait_for_selector(DRAWN)
    box = page.locator("#cells .scroll")
    assert box.evaluate("one => one.scrollWidth > one.clientWidth")
    page.wait_for_selector("#cells .scroll.more-right:not(.more-left)")
    assert "gradient" in box.evaluate("one => getComputedStyle(one).maskImage")
    box.evaluate("one => { one.scrollLeft = one.scrollWidth; }")
    page.wait_for_selector("#cells .scroll.more-left:not(.more-right)")


@pytest.mark.browser
def test_a_phone_shows_every_cell_the_arrow_and_no_keys(small: Path, open_page: Open) -> None:
    page = open_page(small, width=390).page
    page.wait_for_selector(DRAWN)
    grid = page.locator("#grid .variant:not([hidden]) .scroll")
    assert grid.evaluate("one => one.scrollWidth - one.clientWidth") == 0
    assert grid.locator(".fold-name").first.is_visible()
    assert page.locator("#list .arrow").first.is_visible()
    assert not page.locator(".hint.keys").is_visible()


@pytest.mark.browser
def test_falls_come_first_and_trained_facts_do_not(small: Path, open_page: Open) -> None:
    page = open_page(small).page
    first = page.locator("#row-0")
    assert first.locator(".arrow.down").count() == 1
    assert first.locator(".trained").count() == 0
    page.select_option("#f-sort", "file")
    assert page.evaluate("EX.order.slice(0, 3)") == [0, 1, 2]


@pytest.mark.browser
def test_no_is_not_said_in_known(small: Path, open_page: Open) -> None:
    """A fact whose answers were "... is not known" had "its answer is given here" beside one answered No."""
    page = open_page(small).page
    said = ["it is not known", "No", "no, it does not", "a stereo record", "records"]
    assert [page.evaluate("text => saysIt('no', text.toLowerCase())", text) for text in said] == [
        False,
        True,
        True,
        False,
        False,
    ]
    assert page.evaluate("['a new record', 'records'].map(text => saysIt('record', text))") == [True, False]


@pytest.mark.browser
def test_the_theme_button_and_the_menu_say_what_they_do(small: Path, open_page: Open) -> None:
    page = open_page(small).page
    assert page.inner_text("#theme") == "theme: auto"
    assert (page.get_attribute("#theme", "aria-label") or "").startswith("theme: auto")
    assert page.inner_text(".jump a[href='#how-title']") == page.inner_text("#how-title")
