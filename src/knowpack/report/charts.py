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
from knowpack.report.marks import marker, upright
from knowpack.report.markup import Markup, el, join, unbroken

ROW, HEIGHT = 24, 240  # px: a row of dots, the plot of lines
END_ROOM = 15.0  # percent between the label of an end and the next one
FEW = 10  # facts: a share of fewer says little, and is drawn grey
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


class Reach(NamedTuple):
    """Ends that the axes of plots side by side share."""

    x: tuple[float, float]
    y: tuple[float, float]


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
    written = percent_tick if percent else number_tick
    lines = [_dot_row(row, axis, floor) for row in rows]
    below = el(
        "svg",
        {"class": "track", "height": 22, "aria-hidden": "true"},
        [tick(axis, value, 15, written(value)) for value in _apart(axis)],
    )
    foot = el("div", {"class": "dot-row"}, el("span"), below, el("span"))
    return el(
        "div", {"class": "dots", "role": "img", "aria-label": text}, lines, foot, el("p", {"class": "axis"}, title)
    )


def _apart(axis: Scale) -> list[float]:
    """At most five ticks have a label, 0 among them, and both ends where there is room: on a phone more would touch."""
    step = (len(axis.ticks) + 4) // 5
    first = axis.ticks.index(0.0) % step if 0.0 in axis.ticks else 0
    named = axis.ticks[first::step]
    low = [axis.low] if axis.at(named[0]) >= END_ROOM else []
    high = [axis.high] if axis.at(named[-1]) <= 100 - END_ROOM else []
    return [*low, *named, *high]


def tick(axis: Scale, value: float, y: float, text: str, *, edge: float = 4.0) -> Markup:
    """A label at its value, y px down; within `edge` percent of an end it stands inwards."""
    at = axis.at(value)
    anchor = "start" if at < edge else "end" if at > 100 - edge else "middle"
    return el("text", {"x": f"{at}%", "y": y, "text-anchor": anchor}, text)


def _dot_row(row: DotRow, axis: Scale, floor: float | None) -> Markup:
    height = max(ROW, ROW * len(row.dots) * 0.7)
    grid = [upright(axis.at(value), 0, height, "grid") for value in axis.ticks]
    drawn = [upright(axis.at(floor), 0, height, "floor")] if floor is not None else []
    drawn += [upright(axis.at(value), height / 2 - 7, height / 2 + 7, "mark") for value in row.marks]
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
    label = el("span", {"class": "dot-label"}, row.label)
    value = el("span", {"class": "dot-value"}, unbroken(row.value))
    return el("div", {"class": "dot-row few" if _is_few(row) else "dot-row"}, label, track, value)


def _is_few(row: DotRow) -> bool:
    return bool(row.dots) and all(dot.estimate.n is not None and dot.estimate.n < FEW for dot in row.dots)


def few_note(rows: Sequence[DotRow]) -> str:
    """What a grey row means, where there is one."""
    return f" Grey: fewer than {FEW}, too few to say much." if any(map(_is_few, rows)) else ""


def _ends(estimate: Estimate) -> tuple[float, float]:
    low, high = estimate.low, estimate.high
    return (estimate.value if low is None else low, estimate.value if high is None else high)


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
    reach: Reach | None = None,
) -> Markup:
    """Lines over a number, each point with its interval; ticks where the points are, if they are few.

    base: a dotted line across. reach: what the axes hold at least, the same for plots side by side. The x axis is
    logarithmic only where the numbers span decades.
    """
    xs = sorted({x for line in series for x, _ in line.points} | set(reach.x if reach else ()))
    ys = [end for line in series for _, one in line.points for end in _ends(one)] + ([] if base is None else [base])
    ys += reach.y if reach else ()
    across, up = scale(xs, log=log, whole=all(float(x).is_integer() for x in xs)), scale(ys)
    if not across.is_log and len(xs) > 1:
        room = 0.06 * (xs[-1] - xs[0])
        across = Scale(xs[0] - room, xs[-1] + room, xs if _are_apart(xs) else across.ticks)
    down = [height * (1 - up.at(value) / 100) for value in up.ticks]
    written = percent_tick if percent else number_tick
    grid = [el("line", {"class": "grid", "x1": "0%", "x2": "100%", "y1": y, "y2": y}) for y in down]
    named = [
        el("text", {"x": -8, "y": round(y + 4, 1), "text-anchor": "end"}, written(v))
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
            drawn.append(upright(across.at(x), y(high), y(low), f"ci {line.tone}"))
    if not line.dashed:
        drawn += [marker(across.at(x), y(one.value), line.shape, line.tone) for x, one in line.points]
    return join(drawn)
