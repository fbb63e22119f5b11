"""Where the facts went, as bands from left to right.

Counts [before][after] -> SVG markup; a band and a node are as high as their share of all facts.
"""

from collections.abc import Sequence

from knowpack.report.markup import Markup, el
from knowpack.report.measures import occupied

BAR, LINE = 10, 16  # px: the width of a bar, the height of a label's line


def bands(counts: Sequence[Sequence[int]], names: Sequence[str], text: str, height: int = 300) -> Markup:
    """Where the facts went: counts[before][after] as bands from left to right; up in blue, down in orange.

    Bands and nodes are as high as their share of all facts.
    """
    order = occupied(counts)
    total = sum(map(sum, counts)) or 1
    gap = 10.0
    room = height - gap * (len(order) - 1)
    sums = ([sum(counts[i]) for i in order], [sum(row[i] for row in counts) for i in order])
    tops = tuple(_tops([n * room / total for n in side], gap) for side in sums)
    used = ([0.0] * len(order), [0.0] * len(order))
    drawn = []
    for a, i in enumerate(order):
        for b, j in enumerate(order):
            if thick := counts[i][j] * room / total:
                left, right = tops[0][a] + used[0][a], tops[1][b] + used[1][b]
                used[0][a] += thick
                used[1][b] += thick
                tone = "up" if j > i else "down" if j < i else "stay"
                drawn.append(el("path", {"class": f"band {tone}", "d": _band(left, right, thick)}))
    box = {"width": "100%", "height": height, "viewBox": f"0 0 100 {height}", "preserveAspectRatio": "none"}
    nodes = [
        node
        for side in (0, 1)
        for node in _nodes([names[i] for i in order], sums[side], tops[side], room / total, side, height)
    ]
    plot = el("svg", {"class": "plot flow", "height": height, "aria-hidden": "true"}, el("svg", box, drawn), nodes)
    return el("div", {"role": "img", "aria-label": text}, plot)


def _tops(heights: Sequence[float], gap: float) -> list[float]:
    tops, y = [], 0.0
    for high in heights:
        tops.append(y)
        y += high + gap
    return tops


def _band(left: float, right: float, thick: float) -> str:
    a, b, c, d = (round(y, 2) for y in (left, right, right + thick, left + thick))
    return f"M0 {a}C50 {a} 50 {b} 100 {b}V{c}C50 {c} 50 {d} 0 {d}z"


def _nodes(
    names: Sequence[str], sums: Sequence[int], tops: Sequence[float], scale: float, side: int, height: int
) -> list[Markup]:
    """The bars of one side, each with its label outside the bands; where bars are thin, labels are led to them."""
    kept = [k for k, n in enumerate(sums) if n]
    middles = [tops[k] + sums[k] * scale / 2 for k in kept]
    labels = _apart(middles, height)
    return [
        _node(f"{names[k]} {sums[k]:,}", tops[k], sums[k] * scale, label, side)
        for k, label in zip(kept, labels, strict=True)
    ]


def _apart(middles: Sequence[float], height: float) -> list[float]:
    """Where labels stand: at the middles of their bars, moved up from the foot until none touches the next."""
    tops: list[float] = []
    floor = height - LINE / 2
    for k, middle in reversed(list(enumerate(middles))):
        floor = max(LINE * (k + 0.5), min(middle, floor))
        tops.append(floor)
        floor -= LINE
    return tops[::-1]


def _node(text: str, top: float, height: float, label: float, side: int) -> Markup:
    """y of the label: from the top of the plot, as `top` is."""
    x, outward = ("0%", -1) if side == 0 else ("100%", 1)
    bar = el(
        "rect",
        {"class": "node", "x": 0 if side == 0 else -BAR, "y": 0, "width": BAR, "height": max(1.0, round(height, 1))},
    )
    middle, down = round(height / 2, 1), round(label - top, 1)
    lead = el("line", {"class": "lead", "x1": outward, "x2": 10 * outward, "y1": middle, "y2": down})
    words = el(
        "text",
        {"x": 13 * outward, "y": round(down + 4, 1), "text-anchor": "end" if side == 0 else "start"},
        text,
    )
    return el("svg", {"x": x, "y": round(top, 1), "width": 1, "height": 1, "class": "at"}, bar, lead, words)
