"""The verdict box and the cards of the first screen: may it ship, and the figures that decide, each on a short axis.

FirstScreen + grader -> markup.
"""

from knowpack.records import Estimate, Grader
from knowpack.report import charts
from knowpack.report.first_screen import DecidingFigure, FirstScreen, estimate_text
from knowpack.report.marks import upright
from knowpack.report.markup import Child, Markup, el, unbroken
from knowpack.report.shares import in_shares, share
from knowpack.report.verdict import plain_name

SIGNS = {"met": "✓", "not met": "✕", "not measured": "?"}
LEVELS = {"met": "good", "not met": "bad", "not measured": "open"}
EDGE = 14.0  # percent: two labels of a strip that are nearer would touch
OTHER_GRADER = (
    "The verdict is always by the default grader; the sentence above and the figures below are by the {} grader."
)
LIMITS = {
    "known_lost_net": "known_lost",
    "known_lost_raw": "known_lost",
    "refusals_lost_net": "refusals_lost",
    "own_lost_net": "own_lost",
    "own_lost_raw": "own_lost",
}
"""Figure -> the limit that judges it, where it has another name."""


def ship(screen: FirstScreen, grader: Grader) -> Markup:
    """May it ship: the word, limit by limit, whose limits they are, and by which grader where it is not the page's."""
    word = screen.judgement.word
    lines = [
        el(
            "li",
            {"class": LEVELS[one.verdict]},
            el("span", {"class": "state", "aria-hidden": "true"}, SIGNS[one.verdict]),
            el("strong", None, f"{plain_name(one.name)}: {one.verdict}"),
            f" (limit {share(one.limit)}). {_sentence(one.why, one.limit)}",
        )
        for one in screen.judgement.verdicts
    ]
    sign = el("span", {"class": "state", "aria-hidden": "true"}, SIGNS[word])
    other = el("p", {"class": "small other-grader"}, OTHER_GRADER.format(grader)) if grader != "default" else None
    return el(
        "div",
        {"class": f"ship {LEVELS[word]}"},
        el("h2", {"class": "plain"}, "May I ship it?"),
        el("p", {"class": "word"}, sign, screen.judgement.answer()),
        other,
        el("ul", None, lines),
        el("p", {"class": "small"}, screen.judgement.rule()),
    )


def _sentence(why: str, limit: float) -> str:
    return f"{in_shares(f'{why[0].upper()}{why[1:]}', limit)}."


def card(one: DecidingFigure, screen: FirstScreen) -> Markup:
    """A figure that decides: its value, its interval on a strip, its limit."""
    estimate = one.estimate
    parts: list[Child] = [el("h3", None, one.label)]
    if estimate is None:
        return el(
            "div", {"class": "card"}, parts, el("p", {"class": "big"}, "–"), el("p", {"class": "small"}, "not measured")
        )
    limit = next((v.limit for v in screen.judgement.verdicts if v.name == LIMITS.get(one.name, one.name)), None)
    parts.append(el("p", {"class": "big"}, share(estimate.value, limit)))
    parts.append(strip(estimate, limit, "up" if one.name == "reliability" else "down"))
    parts.append(el("p", {"class": "small"}, unbroken(estimate_text(estimate).partition(" (")[2].removesuffix(")"))))
    drawn = limit is not None and estimate.low is not None and estimate.high is not None  # it stands on the strip
    limit_text = f"limit {share(limit)}" if limit is not None else "no limit"
    parts.append(el("p", {"class": "hidden" if drawn else "small"}, limit_text))
    if one.note:
        parts.append(el("p", {"class": "small"}, unbroken(f"{one.note[0].upper()}{one.note[1:]}.")))
    return el("div", {"class": "card"}, parts)


def strip(estimate: Estimate, limit: float | None, tone: str) -> Markup | None:
    """The interval on an axis of its own: its ends and zero are named below it, the limit above it."""
    if estimate.low is None or estimate.high is None:
        return None
    axis = charts.scale([0.0, estimate.low, estimate.high, *([] if limit is None else [limit])], zero=True)
    y = 26 if limit is not None else 10
    low, high, at = (f"{axis.at(value)}%" for value in (estimate.low, estimate.high, estimate.value))
    drawn = [
        el("line", {"class": "axis-line", "x1": "0%", "x2": "100%", "y1": y, "y2": y}),
        *(upright(axis.at(value), y - 5, y + 5, "axis-line" if value else "zero") for value in _named(axis)),
        el("line", {"class": f"ci {tone}", "x1": low, "x2": high, "y1": y, "y2": y}),
        None if limit is None else upright(axis.at(limit), y - 10, y + 8, "limit"),
        el("circle", {"class": f"dot {tone}", "cx": at, "cy": y, "r": 5}),
        *(charts.tick(axis, value, y + 20, share(value)) for value in _named(axis)),
        None if limit is None else charts.tick(axis, limit, y - 14, f"limit {share(limit)}", edge=22.0),
    ]
    return el("svg", {"class": "range", "height": y + 24, "aria-hidden": "true"}, drawn)


def _named(axis: charts.Scale) -> list[float]:
    """Both ends and zero; an end so near to zero that the two would touch is left out."""
    ends = [axis.low, axis.high]
    if not axis.low < 0 < axis.high:
        return ends
    return sorted([0.0, *(end for end in ends if abs(axis.at(end) - axis.at(0.0)) >= EDGE)])
