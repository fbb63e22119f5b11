"""The page's own charts: axes, positions, and texts that can never be markup."""

import re
from pathlib import Path

import pytest

import knowpack.report
from knowpack.records import Estimate
from knowpack.report import bands, charts, palette
from knowpack.report.charts import Dot, DotRow, Line
from knowpack.report.markup import Markup, alien, el, join, table


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0.0, 1.0], [0.0, 0.25, 0.5, 0.75, 1.0]),
        ([0.0, 0.17], [0.0, 0.05, 0.1, 0.15, 0.2]),
        ([-0.12, 0.094], [-0.2, -0.1, 0.0, 0.1]),
    ],
)
def test_ticks_are_round_numbers_around_the_values(values: list[float], ticks: list[float]) -> None:
    assert charts.scale(values, zero=True).ticks == ticks


def test_an_axis_is_logarithmic_only_where_the_numbers_span_decades() -> None:
    assert not charts.scale([10, 40, 100], log=True).is_log
    wide = charts.scale([1, 3000], log=True)
    assert wide.is_log
    assert wide.ticks == [1.0, 10.0, 100.0, 1000.0, 10000.0]
    assert [wide.at(value) for value in (1, 100, 10000)] == [0.0, 50.0, 100.0]
    assert not charts.scale([1, 3000]).is_log


def test_a_dot_and_its_interval_stand_where_the_axis_says() -> None:
    row = DotRow("unrelated", [Dot(Estimate(0.25, 0.0, 1.0, 8), "down")], "25%, n = 8")
    drawn = charts.dots([row], "share lost", "text")
    assert 'class="ci down" x1="0.0%" x2="100.0%"' in drawn
    assert '<svg x="25.0%"' in drawn
    assert "25%, n\u00a0=\u00a08" in drawn


def test_lines_have_a_tick_at_every_number_of_facts_where_they_are_few() -> None:
    points = [(10, Estimate(0.5)), (50, Estimate(0.6)), (100, Estimate(0.7))]
    drawn = charts.lines([Line("none", "f-none", "o", points)], "new facts", "acc", "text", percent=False)
    assert [n for n in ("10", "50", "100") if f">{n}</text>" in drawn] == ["10", "50", "100"]


def test_bands_are_as_high_as_their_share_of_the_facts() -> None:
    drawn = bands.bands([[30, 0], [10, 60]], ["Unknown", "HighlyKnown"], "text", height=110)
    assert 'class="band down" d="M0 60.0C50 60.0 50 70.0 100 70.0V80.0C50 80.0 50 70.0 0 70.0z"' in drawn
    assert "band up" not in drawn
    assert ">HighlyKnown 70</text>" in drawn
    assert ">Unknown 40</text>" in drawn


def test_a_text_is_never_markup_wherever_it_stands() -> None:
    hostile = '<img src=x onerror="hack()">&\x00'
    for made in (
        el("p", {"title": hostile}, hostile),
        alien(hostile),
        table([hostile], [[hostile]], hostile),
        join(hostile),
    ):
        assert "<img" not in made
        assert 'onerror="' not in made
        assert "\x00" not in made
    assert el("p", None, el("b", None, "x"), Markup("&amp;")) == "<p><b>x</b>&amp;</p>"


def test_the_page_and_the_static_figures_have_one_palette_and_harm_is_no_gain() -> None:
    css = (Path(knowpack.report.__file__).parent / "assets" / "page.css").read_text(encoding="utf-8")
    light = css[: css.index("@media")]
    named = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", light))
    assert (named["up"], named["down"]) == (palette.GAIN, palette.HARM)
    css_of = {"none": "none", "highly_known 1": "hk-1", "highly_known 10": "hk-10", "paraphrase 1": "pa-1"}
    css_of |= {"paraphrase 10": "pa-10", "pack": "pack"}
    assert {key: named[name] for key, name in css_of.items()} == {key: palette.FAMILIES[key] for key in css_of}
    colours = [palette.GAIN, palette.HARM, *(palette.FAMILIES[key] for key in css_of)]
    assert len(set(colours)) == len(colours), "one meaning a colour"


@pytest.mark.parametrize("last", [3, 10, 30])
def test_an_axis_over_epochs_has_no_half_epoch(last: int) -> None:
    ticks = charts.scale([1.0, float(last)], whole=True).ticks
    assert all(tick.is_integer() for tick in ticks)
    assert 3 <= len(ticks) <= 7


def test_nought_is_named_on_an_axis_that_crosses_it() -> None:
    """Of seven ticks every second has a label: they were -25%, 25% and 75%."""
    row = DotRow("a", [Dot(Estimate(0.4, -0.2, 0.9, 8), "down")], "40%")
    drawn = charts.dots([row], "share", "text")
    assert charts.scale([-0.2, 0.9], zero=True).ticks[0] < 0
    assert ">0%</text>" in drawn


def test_no_line_of_the_page_is_wider_than_the_sources() -> None:
    """The script went up to 252 characters, the sheet to 565."""
    assets = Path(knowpack.report.__file__).parent / "assets"
    wide = [
        f"{path.name}:{number}"
        for path in sorted([*assets.glob("*.js"), *assets.glob("*.css")])
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if len(line) > 120
    ]
    assert wide == []
