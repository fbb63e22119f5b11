"""What the page shows of one run under one grader, as markup: the first screen, what moved, what was lost, how.

ReportData + index + grader -> {slot: markup}; page.html has the slots, and page.js puts another run's view into them.
"""

from collections.abc import Mapping

import polars as pl

from knowpack.measure.causes import RULES
from knowpack.records import Estimate, Grader
from knowpack.report import bands, cards, charts, lost_facts, measures, provenance
from knowpack.report.charts import Dot, DotRow
from knowpack.report.finished_run import Run
from knowpack.report.first_screen import FirstScreen, estimate_text, first_screen
from knowpack.report.marks import legend
from knowpack.report.markup import Child, Markup, alien, details, el, join, table
from knowpack.report.report_data import ReportData
from knowpack.report.shares import share
from knowpack.report.summary import opening
from knowpack.report.words import Words, words

LAB = " (knowpack's small model of an invented world)"
MOVES = (
    ("rose to a higher category", "up", "s"),
    ("fell to a lower one", "down", "s"),
    ("stayed", "stay", "s"),
)
"""The colours of a move: name, tone and shape of its key."""


def view(data: ReportData, index: int, grader: Grader) -> dict[str, Markup]:
    """Slot -> markup."""
    run, screen = data.source.runs[index], first_screen(data, index, grader)
    return {
        "first": join(
            _which(data, index),
            _first_part(screen, grader, len(lost_facts.lost(run, grader)), _trained(run), _harm(run), words(run)),
        ),
        "moved": _moved(data, index, grader),
        "lost": lost_facts.section(run, grader, len(data.source.runs)),
        "figures": _all_figures(data.runs[index][grader]),
        "how": provenance.section(data, index),
    }


def _which(data: ReportData, index: int) -> Markup | None:
    """Of a study: the cell, and why the page opens with it."""
    cells, run, best = len(data.labels()), data.source.runs[index], opening(data)
    if len(data.source.runs) < 2:
        return None
    why = f": of {cells} cells {best.why}" if index == best.run and best.why else ""
    return el("p", {"class": "small", "id": "which"}, el("strong", None, alien(run.label)), f", seed {run.seed}{why}.")


def _first_part(screen: FirstScreen, grader: Grader, n_lost: int, trained: str, harm: str, called: Words) -> Markup:
    more = None if screen.model_is is None else el("span", {"class": "is"}, alien(screen.model_is, 200))
    rows = [
        (
            "Model",
            join(alien(screen.model, 200), LAB if screen.model == "lab" else None, more, _hash(screen.model_hash)),
        ),
        ("Adapter", join(alien(screen.adapter, 120), _hash(screen.adapter_hash))),
        ("Trained facts", trained),
        ("Harm asked of", harm),
        ("Made on", alien(screen.machine or "not kept", 200)),
        ("Cost", screen.cost),
        ("Date", (screen.date or "not kept").replace("T", " ").replace("Z", " UTC")),
    ]
    identity = el("dl", {"class": "identity"}, [join(el("dt", None, k), el("dd", None, v)) for k, v in rows])
    link = el(
        "a",
        {"href": "#lost-title", "class": "to-lost"},
        f"The {n_lost:,} {called.items} that fell to a lower category, the worst first",
    )
    return join(
        el("p", {"class": "answer"}, screen.headline),
        el("div", {"class": "opening"}, cards.ship(screen, grader), identity),
        el("div", {"class": "cards", "id": "cards"}, [cards.card(one, screen) for one in screen.figures]),
        el(
            "p",
            {"class": "next"},
            link if n_lost else called.none_fell,
        ),
    )


def _hash(value: str | None) -> Markup | None:
    return None if value is None else el("code", {"class": "hash", "title": "hash, for telling files apart"}, value)


def _trained(run: Run) -> str:
    examples = run.examples()
    if examples is None:
        return "unknown"
    n = examples.filter(examples["kind"] != "replay")["fact_id"].n_unique()
    counts = run.read("pack.json").get("counts")
    known = counts.get("known") if isinstance(counts, dict) else None
    return f"{n:,}: {n - known:,} new, {known:,} that it knew" if isinstance(known, int) and known else f"{n:,}"


def _harm(run: Run) -> str:
    """How much harm was measured on."""
    n = measures.under(run.shifts, "default").filter(~pl.col("trained")).height
    prompts = run.config("probe", "n_prompts")
    under = f" under {prompts} prompts each" if isinstance(prompts, int) else ""
    return f"{n:,} {words(run).items}{under}{'; no table of facts was given' if run.asks_its_own else ''}"


