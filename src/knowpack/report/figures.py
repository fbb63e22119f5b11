"""Static figures for papers: one look (knowpack.mplstyle), each as SVG, PDF and PNG.

ReportData -> files: categories before and after, harm by kinship, reliability over epochs (the paper's Figure 2),
benchmarks over n (its Figures 1, 3, 4, 5), facts learned against harm, confidence, and its claims. The default grader.
"""

from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from knowpack import store
from knowpack.measure.abstract_claims import Finding
from knowpack.progress import SILENT, Progress
from knowpack.records import Grader
from knowpack.report import claim_tables, confidence_tables, drawing, grid_figures, measures, palette
from knowpack.report.drawing import NamedFigure, plain
from knowpack.report.families import families, family_name
from knowpack.report.finished_run import Run
from knowpack.report.report_data import ReportData, base_figure, bases
from knowpack.report.summary import opening, over_epochs
from knowpack.report.words import words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = ("svg", "pdf", "png")
GRADER: Grader = "default"


def write(data: ReportData, folder: Path, *, progress: Progress = SILENT) -> None:
    """Write all figures that have something to show; bytes depend on the numbers only."""
    import matplotlib

    with resources.as_file(resources.files("knowpack.report").joinpath("knowpack.mplstyle")) as style:
        settings = matplotlib.rc_params_from_file(style, use_default_template=True)
    with matplotlib.rc_context(settings), progress.stage("report: figures", None) as advance:
        for drawn in _figures(data):
            if engine := drawn.figure.get_layout_engine():  # laid out once, not for each kind of file
                engine.execute(drawn.figure)
                drawn.figure.set_layout_engine("none")
            for kind in KINDS:
                stamp = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}[kind]
                with store.atomic(folder / f"{drawn.name}.{kind}") as path:
                    drawn.figure.savefig(path, format=kind, metadata=stamp)
            advance(1)


def _figures(data: ReportData) -> Iterator[NamedFigure]:
    run = data.source.runs[opening(data).run]
    if any(map(any, measures.matrix(measures.under(run.shifts, GRADER), trained=False))):  # not all were trained
        yield NamedFigure("matrix", _matrix(run))
    if kins := measures.kinship(run, GRADER):
        yield NamedFigure("kinship", _kinship(kins, words(run).at_risk))
    if any(over_epochs(data, label) for cells in families(data).values() for label, _ in cells):
        yield NamedFigure("reliability_over_epochs", _epochs(data))
    if confidence_tables.confidence(data, GRADER).rows and not run.asks_its_own:
        yield NamedFigure("confidence", _confidence(data, run))
    if findings := [one for one in claim_tables.findings(data, GRADER) if one.parts]:
        yield NamedFigure("claims", _claims(findings))
    if len(data.labels()) > 1:
        yield from grid_figures.drawn(data)


def _matrix(run: Run) -> "Figure":
    counts = measures.matrix(measures.under(run.shifts, GRADER), trained=False)
    order = measures.occupied(counts)
    names = [words(run).categories[i] for i in order]
    figure, (ax,) = drawing.new(drawing.COLUMN, 3.0)
    shares = [[counts[i][j] / max(1, sum(counts[i])) for j in order] for i in order]
    tones = [[palette.HARM if j < i else palette.GAIN if j > i else palette.SAME for j in order] for i in order]
    cells = [list(map(drawing.faded, *pair)) for pair in zip(tones, shares, strict=True)]
    ax.imshow(cells, aspect="auto")
    ax.set(xticks=range(len(order)), yticks=range(len(order)), xlabel="after", ylabel="before")
    ax.set_xticklabels(names)
    ax.set_yticklabels(names, rotation=90, va="center")
    ax.grid(False)
    for r, i in enumerate(order):
        for c, j in enumerate(order):
            text = f"{counts[i][j]:,}\n{shares[r][c]:.1%}"
            ax.text(c, r, text, ha="center", va="center", fontsize=8)
    ax.set_title(plain(f"{run.label}: {words(run).items} {words(run).which}"))
    return figure


def _kinship(kins: list[measures.Kin], fact_kind: str) -> "Figure":
    figure, (ax,) = drawing.new(drawing.COLUMN, 0.9 + 0.38 * len(kins))
    for y, one in enumerate(reversed(kins)):
        lost = one.lost
        ax.errorbar(lost.value, y, xerr=drawing.ends(lost), fmt="o", color=palette.HARM)
    ax.set(yticks=range(len(kins)), ylim=(-0.6, len(kins) - 0.4), xlabel=f"{fact_kind} lost, 95% interval")
    ax.xaxis.set_major_formatter(drawing.percent())
    ax.set_yticklabels([f"{one.kinship.replace('_', ' ')} (n={one.lost.n:,})" for one in reversed(kins)])
    ax.set_xlim(left=min(0.0, ax.get_xlim()[0]))
    return figure


