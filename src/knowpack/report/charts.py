"""The page's charts as SVG, without a library: dots with intervals, and lines over a number.

Numbers -> markup. Positions across are percentages of the width and text is never scaled, so that a chart is legible
on a phone as on a wide screen; colours are classes (page.css), so that dark and print need no second drawing. Each
chart is one image with a text for those who do not see it; the numbers stand in a table below.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from knowpack.records import Estimate
from knowpack.report.markup import Markup, el, join

ROW, HEIGHT = 24, 240  # px: a row of dots, the plot of lines
DECADES = 30.0  # an axis is logarithmic where its largest value is so many times its smallest


class Scale(NamedTuple):
    """An axis: from value to percent, and its ticks."""

    low: float
    high: float
    ticks: list[float]
    is_log: bool = False

    def at(self, value: float) -> float:
        """0 at the low end, 100 at the high one; cut at the ends."""
        if self.is_log:
            share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return round(100 * min(1.0, max(0.0, share)), 2)


class Dot(NamedTuple):
    """A value with its interval."""

    estimate: Estimate
    tone: str
    """Class of its colour."""
    shape: str = "o"


class DotRow(NamedTuple):
    """A line of a dot plot."""

    label: str
    dots: Sequence[Dot]
    value: str
    """What stands at the right: the value and its n."""
    marks: Sequence[float] = ()
    """Upright strokes: base rates."""
    crosses: Sequence[float] = ()
    """Placebos."""


class Line(NamedTuple):
    """A line of a plot over a number."""

    name: str
    tone: str
    shape: str
    points: Sequence[tuple[float, Estimate]]
    dashed: bool = False


def scale(values: Sequence[float], *, zero: bool = False, log: bool = False, whole: bool = False) -> Scale:
    """An axis over values: linear, unless `log` is allowed and they span decades. Ticks are round numbers; whole: and
    never a part of one (an epoch, a fact)."""
    low, high = min(values), max(values)
    if log and low > 0 and high / low >= DECADES:
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        return Scale(10.0**first, 10.0**last, [10.0**power for power in range(first, last + 1)], True)
    if zero:
        low, high = min(0.0, low), max(0.0, high)
    if high - low < 1e-9:
        low, high = low - 0.05, high + 0.05
    raw = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(raw))
    steps = [power * nice for nice in (1, 2, 2.5, 5, 10) if not whole or (power * nice).is_integer()] or [1.0]
    step = next((one for one in steps if one >= raw * 0.999), steps[-1])
    start, end = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = [round(step * i, 10) for i in range(start, end + 1)]
    return Scale(ticks[0], ticks[-1], ticks)


def percent_tick(value: float) -> str:
    """0.05 -> 5%."""
    return f"{100 * value:.3g}%".replace("-", "−")


def number_tick(value: float) -> str:
    """1000 -> 1,000."""
    return f"{value:,.3f}".rstrip("0").rstrip(".").replace("-", "−")


def dots(rows: Sequence[DotRow], title: str, text: str, *, floor: float | None = None, percent: bool = True) -> Markup:
    """A row for each label, a dot with its 95% interval, one axis below. floor: a dashed line through all rows."""
    ends = [end for row in rows for dot in row.dots for end in _ends(dot.estimate)]
    ends += [value for row in rows for value in (*row.marks, *row.crosses)] + ([] if floor is None else [floor])
    axis = scale(ends, zero=True)
    tick = percent_tick if percent else number_tick
    lines = [_dot_row(row, axis, floor) for row in rows]
    below = el(
        "svg",
        {"class": "track", "height": 22, "aria-hidden": "true"},
        [_tick(axis, value, 15, tick(value)) for value in _apart(axis)],
    )
    foot = el("div", {"class": "dot-row"}, el("span"), below, el("span"))
    return el(
        "div", {"class": "dots", "role": "img", "aria-label": text}, lines, foot, el("p", {"class": "axis"}, title)
    )


def _apart(axis: Scale) -> list[float]:
    """At most five ticks have a label, 0 among them: on a phone more would touch."""
    step = (len(axis.ticks) + 4) // 5
    first = axis.ticks.index(0.0) % step if 0.0 in axis.ticks else 0
    return axis.ticks[first::step]


def _tick(axis: Scale, value: float, y: float, text: str) -> Markup:
    at = axis.at(value)
    anchor = "start" if at < 4 else "end" if at > 96 else "middle"
    return el("text", {"x": f"{at}%", "y": y, "text-anchor": anchor}, text)


def _dot_row(row: DotRow, axis: Scale, floor: float | None) -> Markup:
    height = max(ROW, ROW * len(row.dots) * 0.7)
    grid = [_upright(axis.at(value), 0, height, "grid") for value in axis.ticks]
    drawn = [_upright(axis.at(floor), 0, height, "floor")] if floor is not None else []
    drawn += [_upright(axis.at(value), height / 2 - 7, height / 2 + 7, "mark") for value in row.marks]
    drawn += [marker(axis.at(value), height / 2, "x", "cross") for value in row.crosses]
    for i, dot in enumerate(row.dots):
        y = height * (i + 1) / (len(row.dots) + 1)
        low, high = _ends(dot.estimate)
        drawn += [
            el(
                "line",
                {"class": f"ci {dot.tone}", "x1": f"{axis.at(low)}%", "x2": f"{axis.at(high)}%", "y1": y, "y2": y},
            ),
            marker(axis.at(dot.estimate.value), y, dot.shape, dot.tone),
        ]
    track = el("svg", {"class": "track", "height": round(height), "aria-hidden": "true"}, grid, drawn)
    label, value = el("span", {"class": "dot-label"}, row.label), el("span", {"class": "dot-value"}, row.value)
    return el("div", {"class": "dot-row"}, label, track, value)


def _upright(at: float, top: float, bottom: float, kind: str) -> Markup:
    return el("line", {"class": kind, "x1": f"{at}%", "x2": f"{at}%", "y1": top, "y2": bottom})


def _ends(estimate: Estimate) -> tuple[float, float]:
    low, high = estimate.low, estimate.high
    return (estimate.value if low is None else low, estimate.value if high is None else high)


PATHS = {
    "o": "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0",
    "s": "M-4.5 -4.5h9v9h-9z",
    "D": "M0 -6L6 0L0 6L-6 0z",
    "^": "M0 -6L5.5 4.5H-5.5z",
    "v": "M0 6L5.5 -4.5H-5.5z",
    "*": "M0 -7L1.9 -2.2L7 -2L3 1.2L4.4 6.2L0 3.4L-4.4 6.2L-3 1.2L-7 -2L-1.9 -2.2z",
    "x": "M-4 -4L4 4M-4 4L4 -4",
}


def marker(at: float, y: float, shape: str, tone: str) -> Markup:
    """A shape at a percentage across and y px down."""
    inside = el("path", {"class": f"dot {tone}", "d": PATHS.get(shape, PATHS["o"])})
    return el("svg", {"x": f"{at}%", "y": round(y, 1), "width": 1, "height": 1, "class": "at"}, inside)


def lines(
    series: Sequence[Line],
    x_title: str,
    y_title: str,
    text: str,
    *,
    log: bool = True,
    percent: bool = True,
    base: float | None = None,
    height: int = HEIGHT,
) -> Markup:
    """Lines over a number, each point with its interval; ticks where the points are, if they are few.

    base: a dotted line across. The x axis is logarithmic only where the numbers span decades.
    """
    xs = sorted({x for line in series for x, _ in line.points})
    ys = [end for line in series for _, one in line.points for end in _ends(one)] + ([] if base is None else [base])
    across, up = scale(xs, log=log, whole=all(float(x).is_integer() for x in xs)), scale(ys)
    if not across.is_log and len(xs) > 1:
        room = 0.06 * (xs[-1] - xs[0])
        across = Scale(xs[0] - room, xs[-1] + room, xs if _are_apart(xs) else across.ticks)
    down = [height * (1 - up.at(value) / 100) for value in up.ticks]
    tick = percent_tick if percent else number_tick
    grid = [el("line", {"class": "grid", "x1": "0%", "x2": "100%", "y1": y, "y2": y}) for y in down]
    named = [
        el("text", {"x": -8, "y": round(y + 4, 1), "text-anchor": "end"}, tick(v))
        for y, v in zip(down, up.ticks, strict=True)
    ]
    below = [
        el("text", {"x": f"{across.at(v)}%", "y": height + 18, "text-anchor": "middle"}, number_tick(v))
        for v in across.ticks
        if across.low <= v <= across.high
    ]
    at_base = height * (1 - up.at(base) / 100) if base is not None else None
    dotted = [el("line", {"class": "base", "x1": "0%", "x2": "100%", "y1": at_base, "y2": at_base})] if at_base else []
    drawn = [_line(line, across, up, height) for line in series]
    plot = el("svg", {"class": "plot", "height": height, "aria-hidden": "true"}, grid, named, below, dotted, drawn)
    above = el("p", {"class": "axis"}, y_title)
    return el(
        "div", {"class": "xy", "role": "img", "aria-label": text}, above, plot, el("p", {"class": "axis x"}, x_title)
    )


def _are_apart(xs: Sequence[float]) -> bool:
    return len(xs) <= 6 and all(b - a >= 0.1 * (xs[-1] - xs[0]) for a, b in pairwise(xs))


def _line(line: Line, across: Scale, up: Scale, height: int) -> Markup:
    def y(value: float) -> float:
        return round(height * (1 - up.at(value) / 100), 1)

    path = " ".join(f"{across.at(x)},{y(one.value)}" for x, one in line.points)
    stroke = {"class": f"line {line.tone}{' dashed' if line.dashed else ''}", "points": path}
    box = {"width": "100%", "height": height, "viewBox": f"0 0 100 {height}", "preserveAspectRatio": "none"}
    drawn = [el("svg", box, el("polyline", stroke))] if len(line.points) > 1 else []
    for x, one in line.points:
        low, high = _ends(one)
        if high > low:
            drawn.append(_upright(across.at(x), y(high), y(low), f"ci {line.tone}"))
    if not line.dashed:
        drawn += [marker(across.at(x), y(one.value), line.shape, line.tone) for x, one in line.points]
    return join(drawn)


def legend(keys: Sequence[tuple[str, str, str]]) -> Markup:
    """(name, tone, shape) of each kind that is drawn."""
    size = {"width": 18, "height": 14, "aria-hidden": "true"}
    shown = [
        el("span", {"class": "key"}, el("svg", size, marker(50, 7, shape, tone)), name) for name, tone, shape in keys
    ]
    return el("p", {"class": "legend"}, shown)
