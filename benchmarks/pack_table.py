"""Pack against the paper's recipes on the lab: reliability, harm, refusals, unseen wordings, time; and an ablation.

    python benchmarks/pack_table.py OUT --cells lr50 paper50 pack50 ablate50 refusals50 lr500 paper500 pack500
    python benchmarks/pack_table.py OUT --table          the tables of docs/benchmarks/pack.md

    python benchmarks/pack_table.py OUT --cells search50                                  for development, once
    python benchmarks/pack_table.py OUT --judge --cells pack50 paper50 anchored50 pack500 paper500
    python benchmarks/pack_table.py OUT --judge --table

With --judge everything is fresh: facts that were neither packed, reported nor used for validation in development, few-
shot prompts, seeds (1, 2, 3), and harm over some 1,500 HighlyKnown facts. The paper's recipe is then the best of a
search over rates, epochs and loss on the validation draw (`search50`), and so is training with a KL anchor instead of
replay (`anchored.py`).

One JSON file a cell in OUT: a cell that is there is not run again. Time is the process's CPU seconds of training (for
pack with the base's answers to the replay prompts), so that other work on the machine does not count.
Facts: report, validation and replay are disjoint; the packed facts are Unknown to the base under the report's prompts.
known lost: HighlyKnown facts of the report that no longer are, net of the noise floor (the base under other prompts).
known fall, known reworded fall: of the same facts, the fall of right answers, in points: to the question, and to two
wordings of each that the base was asked as well.
unseen wordings: the 12th and 13th of each packed fact, which are not trained on for it; never shown wordings: the last
two, which stand nowhere in the lab's corpus either (the base answers .98 of its own HighlyKnown facts so).
Benchmarks: the lab's five, in points of accuracy: the mean fall and the largest.
perplexity rise: on unrelated text, as a share of the base's (the lab's: of texts that its base wrote).
Learning rates are chosen on a validation draw and seed that the table does not use.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import mean

from knowpack import store
from knowpack.measure import stats
from knowpack.records import Estimate
from pack_cells import cells, kept
from pack_run import run
from pack_world import Judged, World

FIGURES = (
    "reliability",
    "known_lost_raw",
    "known_lost_net",
    "known_fall_points",
    "known_reworded_fall_points",
    "refusals_kept",
    "down",
    "unseen_wordings",
    "never_shown_wordings",
    "bench_fall_points",
    "bench_worst_points",
    "perplexity_rise",
    "cpu_seconds",
)


def table(out: Path) -> str:
    """Markdown: a line a label and n, mean over cells with a 95% interval over cells."""
    lines = ["| cell | facts | cells | lr | " + " | ".join(name.replace("_", " ") for name in FIGURES) + " |"]
    lines.append("|---" * (len(FIGURES) + 4) + "|")
    groups: dict[tuple[int, str], list[dict]] = {}
    for row in kept(out):
        if "known_lost_net" in row:
            groups.setdefault((row["n"], row["label"]), []).append(row)
    for (n, label), rows in sorted(groups.items()):
        shown = [_shown(name, rows) for name in FIGURES]
        lines.append(f"| {label} | {n} | {len(rows)} | {rows[0]['train']['lr']:g} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


BARS = {  # figure -> (at 50 facts, at 500, whether more is better)
    "reliability": (0.99, 0.99, True),
    "known_lost_net": (0.03, 0.08, False),
    "refusals_kept": (0.95, 0.90, True),
    "bench_fall_points": (1.0, 2.0, False),
    "unseen_wordings": (0.90, 0.90, True),
    "times_the_papers_best": (3.0, 3.0, False),
}
JUDGED_BARS = BARS | {  # the harm's upper end counts
    "unseen_wordings": (0.99, 0.99, True),
    "known_lost_net": (0.01, 0.015, False),
    "refusals_kept": (0.97, 0.97, True),
    "bench_worst_points": (0.5, 1.0, False),
    "perplexity_rise": (0.01, 0.02, False),
}
del JUDGED_BARS["bench_fall_points"]  # judged by the worst of them


def bars(out: Path, wanted: Mapping[str, tuple[float, float, bool]]) -> str:
    """Markdown: the bars at 50 and at 500 facts against the means over pack's cells; harm by its interval's end.

    The paper's best is the mix with the highest reliability, mean over its cells.
    """
    lines = ["| facts | cells | figure | bar | pack | |", "|---:|---:|---|---:|---:|---|"]
    for n, column in ((50, 0), (500, 1)):
        ours = [row for row in kept(out) if row["label"] == "pack" and row["n"] == n]
        if not ours:
            continue
        figures = {name: over_cells(name, ours) for name in wanted if name in ours[0]}
        papers: dict[str, list[dict]] = {}
        for row in kept(out):
            if row["label"].startswith("paper ") and row["n"] == n:
                papers.setdefault(row["label"], []).append(row)
        if papers:
            best = max(papers.values(), key=lambda rows: mean(row["reliability"] for row in rows))
            seconds = [mean(row["cpu_seconds"] for row in rows) for rows in (ours, best)]
            figures["times_the_papers_best"] = stats.mean([seconds[0] / seconds[1]])
        for name, one in figures.items():
            bar, more = wanted[name][column], wanted[name][2]
            counts = one.high if name == "known_lost_net" and one.high is not None else one.value
            met = "met" if (counts >= bar if more else counts <= bar) else "missed"
            name = name.replace("_", " ").replace("papers", "paper's")
            lines.append(f"| {n} | {len(ours)} | {name} | {bar:g} | {shown(one, 3)} | {met} |")
    return "\n".join(lines)


def over_cells(name: str, rows: Sequence[dict]) -> Estimate:
    """A figure's mean over cells; with the facts' part of the interval too where a cell has one of its own."""
    each = [row[f"{name}_estimate"] for row in rows if row.get(f"{name}_estimate") is not None]
    if len(each) == len(rows):
        return stats.over_seeds([Estimate(**one) for one in each])
    return stats.mean([row[name] for row in rows if row.get(name) is not None])


def shown(one: Estimate, digits: int) -> str:
    """.023 [.014, .033]; without interval where there is none."""
    ends = "" if one.low is None or one.high is None else f" [{one.low:.{digits}f}, {one.high:.{digits}f}]"
    return f"{one.value:.{digits}f}{ends}"


def _shown(name: str, rows: Sequence[dict]) -> str:
    if all(row.get(name) is None for row in rows):
        return "-"
    return shown(over_cells(name, rows), 1 if name.endswith("seconds") else 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--cells", nargs="*", default=[])
    parser.add_argument("--limit", type=int, default=10**9, help="stop after this many new cells")
    parser.add_argument("--only", default="", help="only cells whose label holds this")
    parser.add_argument("--seed", type=int, help="only cells of this seed")
    parser.add_argument("--table", action="store_true")
    parser.add_argument(
        "--judge", action="store_true", help="on facts, prompts and seeds that played no part in choosing it"
    )
    parser.add_argument("--model", default="lab")
    parser.add_argument("--facts", default="lab")
    parser.add_argument("--shots", default="lab")
    args = parser.parse_args()
    out = args.out / "judged" if args.judge else args.out
    if args.table:
        print(table(out), bars(out, JUDGED_BARS if args.judge else BARS), sep="\n\n")
        return
    world, done = (Judged if args.judge else World)(args.out, args.model, args.facts, args.shots), 0
    for kind in args.cells:
        for cell in cells(world, kind, args.only):
            path = out / "cells" / f"{cell.name}.json"
            if path.is_file() or done >= args.limit or args.seed not in (None, cell.seed):
                continue
            figures = run(world, cell)
            settings = {**asdict(replace(cell, train=None)), "train": cell.train.model_dump(mode="json")}  # type: ignore[arg-type]
            store.write_json(path, settings | figures)
            done += 1
            shown = {name: round(v, 3) if isinstance(v, float) else v for name, v in figures.items()}
            print(cell.label, cell.n, cell.draw, cell.seed, shown, flush=True)


if __name__ == "__main__":
    main()
