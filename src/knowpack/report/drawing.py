"""What the static figures share: their widths, intervals as matplotlib wants them, axes, and texts.

Inches: COLUMN is one column of a paper, PAGE both.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from knowpack.records import Estimate
from knowpack.report import charts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

COLUMN, PAGE = 3.35, 6.9
MOST_COLUMNS = 3  # small plots side by side
MOST_TICKS = 7
SHORT = 16  # characters of a legend's entry of which two fit side by side


class NamedFigure(NamedTuple):
    """A figure and the stem of its files."""

    name: str
    figure: "Figure"


def new(
    width: float, height: float, n_columns: int = 1, n_rows: int = 1, heights: list[float] | None = None
) -> tuple["Figure", list["Axes"]]:
    """An empty figure, without pyplot's global state: inches, axes row by row; heights: of the rows, relative."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    axes = figure.subplots(n_rows, n_columns, squeeze=False, height_ratios=heights)
    return figure, [ax for line in axes for ax in line]


def width(n_columns: int) -> float:
    """Of small plots side by side."""
    return COLUMN if n_columns == 1 else PAGE


def ends(estimate: Estimate) -> list[list[float]]:
    """The interval as matplotlib's error bars have it: how far it reaches below and above."""
    low, high = (estimate.value if end is None else end for end in (estimate.low, estimate.high))
    return [[max(0.0, estimate.value - low)], [max(0.0, high - estimate.value)]]


def scaled(share: Estimate, n: int) -> Estimate:
    """A share of n things as their number, its interval too."""
    low, high = (None if end is None else end * n for end in (share.low, share.high))
    return Estimate(share.value * n, low, high)


def percent() -> "FuncFormatter":
    """Ticks of shares: 5%."""
    from matplotlib.ticker import FuncFormatter

    return FuncFormatter(lambda value, _: charts.percent_tick(value))


def over_facts(ax: "Axes", sizes: Sequence[int]) -> None:
    """The axis of the number of facts: linear unless it spans decades, a tick at every number where they are few."""
    from matplotlib.ticker import FuncFormatter, NullLocator

    spans = bool(sizes) and min(sizes) > 0 and max(sizes) / min(sizes) >= charts.DECADES
    ax.set_xscale("log" if spans else "linear")
    if len(set(sizes)) <= MOST_TICKS:
        ax.set_xticks(sorted(set(sizes)))
        ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: charts.number_tick(value)))


def faded(colour: str, share: float) -> tuple[float, float, float]:
    """A colour on white, as strong as the share: dark text stays legible on it."""
    from matplotlib.colors import to_rgb

    red, green, blue = (1 - (1 - part) * 0.55 * min(1.0, share) for part in to_rgb(colour))
    return (red, green, blue)


def legend_below(ax: "Axes", names: Sequence[str]) -> None:
    """The legend below the plot, where it hides no point: in two columns where all names are short."""
    n_columns = 2 if len(names) > 1 and all(len(name) <= SHORT for name in names) else 1
    ax.legend(loc="upper left", bbox_to_anchor=(0, -0.3), ncols=n_columns, fontsize=7, borderaxespad=0)


def plain(text: str, longest: int = 60) -> str:
    """Text for matplotlib: no mathtext, one short line; what is cut ends in an ellipsis."""
    printable = "".join(c if c.isprintable() else " " for c in text)
    cut = printable if len(printable) <= longest else f"{printable[: longest - 1]}…"
    return cut.replace("$", r"\$")
