"""The page in a real browser: what it loads, what it says, what a click and a key do."""

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from opened import Open
from synthetic import HOSTILE

from knowpack.report import measures, source

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser
DRAWN = "html[data-drawn=yes]"


def count(text: str) -> int:
    """ "12 of 600 facts" -> 12."""
    return int(text.split(" of ")[0].replace(",", ""))


def faults(page: object) -> list[str]:
    """The serious and critical faults that axe finds."""
    axe = pytest.importorskip("axe_playwright_python", reason="axe is not installed: pip install knowpack[dev]")
    page.evaluate((Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8"))  # type: ignore[attr-defined]
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")  # type: ignore[attr-defined]
    return [
        f"{one['id']}: {[(node['target'], node.get('failureSummary', '')[:300]) for node in one['nodes'][:3]]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


def test_page_loads_with_no_console_error_and_no_request(built: Path, open_page: Open) -> None:
    opened = open_page(built)
    opened.page.wait_for_selector(DRAWN)
    assert opened.console == []
    assert opened.requests == [built.as_uri()]
    assert opened.page.locator("figure svg.plot").count() > 5
    assert opened.page.evaluate("document.getElementById('cards').children.length") == 3


@pytest.mark.parametrize("width", [1440, 390])
def test_all_rows_of_a_dot_plot_stand_on_one_axis(built: Path, open_page: Open, width: int) -> None:
    """Each row had its own grid: beside a longer value the track was narrower, and its dot stood too far left."""
    page = open_page(built, width=width).page
    tracks = page.eval_on_selector_all(
        ".dots",
        "all => all.map(one => [...one.querySelectorAll('.track')].map(t => t.getBoundingClientRect())"
        ".filter(box => box.width).map(box => `${box.left.toFixed(1)} ${box.width.toFixed(1)}`))",
    )
    drawn = [boxes for boxes in tracks if boxes]
    assert len(drawn) >= 2
    assert [boxes for boxes in drawn if len(set(boxes)) > 1] == []


def test_policy_allows_no_network(built: Path, open_page: Open) -> None:
    opened = open_page(built)
    blocked = opened.page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'loaded').catch(error => 'refused')")
    assert blocked == "refused"
    assert any("Content Security Policy" in line for line in opened.console)


def test_script_set_by_a_text_never_runs(built: Path, open_page: Open) -> None:
    opened = open_page(built)
    opened.page.select_option("#f-sort", "file")
    opened.page.fill("#f-q", "hostile")
    for i, hostile in enumerate(HOSTILE):
        opened.page.click(f"#row-{i}")
        opened.page.wait_for_selector(f"#detail:has(.answers) h3:has-text('Hostile {i}')")
        shown = opened.page.locator("#detail dd").first.text_content() or ""
        wanted = hostile.replace("\x00", "␀").replace("\x07", "␇")
        assert shown == (wanted if len(wanted) <= 4000 else wanted[:4000] + "…")
    assert opened.page.evaluate("window.hacked") is None
    assert opened.page.locator("main img, main script, main style, #explorer a").count() == 0
    assert opened.console == []


def test_filters_count_what_the_columns_say(study: Path, built: Path, open_page: Open) -> None:
    page = open_page(built).page
    counted = page.locator(".count")
    assert count(counted.text_content() or "") == 600
    shifts = measures.under(source.load(study).runs[page.evaluate("STATE.run")].shifts, "default")
    matrix = [measures.matrix(shifts, trained=trained) for trained in (False, True)]
    page.select_option("#f-before", "HighlyKnown")
    page.select_option("#f-after", "Unknown")
    assert count(counted.text_content() or "") == matrix[0][3][0] + matrix[1][3][0]
    page.click("#clear")
    page.select_option("#f-kin", "trained")
    trained = count(counted.text_content() or "")
    assert trained == sum(map(sum, matrix[1]))
    page.click("#clear")
    page.select_option("#f-relation", "spouse")
    texts = page.locator("#list .row .q").all_text_contents()
    assert texts
    assert all(text.startswith("Who is married to") for text in texts)


def test_search_reads_question_answers_and_subject(built: Path, open_page: Open) -> None:
    page = open_page(built).page
    page.fill("#f-q", "hostile HYPERLINK")
    assert count(page.locator(".count").text_content() or "") == 1
    page.fill("#f-q", "no fact has these words")
    assert count(page.locator(".count").text_content() or "") == 0
    assert "Clear a filter" in (page.locator("#list").text_content() or "")


def test_keyboard_moves_opens_and_scrolls(built: Path, open_page: Open) -> None:
    page = open_page(built).page
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "f-q"
    page.focus("#list")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.get_attribute("#list", "aria-activedescendant") == "row-2"
    page.keyboard.press("Enter")
    page.wait_for_selector("#detail .answers")
    assert page.evaluate("document.activeElement.id") == "detail"
    assert page.get_attribute("#row-2", "aria-selected") == "true"
    page.focus("#list")
    page.keyboard.press("End")
    assert page.get_attribute("#list", "aria-activedescendant") == "row-599"
    assert page.locator("#row-599").is_visible()
    assert page.locator("#list .row").count() < 60  # only the rows in sight are drawn


def test_a_filtered_view_has_its_own_link(built: Path, open_page: Open) -> None:
    page = open_page(built).page
    page.select_option("#run", "3")
    page.check("input[name=grader][value=paper]", force=True)
    page.select_option("#f-before", "MaybeKnown")
    page.fill("#f-q", "born")
    page.click("#list .row")
    page.wait_for_selector("#detail .answers")
    before = (page.locator(".count").text_content(), page.locator("#detail h3").text_content())
    fragment = page.evaluate("location.hash")
    assert "before=MaybeKnown" in fragment
    again = open_page(built, fragment).page
    again.wait_for_selector("#detail .answers")
    assert (again.locator(".count").text_content(), again.locator("#detail h3").text_content()) == before
    assert again.input_value("#run") == "3"
    assert again.is_checked("input[value=paper]")
    assert again.input_value("#f-q") == "born"


def test_download_holds_the_filtered_facts_and_no_formula(built: Path, open_page: Open) -> None:
    page = open_page(built).page
    page.fill("#f-q", "hostile")
    with page.expect_download() as waiting:
        page.click("#download")
    text = Path(waiting.value.path()).read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert waiting.value.suggested_filename == "facts.csv"
    assert len(rows) == len(HOSTILE)
    assert any(row["answers"].startswith("'=HYPERLINK") for row in rows)
    assert any(row["answers"].startswith("'-1+cmd") for row in rows)
    for row in rows:
        assert not any(cell.lstrip().startswith(("=", "+", "-", "@")) for cell in row.values() if cell)


def test_a_click_shows_the_answers_before_and_after_with_the_alias_marked(built: Path, open_page: Open) -> None:
    page = open_page(built).page
    page.select_option("#f-before", "HighlyKnown")
    page.select_option("#f-after", "HighlyKnown")
    page.click("#list .row")
    page.wait_for_selector("#detail .answers")
    answer = page.locator("#detail dd").first.text_content()
    marks = page.locator("#detail .answers mark").all_text_contents()
    assert marks == [answer] * 20  # ten before, ten after
    page.click("#detail .prompt summary")
    assert "Shot 0.0?" in (page.locator("#detail .prompt pre").text_content() or "")
    assert page.locator("#detail .near li").count() > 0


def test_a_click_counts_when_the_rows_are_drawn_anew_under_it(built: Path, open_page: Open) -> None:
    page = open_page(built).page
    third = page.locator("#list .row").nth(2)
    third.hover()
    question = third.locator(".q").text_content()
    page.mouse.down()
    page.evaluate("paint()")
    page.mouse.up()
    page.wait_for_selector("#detail .answers")
    assert page.locator("#detail h3").first.text_content() == question


def test_without_a_script_headline_verdict_figures_and_tables_are_there(
    built: Path, browser: "Browser", study: Path
) -> None:
    page = browser.new_page(java_script_enabled=False)
    page.goto(built.as_uri())
    assert "right answers to" in (page.text_content(".answer") or "")
    assert "May I ship it?" in (page.text_content(".ship") or "")
    assert page.locator(".card .big").count() == 3
    for name in ("flow", "matrix", "grid", "epochs", "bench", "pareto"):
        assert page.locator(f"#{name}").is_visible(), name
    assert page.locator("#slot-lost tbody tr").count() > 10
    assert not page.locator("#run").is_visible(), "nothing that needs a script is shown"
    page.close()


def test_the_first_screen_links_to_the_lost_facts_and_they_open_in_the_explorer(built: Path, open_page: Open) -> None:
    page = open_page(built).page
    page.click("a.to-lost")
    assert page.evaluate("location.hash") == "#lost-title"
    moved = page.locator(".lost tbody tr td:nth-child(3)").all_text_contents()
    shares = [[float(one.strip("% ")) for one in text.partition(", ")[2].split("→")] for text in moved]
    falls = [after - before for before, after in shares]
    assert falls == sorted(falls), "the worst first"
    assert max(falls) < 0
    first = page.locator(".lost tbody tr th").first.text_content()
    page.click("a.to-explorer")
    assert page.input_value("#f-move") == "fell"
    page.wait_for_selector("#list .row")
    rows = page.locator("#list .row:not(:has(.trained)) .q").all_text_contents()
    assert rows[0] == first


def test_a_printed_page_holds_the_lost_facts(built: Path, open_page: Open) -> None:
    page = open_page(built).page
    page.emulate_media(media="print")
    assert page.locator(".lost tbody tr").first.is_visible()
    assert not page.locator("#explorer").is_visible()


def test_a_printed_page_cuts_no_column_off(built: Path, open_page: Open) -> None:
    """A4 between its margins is 703 px wide: the table of all cells lost its last column there."""
    page = open_page(built, width=703).page
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= 703


def test_a_section_with_nothing_in_it_is_not_there_without_a_script(
    built: Path, browser: "Browser", tmp_path: Path
) -> None:
    """A pack has no cells: print and pages without JavaScript had the heading alone."""
    text = built.read_text(encoding="utf-8")
    head, _, rest = text.partition('<div id="slot-study">')
    (tmp_path / "empty.html").write_text(
        f'{head}<div id="slot-study"></div></section>{rest.partition("</section>")[2]}', encoding="utf-8"
    )
    page = browser.new_page(java_script_enabled=False)
    page.goto((tmp_path / "empty.html").as_uri())
    assert page.locator("#study-title").count() == 1
    assert not page.locator("#study-title").is_visible()
    page.close()


def test_lost_facts_are_read_on_a_phone_without_scrolling_aside(built: Path, open_page: Open) -> None:
    page = open_page(built, width=390).page
    boxes = page.eval_on_selector_all("#slot-lost .scroll", "all => all.map(one => one.scrollWidth - one.clientWidth)")
    assert boxes
    assert set(boxes) == {0}
    assert page.locator(".lost tbody td:nth-child(5)").first.is_visible()


def test_choosing_a_cell_changes_the_figures_and_the_facts(study: Path, built: Path, open_page: Open) -> None:
    page = open_page(built).page
    page.select_option("#run", "0")
    page.wait_for_selector(DRAWN)
    first = page.locator("#cards").text_content()
    page.select_option("#run", "9")
    page.wait_for_selector(DRAWN)
    assert page.locator("#cards").text_content() != first
    shifts = measures.under(source.load(study).runs[9].shifts, "default")
    n = sum(map(sum, measures.matrix(shifts, trained=False)))
    assert f"{n} facts that were not trained" in (page.locator("#flow figcaption").text_content() or "")


def test_every_chart_has_a_text_and_its_numbers(built: Path, open_page: Open) -> None:
    page = open_page(built).page
    page.wait_for_selector(DRAWN)
    for name in ("flow", "kinship", "causes", "epochs", "bench", "pareto"):
        assert len(page.get_attribute(f"#{name} [role=img] >> nth=0", "aria-label") or "") > 30, name
    for name in ("matrix", "kinship", "causes", "grid", "epochs", "bench"):
        assert page.locator(f"#{name} table tbody tr").count() > 0, name


def test_failed_and_missing_cells_are_said(built: Path, open_page: Open) -> None:
    page = open_page(built).page
    page.wait_for_selector(DRAWN)
    text = page.locator("#cells").text_content() or ""
    assert "failed: ModelError: <b>no tokenizer</b>" in text
    assert "3000-10hk-missing0" in text


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (768, "light"), (390, "dark")])
def test_axe_finds_no_serious_fault(built: Path, open_page: Open, width: int, scheme: str) -> None:
    page = open_page(built, width=width, scheme=scheme).page
    page.click("#list .row")
    page.wait_for_selector("#detail .answers")
    page.wait_for_selector(DRAWN)
    assert faults(page) == []


def test_nothing_is_wider_than_a_phone(built: Path, open_page: Open) -> None:
    page = open_page(built, width=375).page
    page.wait_for_selector(DRAWN)
    assert page.evaluate("document.documentElement.scrollWidth") <= 375


def test_theme_button_changes_the_colours(built: Path, open_page: Open) -> None:
    page = open_page(built).page
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("#theme")
    page.click("#theme")
    assert page.text_content("#theme-name") == "dark"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != paper


def test_print_shows_figures_without_controls(built: Path, open_page: Open) -> None:
    page = open_page(built, scheme="dark").page
    page.wait_for_selector(DRAWN)
    page.emulate_media(media="print")
    page.wait_for_selector(DRAWN)
    assert not page.locator("nav.bar").is_visible()
    assert page.locator("#flow svg.plot").first.is_visible()
    assert page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--paper').trim()") == "#fdfcfa"


def test_summary_is_json_that_cannot_end_its_script(built: Path) -> None:
    text = built.read_text(encoding="utf-8")
    data = text.split('id="summary">')[1].split("</script>")[0]
    assert "<" not in data
    assert json.loads(data)["kind"] == "study"