def _claims(findings: list[Finding]) -> "Figure":
    """A panel a figure that a claim was judged on: every cell, and their mean in black."""
    panels = [(one, part) for one in findings for part in one.parts]
    heights = [1.0 + 0.17 * (1 + len(part.cells)) for _, part in panels]
    figure, axes = drawing.new(5.6, sum(heights), 1, len(panels), heights)
    for ax, (one, part) in zip(axes, panels, strict=True):
        rows = [*part.cells, ("mean", part.pooled)]
        for y, (label, estimate) in enumerate(reversed(rows)):
            colour = palette.INK if label == "mean" else palette.SAME
            ax.errorbar(estimate.value, y, xerr=drawing.ends(estimate), fmt="o", markersize=3, color=colour)
        ax.axvline(0, color="#555555", linewidth=0.8, linestyle=":")
        ax.set(yticks=range(len(rows)), ylim=(-0.6, len(rows) - 0.4), xlabel=claim_tables.name(part))
        ax.set_yticklabels([plain(label) for label, _ in reversed(rows)], fontsize=6)
        ax.set_title(f"{one.claim} {str(one.ruling).capitalize()}.", fontsize=7, loc="left")
    return figure


def _confidence(data: ReportData, run: Run) -> "Figure":
    """Left: the probability of right and of wrong answers, cell by cell. Right: risk by coverage of the first run."""
    labels = [label for label, _ in data.labels() if data.cell(label, GRADER, "confidence")]
    of_bases = bases(data.source)
    n_lines = len(of_bases) + len(labels)
    figure, (left, right) = drawing.new(6.4, max(2.6, 0.9 + 0.3 * n_lines), 2)
    for name, colour, shape in (("confidence_right", palette.INK, "o"), ("confidence_wrong", palette.SAME, "s")):
        shown = [base_figure(data, run, GRADER, f"{name}_base") for _, run in of_bases]
        shown += [data.cell(label, GRADER, name) for label in labels]
        for y, one in enumerate(reversed(shown)):
            if one is not None:
                legend = name.removeprefix("confidence_") if y == 0 else None
                left.errorbar(one.value, y, xerr=drawing.ends(one), fmt=shape, markersize=3, color=colour, label=legend)
    left.set(yticks=range(n_lines), ylim=(-0.6, n_lines - 0.4), xlabel="probability of its answers (95%)")
    left.set_yticklabels([plain(label) for label in reversed([*(str(name) for name, _ in of_bases), *labels])])
    left.legend(fontsize=7)
    for model, colour in (("base", palette.SAME), ("tuned", palette.INK)):
        points = confidence_tables.curve(run, GRADER, model)
        right.plot(list(points), [one.value for one in points.values()], "o-", markersize=3, color=colour, label=model)
    right.set(xlabel="share of answers, the surest first", ylabel="share of them wrong", ylim=(-0.03, 1.03))
    right.set_title(plain(run.label))
    right.legend(fontsize=7)
    return figure


def _epochs(data: ReportData) -> "Figure":
    """A panel a family: a line a cell, its mean over seeds with their range as bars."""
    from matplotlib.ticker import MaxNLocator

    kept = {
        key: drawn
        for key, cells in families(data).items()
        if (drawn := [(label, cell.n_unknown, p) for label, cell in cells if (p := over_epochs(data, label))])
    }
    n_columns = min(drawing.MOST_COLUMNS, len(kept))
    n_rows = -(-len(kept) // n_columns)
    figure, axes = drawing.new(drawing.width(n_columns), 2.4 * n_rows + 0.2, n_columns, n_rows)
    for ax in axes[len(kept) :]:
        ax.set_visible(False)
    for ax, (key, drawn) in zip(axes, kept.items(), strict=False):
        sizes: list[int] = [n for _, n, _ in drawn]
        names: list[str] = []
        for i, (label, n, points) in enumerate(drawn):
            grey = str(round(0.6 * (1 - i / max(1, len(drawn) - 1)), 2)) if len(drawn) > 1 else palette.INK
            reach = [[end[0] for end in ends] for ends in zip(*(drawing.ends(one) for _, one in points), strict=True)]
            names.append(f"{n:,} fact{'' if n == 1 else 's'}" if sizes.count(n) == 1 else plain(label, 28))
            x, y = [epoch for epoch, _ in points], [one.value for _, one in points]
            fmt = f"{palette.SHAPES[i % len(palette.SHAPES)]}-"
            ax.errorbar(x, y, reach, fmt=fmt, color=grey, elinewidth=0.8, markersize=3.5, label=names[-1])
        ax.set(title=family_name(key), xlabel="epoch", ylim=(-0.03, 1.05))
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.yaxis.set_major_formatter(drawing.percent())
        drawing.legend_below(ax, names)
    axes[0].set_ylabel("new facts answered")
    if len({run.seed for run in data.source.runs}) > 1:
        figure.supxlabel("mean over seeds; bars: their range", fontsize=8)
    return figure
