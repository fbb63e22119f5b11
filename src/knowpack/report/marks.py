"""What the page's charts are drawn with: shapes, upright strokes, and the keys that name them.

Positions across are percentages, those down are px; colours are classes (page.css).
"""

from collections.abc import Sequence

from knowpack.report.markup import Markup, el

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


def upright(at: float, top: float, bottom: float, kind: str) -> Markup:
    """A stroke from `top` to `bottom` (px), at a percentage across."""
    return el("line", {"class": kind, "x1": f"{at}%", "x2": f"{at}%", "y1": top, "y2": bottom})


def legend(keys: Sequence[tuple[str, str, str]]) -> Markup:
    """(name, tone, shape) of each kind that is drawn."""
    size = {"width": 18, "height": 14, "aria-hidden": "true"}
    shown = [
        el("span", {"class": "key"}, el("svg", size, marker(50, 7, shape, tone)), name) for name, tone, shape in keys
    ]
    return el("p", {"class": "legend"}, shown)