def _moved(data: ReportData, index: int, grader: Grader) -> Markup:
    run = data.source.runs[index]
    counts = measures.matrix(measures.under(run.shifts, grader), trained=False)
    called = words(run)
    names = list(called.categories)
    total = sum(map(sum, counts))
    rose = sum(n for i, row in enumerate(counts) for j, n in enumerate(row) if j > i)
    fell = sum(n for i, row in enumerate(counts) for j, n in enumerate(row) if j < i)
    text = f"Of {total:,} {called.items} {called.which} {rose:,} rose and {fell:,} fell."
    moved = f"{rose:,} rose (blue), {fell:,} fell (orange)"
    note = f"{total:,} {called.items} {called.which}, before on the left, after on the right: {moved}."
    estimates = data.runs[index][grader]
    floor = estimates.get("known_lost_floor") or estimates.get("own_lost_floor")
    parts = [
        figure(
            "flow",
            "Where the facts went",
            note + called.note,
            legend(MOVES),
            bands.bands(counts, names, text),
        ),
        figure(
            "matrix",
            "Before and after",
            f"How many {called.items}, and their share of the row: the larger it is, the stronger the colour.",
            legend(MOVES),
            _matrix(counts, names),
        ),
        _kinship(measures.kinship(run, grader), floor, called),
        _causes(run, grader),
    ]
    return el("div", {"class": "pair"}, [part for part in parts if part is not None])


def figure(name: str, caption: str, note: str, *drawn: Child) -> Markup:
    """A chart under its caption."""
    figcaption = el("figcaption", None, el("strong", None, caption), " ", el("span", {"class": "note"}, note))
    return el("figure", {"id": name}, figcaption, *drawn)


def _matrix(counts: list[list[int]], names: list[str]) -> Markup:
    order = measures.occupied(counts)
    rows: list[list[Child]] = []
    for i in order:
        total = sum(counts[i]) or 1
        line: list[Child] = [names[i]]
        for j in order:
            tone = "up" if j > i else "down" if j < i else "stay"
            shade = min(4, round(4 * counts[i][j] / total)) if counts[i][j] else 0
            inside = join(f"{counts[i][j]:,} ", el("span", {"class": "small"}, share(counts[i][j] / total)))
            line.append(el("span", {"class": f"shade {tone}-{shade}"}, inside))
        rows.append(line)
    heads = ["before", *(f"after: {names[j]}" for j in order)]
    return table(heads, rows, "Before and after", classes="matrix")


def _kinship(kins: list[measures.Kin], floor: Estimate | None, called: Words) -> Markup | None:
    rows = [
        DotRow(one.kinship.replace("_", " "), [Dot(one.lost, "down")], f"{share(one.lost.value)}, n = {one.lost.n:,}")
        for one in kins
    ]
    if not rows:
        return None
    dashed = " Dashed: the noise floor." if floor else ""
    dashed += charts.few_note(rows)
    of = f"{called.items.capitalize()} that were {called.categories[-1]} and no longer are"
    note = f"{of}, by nearness to what was trained; 95% intervals.{dashed}"
    text = "; ".join(f"{row.label}: {row.value}" for row in rows)
    drawn = charts.dots(rows, f"share of {called.at_risk} lost", text, floor=floor.value if floor else None)
    numbers = table(
        ["kinship", "lost", called.at_risk, f"all {called.items}"],
        [
            [row.label, estimate_text(one.lost), f"{one.lost.n:,}", f"{one.n_facts:,}"]
            for row, one in zip(rows, kins, strict=True)
        ],
        "Harm by nearness: the numbers",
    )
    return figure("kinship", "Harm by nearness", note, drawn, details("The numbers", numbers))


def _causes(run: Run, grader: Grader) -> Markup | None:
    """Causes that were measured; where the trained facts are unknown, those that read them are not there."""
    low, *_, high = words(run).categories
    ways = ((f"{high} → {low}", False, "down", "o"), (f"{low} → {high}", True, "up", "D"))
    rows, numbers, keys = [], [], []
    for name, up, tone, shape in ways:
        n = len(measures.movers(measures.under(run.shifts, grader), up=up))
        for one in measures.causes(run, grader, up=up):
            marks = [one.base_rate.value] if one.base_rate else []
            crosses = [one.placebo.value] if one.placebo else []
            rows.append(DotRow(one.label, [Dot(one.share, tone, shape)], share(one.share.value), marks, crosses))
            rates = [None if rate is None else share(rate.value) for rate in (one.base_rate, one.placebo)]
            numbers.append([name, one.label, estimate_text(one.share), *rates])
        if n:
            keys.append((f"{name}, {n:,} facts", tone, shape))
    if not rows:
        return None
    unknown = run.examples() is None
    note = "Causes overlap; 95% intervals. Upright strokes: base rates among facts with a new wrong answer."
    note += (
        " Causes that need the trained facts (target, domain) could not be told: those are unknown."
        if unknown
        else " Crosses: as many answers that were not trained."
    )
    named = {one.label for one in rows}
    note += "".join(f" {rule.label}: {rule.meaning}." for rule in RULES if rule.meaning and rule.label in named)
    text = "; ".join(f"{line[0]}, {line[1]}: {line[2]}" for line in numbers)
    drawn = [legend(keys), charts.dots(rows, "share of the facts that moved all the way", text)]
    shown = table(["move", "cause", "share", "base rate", "placebo"], numbers, "Causes: the numbers")
    return figure("causes", "Why they moved", note, *drawn, details("The numbers", shown))


def _all_figures(estimates: Mapping[str, Estimate]) -> Markup:
    rows = [
        [name_, estimate_text(estimates[name], name)] for name, name_ in measures.NAMES.items() if name in estimates
    ]
    return details("All figures of this run", table(["figure", "value (95% interval, n)"], rows, "All figures"))
