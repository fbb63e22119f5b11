"""Static figures for papers: one look (knowpack.mplstyle), each as SVG, PDF and PNG.

Measured -> files: categories before and after, harm by kinship, reliability over epochs (the paper's Figure 2),
benchmarks over n (its Figures 1, 3, 4, 5), facts learned against harm, confidence, and its claims. The default grader.
"""

from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from knowpack import store
from knowpack.measure.abstract_claims import Finding
from knowpack.paper import reference
from knowpack.progress import SILENT, Progress
from knowpack.records import Category, Grader
from knowpack.report import claim_tables, confidence_tables, measures, palette, tables
from knowpack.report.families import families, family, family_name
from knowpack.report.measured import Measured, run_of
from knowpack.report.source import Cell, Run
from knowpack.report.summary import epochs, opening

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KINDS = ("svg", "pdf", "png")
GRADER: Grader = "default"


class Drawn(NamedTuple):
    """A figure and the stem of its files."""

    name: str
    figure: "Figure"


def write(measured: Measured, folder: Path, *, progress: Progress = SILENT) -> None:
    """Write all figures that have something to show; bytes depend on the numbers only."""
    import matplotlib

    with resources.as_file(resources.files("knowpack.report").joinpath("knowpack.mplstyle")) as style:
        settings = matplotlib.rc_params_from_file(style, use_default_template=True)
    with matplotlib.rc_context(settings), progress.stage("report: figures", None) as advance:
        for drawn in _figures(measured):
            if engine := drawn.figure.get_layout_engine():  # laid out once, not for each kind of file
                engine.execute(drawn.figure)
                drawn.figure.set_layout_engine("none")
            for kind in KINDS:
                stamp = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}[kind]
                with store.atomic(folder / f"{drawn.name}.{kind}") as path:
                    drawn.figure.savefig(path, format=kind, metadata=stamp)
            advance(1)


def _figures(measured: Measured) -> Iterator[Drawn]:
    run = measured.source.runs[opening(measured).run]
    if any(map(any, measures.matrix(measures.under(run.shifts, GRADER), trained=False))):  # not all were trained
        yield Drawn("matrix", _matrix(run))
    if kins := measures.kinship(run, GRADER):
        yield Drawn("kinship", _kinship(kins))
    if any(row.reliability is not None for one in measured.source.runs for row in epochs(one)):
        yield Drawn("reliability_over_epochs", _epochs(measured))
    if confidence_tables.confidence(measured, GRADER).rows:
        yield Drawn("confidence", _confidence(measured, run))
    if found := [one for one in claim_tables.findings(measured, GRADER) if one.parts]:
        yield Drawn("claims", _claims(found))
    if len(measured.labels()) > 1:
        yield from _study(measured)


def _study(measured: Measured) -> Iterator[Drawn]:
    if any(run.scores is not None for run in measured.source.runs):
        yield Drawn("benchmarks", _benchmarks(measured))
    if tables.pareto(measured, GRADER).rows:
        yield Drawn("pareto", _pareto(measured))
    for name in ("reliability", "known_lost_raw", "negative"):
        if any(measured.cell(label, GRADER, name) for label, _ in measured.labels()):
            yield Drawn(f"over_n_{name}", _over_n(measured, name))


