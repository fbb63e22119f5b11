"""HTML and SVG as text, in which nothing of unknown origin is ever markup.

`el(tag, attributes, *children)`: a child or value that is a plain str is escaped, one that `el` made is not.
"""

import html
import re
from collections.abc import Iterable, Mapping, Sequence

VOID = {"circle", "line", "path", "polyline", "rect", "col"}  # closed in place
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class Markup(str):
    """Text that is HTML already; only `el` and `join` make it."""

    __slots__ = ()


Child = str | int | None | Sequence["Child"]


def el(tag: str, attributes: Mapping[str, object] | None = None, *children: Child) -> Markup:
    """An element. Attributes that are None or False are left out, True stands alone; children may be nested lists."""
    attribute_text = "".join(
        _attribute(name, value) for name, value in (attributes or {}).items() if value not in (None, False)
    )
    if tag in VOID and not children:
        return Markup(f"<{tag}{attribute_text}/>")
    return Markup(f"<{tag}{attribute_text}>{join(*children)}</{tag}>")


def join(*children: Child) -> Markup:
    """Children one after the other, lists opened."""
    parts = []
    for one in children:
        if isinstance(one, str | int):
            parts.append(escaped(one))
        elif one is not None:
            parts.append(join(*one))
    return Markup("".join(parts))


def escaped(value: object) -> Markup:
    """A value as text: markup escaped, control characters made visible."""
    if isinstance(value, Markup):
        return value
    visible = _CONTROL.sub(lambda match: chr(0x2421 if match[0] == "\x7f" else 0x2400 + ord(match[0])), str(value))
    return Markup(html.escape(visible, quote=True))


def unbroken(text: str) -> str:
    """n = 50 stays on one line: its spaces do not break."""
    return re.sub(r"\bn = (?=\d)", "n\u00a0=\u00a0", text)


def alien(value: object, longest: int = 300) -> Markup:
    """Text of a model or a table: cut, and its writing direction kept to itself."""
    text = str(value)
    return el("bdi", {"dir": "auto"}, text if len(text) <= longest else f"{text[:longest]}…")


def table(heads: Sequence[str], rows: Iterable[Sequence[Child]], label: str, *, classes: str = "") -> Markup:
    """A table that scrolls by itself where it is too wide; cells that begin with a digit or a sign stand right."""
    body = [
        el("tr", None, [el("th" if i == 0 else "td", _cell(one, i), _shown(one)) for i, one in enumerate(row)])
        for row in rows
    ]
    inside = el(
        "table",
        {"class": classes or None},
        el("thead", None, el("tr", None, [el("th", {"scope": "col"}, _shown(head)) for head in heads])),
        el("tbody", None, body),
    )
    return el("div", {"class": "scroll", "tabindex": "0", "role": "region", "aria-label": label}, inside)


def details(summary: str, *children: Child, is_open: bool = False) -> Markup:
    """What opens on a click."""
    return el("details", {"open": is_open}, el("summary", None, summary), *children)


def _shown(value: Child) -> Child:
    return "–" if value is None else value if isinstance(value, Markup) else alien(unbroken(str(value)))


def _cell(value: Child, column: int) -> dict[str, object]:
    if column == 0:
        return {"scope": "row"}
    is_number = value is None or (isinstance(value, str) and re.match(r"[−+\-]?[\d.–]", value) is not None)
    return {"class": "num"} if is_number else {}


def _attribute(name: str, value: object) -> str:
    return f" {name}" if value is True else f' {name}="{escaped(value)}"'
