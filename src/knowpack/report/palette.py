"""One palette for the page and the static figures: a colour means one thing.

Blue rose (a gain), orange fell (harm): nothing else is drawn in them. The kinds of cells have colours of their own, and
a shape each. From Okabe and Ito 2008, darkened to reach WCAG AA as text on white. page.css holds the same values, and
lighter ones for dark screens.
"""

GAIN, HARM, SAME = "#0072b2", "#c14a00", "#8b8880"
INK = "#1c1b19"
FAMILIES = {
    "none": "#4a4a4a",
    "highly_known 1": "#a8527f",
    "highly_known 10": "#6b2c6f",
    "paraphrase 1": "#00805c",
    "paraphrase 10": "#00513b",
    "pack": "#8a6a00",
    "sham": "#8b8880",
}
OTHER = "#5c5952"
MARKERS = {
    "none": "o",
    "highly_known 1": "s",
    "highly_known 10": "D",
    "paraphrase 1": "^",
    "paraphrase 10": "v",
    "pack": "*",
}
"""Shapes, by matplotlib's letters; charts.py draws the same."""
SHAPES = "osD^v*"
"""The same for lines that are of one kind, in turn."""


def family(key: str) -> str:
    """The colour of a kind of cells."""
    return FAMILIES.get(key, OTHER)


def css_name(key: str) -> str:
    """The class of a kind of cells on the page."""
    return f"f-{key.replace(' ', '-').replace('_', '-')}" if key in FAMILIES else "f-other"