def new(
    width: float, height: float, n_columns: int = 1, n_rows: int = 1, heights: list[float] | None = None
) -> tuple["Figure", list["Axes"]]:
    """An empty figure, without pyplot's global state: inches, axes row by row; heights: of the rows, relative."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    axes = figure.subplots(n_rows, n_columns, squeeze=False, height_ratios=heights)
    return figure, [ax for line in axes for ax in line]


def _matrix(run: Run) -> "Figure":
    counts = measures.matrix(measures.under(run.shifts, GRADER), trained=False)
    order = [i for i in range(len(counts)) if any(counts[i]) or any(row[i] for row in counts)][::-1]
    names = [str(list(Category)[i]) for i in order]
    figure, (ax,) = new(3.6, 3.1)
    shares = [[counts[i][j] / max(1, sum(counts[i])) for j in order] for i in order]
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1.3, aspect="auto")
    ax.set(xticks=range(len(order)), yticks=range(len(order)), xlabel="after", ylabel="before")
    ax.set_xticklabels(names)
    ax.set_yticklabels(names, rotation=90, va="center")
    ax.grid(False)
    for r, i in enumerate(order):
        for c, j in enumerate(order):
            text = f"{counts[i][j]:,}\n{shares[r][c]:.1%}"
            ax.text(c, r, text, ha="center", va="center", fontsize=8, color="white" if shares[r][c] > 0.7 else "black")
    ax.set_title(_plain(f"{run.label}: facts that were not trained"))
    return figure


def _kinship(kins: list[measures.Kin]) -> "Figure":
    figure, (ax,) = new(4.2, 0.9 + 0.38 * len(kins))
    for y, one in enumerate(reversed(kins)):
        lost = one.lost
        low, high = (lost.value if end is None else end for end in (lost.low, lost.high))
        ax.errorbar(
            lost.value, y, xerr=[[max(0.0, lost.value - low)], [max(0.0, high - lost.value)]], fmt="o", color="#D55E00"
        )
    ax.set(yticks=range(len(kins)), ylim=(-0.6, len(kins) - 0.4), xlabel="share of known facts lost (95%)")
    ax.set_yticklabels([f"{one.kinship.replace('_', ' ')} (n={one.lost.n:,})" for one in reversed(kins)])
    ax.set_xlim(left=min(0.0, ax.get_xlim()[0]))
    return figure


def _claims(found: list[Finding]) -> "Figure":
    """A panel a figure that a claim was judged on: every cell, and their mean in black."""
    panels = [(one, part) for one in found for part in one.parts]
    heights = [1.0 + 0.17 * (1 + len(part.cells)) for _, part in panels]
    figure, axes = new(5.6, sum(heights), 1, len(panels), heights)
    for ax, (one, part) in zip(axes, panels, strict=True):
        rows = [*part.cells, ("mean", part.pooled)]
        for y, (label, estimate) in enumerate(reversed(rows)):
            low, high = (estimate.value if end is None else end for end in (estimate.low, estimate.high))
            ends = [[max(0.0, estimate.value - low)], [max(0.0, high - estimate.value)]]
            colour = "black" if label == "mean" else "#0072B2"
            ax.errorbar(estimate.value, y, xerr=ends, fmt="o", markersize=3, color=colour)
        ax.axvline(0, color="#555555", linewidth=0.8, linestyle=":")
        ax.set(yticks=range(len(rows)), ylim=(-0.6, len(rows) - 0.4), xlabel=measures.NAMES.get(part.name, part.name))
        ax.set_yticklabels([_plain(label) for label, _ in reversed(rows)], fontsize=6)
        ax.set_title(f"{one.claim} {str(one.ruling).capitalize()}.", fontsize=7, loc="left")
    return figure


def _confidence(measured: Measured, run: Run) -> "Figure":
    """Left: the probability of right and of wrong answers, cell by cell. Right: risk by coverage of the first run."""
    labels = [label for label, _ in measured.labels() if measured.cell(label, GRADER, "confidence")]
    figure, (left, right) = new(6.4, max(2.6, 0.9 + 0.3 * (1 + len(labels))), 2)
    for name, colour in (("confidence_right", "#0072B2"), ("confidence_wrong", "#D55E00")):
        base = measured.cell(labels[0], GRADER, f"{name}_base")
        shown = [base, *(measured.cell(label, GRADER, name) for label in labels)]
        for y, one in enumerate(reversed(shown)):
            if one is not None:
                low, high = (one.value if end is None else end for end in (one.low, one.high))
                ends = [[max(0.0, one.value - low)], [max(0.0, high - one.value)]]
                said = name.removeprefix("confidence_") if y == 0 else None
                left.errorbar(one.value, y, xerr=ends, fmt="o", markersize=3, color=colour, label=said)
    left.set(yticks=range(len(labels) + 1), ylim=(-0.6, len(labels) + 0.6), xlabel="probability of its answers (95%)")
    left.set_yticklabels([_plain(label) for label in reversed(["base", *labels])])
    left.legend(fontsize=7)
    for model, colour in (("base", "#555555"), ("tuned", "#0072B2")):
        points = confidence_tables.curve(run, GRADER, model)
        right.plot(list(points), list(points.values()), "o-", markersize=3, color=colour, label=model)
    right.set(xlabel="share of answers, the surest first", ylabel="share of them wrong", ylim=(-0.03, 1.03))
    right.set_title(_plain(run.label))
    right.legend(fontsize=7)
    return figure


def _epochs(measured: Measured) -> "Figure":
    kept_families = {
        key: kept
        for key, cells in families(measured).items()
        if (kept := [c for c in cells if any(row.reliability is not None for row in epochs(run_of(measured, c[0])))])
    }
    figure, axes = new(2.5 * len(kept_families) + 0.6, 2.5, len(kept_families))
    from matplotlib import colormaps

    for ax, (key, cells) in zip(axes, kept_families.items(), strict=True):
        for i, (label, cell) in enumerate(cells):
            rows = [
                (row.epoch, row.reliability) for row in epochs(run_of(measured, label)) if row.reliability is not None
            ]
            hue = colormaps["viridis"](0.9 * i / max(1, len(cells) - 1))
            ax.plot([row[0] for row in rows], [row[1] for row in rows], "o-", color=hue, label=f"{cell.n_unknown:,}")
        ax.set(title=family_name(key), xlabel="epoch", ylim=(-0.03, 1.05))
    axes[0].set_ylabel("reliability")
    axes[0].legend(title="facts", loc="lower right")
    return figure


def _benchmarks(measured: Measured) -> "Figure":
    rows = [row for run in measured.source.runs if run.scores is not None for row in run.scores.iter_rows()]
    keys = [key for key in measures.unique(f"{row[0]}\t{row[1]}" for row in rows) if not key.startswith("mmlu_")][:12]
    n_columns = min(3, len(keys))
    figure, axes = new(
        2.4 * n_columns + 0.4, 2.1 * -(-len(keys) // n_columns) + 0.4, n_columns, -(-len(keys) // n_columns)
    )
    for ax in axes[len(keys) :]:
        ax.set_visible(False)
    for ax, key in zip(axes, keys, strict=False):
        task, metric = key.split("\t")
        for kind, cells in families(measured).items():
            _benchmark_line(ax, measured, kind, cells, (task, metric))
        base = measured.source.runs[0].base_scores()
        for row in base.iter_rows() if base is not None else ():
            if row[:2] == (task, metric):
                ax.axhline(row[2], color="#555555", linestyle=":", linewidth=1)
        ax.set(title=_plain(f"{task} {metric}"), xscale="log")
    axes[0].legend(fontsize=6)
    figure.supxlabel("Unknown facts trained; dashed: the paper, dotted: the base", fontsize=8)
    return figure


def _benchmark_line(
    ax: "Axes", measured: Measured, kind: str, cells: list[tuple[str, Cell]], key: tuple[str, str]
) -> None:
    colour = palette.family(kind)
    points = []
    for label, cell in cells:
        values = [
            row[2]
            for run in measured.source.runs
            if run.label == label and run.scores is not None
            for row in run.scores.iter_rows()
            if row[:2] == key
        ]
        if values:
            points.append((cell.n_unknown, sum(values) / len(values), min(values), max(values)))
    if points:
        x, mean, low, high = zip(*points, strict=True)
        ax.plot(x, mean, marker=palette.MARKERS.get(kind, "*"), color=colour, label=family_name(kind))
        ax.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
    number, column, _ = reference.BENCHMARKS.get(key, (0, "", 1.0))
    if number:
        theirs = [(n, value) for n, value in _paper(number, column, kind)]
        ax.plot([n for n, _ in theirs], [value for _, value in theirs], "--", color=colour, linewidth=0.9, alpha=0.8)


def _over_n(measured: Measured, name: str) -> "Figure":
    figure, (ax,) = new(4.2, 2.9)
    paper = {"reliability": (2, "reliability"), "negative": (3, "negative_shift")}.get(name)
    for kind, cells in families(measured).items():
        found = [(cell.n_unknown, m) for label, cell in cells if (m := measured.cell(label, GRADER, name))]
        x = [n for n, _ in found]
        colour = palette.family(kind)
        ax.plot(
            x, [m.value for _, m in found], marker=palette.MARKERS.get(kind, "*"), color=colour, label=family_name(kind)
        )
        low = [m.value if m.low is None else max(0.0, m.low) for _, m in found]
        high = [m.value if m.high is None else min(1.0, m.high) for _, m in found]
        ax.fill_between(x, low, high, color=colour, alpha=0.1, linewidth=0)
        theirs = list(_paper(*paper, kind)) if paper else []
        ax.plot([n for n, _ in theirs], [v for _, v in theirs], "--", color=colour, linewidth=0.9, alpha=0.8)
    ax.set(xscale="log", xlabel="Unknown facts trained", ylabel=measures.NAMES[name].split(":")[0].lower())
    ax.legend(fontsize=7)
    ax.set_title("dashed: the paper (Llama-3.1-8B-Instruct)" if paper else "", fontsize=7, fontweight="normal")
    return figure


def _pareto(measured: Measured) -> "Figure":
    figure, (ax,) = new(4.4, 3.3)
    for kind, cells in families(measured).items():
        for i, (label, cell) in enumerate(cells):
            learned, lost = (measured.cell(label, GRADER, name) for name in ("reliability", "known_lost_raw"))
            if learned is None or lost is None:
                continue
            x, y = lost.value, learned.value * cell.n_unknown
            ends = [[max(0.0, x - (lost.low if lost.low is not None else x))], [max(0.0, (lost.high or x) - x)]]
            ax.errorbar(
                x,
                y,
                xerr=ends,
                fmt=palette.MARKERS.get(kind, "*"),
                color=palette.family(kind),
                elinewidth=0.6,
                label=family_name(kind) if i == 0 else None,
            )
    ax.set(yscale="log", xlabel="share of known facts lost (95%)", ylabel="facts learned")
    ax.legend(fontsize=7)
    return figure


def _paper(number: int, column: str, kind: str) -> Iterator[tuple[int, float]]:
    for row in reference.cells(number).drop_nulls(column).iter_rows(named=True):
        if family(Cell(row["n_unknown"], row["augmentation"], row["k_per_unknown"])) == kind:
            yield row["n_unknown"], float(row[column])


def _plain(text: str) -> str:
    """Text for matplotlib: no mathtext, one short line."""
    return "".join(c if c.isprintable() else " " for c in text)[:60].replace("$", r"\$")
