"""The numbers behind the page's figures: the headline, every run's moves, the grid, the benchmarks, how it was made.

Measured -> one JSON object, drawn by assets/charts.js. Nothing is rounded here.
"""

from typing import NamedTuple

import polars as pl

from knowpack.measure import causes
from knowpack.paper import reference
from knowpack.records import GRADERS, Category, Estimate, Grader, Kinship
from knowpack.report import claim_tables, measures
from knowpack.report.measured import Measured
from knowpack.report.source import Run, Source

RELIABLE = 0.9
PACKED = ("budget", "measured", "met", "verdicts", "frontier", "left_out", "n_packed")


class Best(NamedTuple):
    """The run that the page opens with."""

    run: int
    """Index into source.runs."""
    why: str


def summary(measured: Measured) -> dict[str, object]:
    """All but the facts."""
    given = measured.source
    best = opening(measured)
    return {
        "title": given.title,
        "kind": given.kind,
        "graders": list(GRADERS),
        "categories": [str(one) for one in Category],
        "kinships": [str(one) for one in Kinship],
        "causes": [[str(rule.name), rule.label] for rule in causes.RULES],
        "names": measures.NAMES,
        "open": best.run,
        "why_open": best.why,
        "runs": [_run(measured, index) for index in range(len(given.runs))],
        "cells": _cells(measured),
        "unfinished": [list(one) for one in given.unfinished],
        "paper": _paper(),
        "citation": reference.CITATION,
        "benchmarks": _benchmarks(given),
        "how": how(given),
        "prompt": {key: given.probe.get(key) for key in ("system", "chat", "shots", "model")},
        "n_facts": len(given.facts),
        "unmeasured": unmeasured(measured),
        "claims": {grader: claim_tables.plain(measured, grader) for grader in GRADERS},
    }


def opening(measured: Measured) -> Best:
    """The cell with the most facts at a reliability of 90% or more, the least harm among those; else the most learned.

    Judged by its means over seeds and shown by its first seed, so that no seed is picked; the cell is: `why` says it.
    """
    labels = measured.labels()
    if len(labels) == 1:
        return Best(0, "")

    def rank(place: int) -> tuple[bool, float, float]:
        label, cell = labels[place]
        learned, lost = (measured.cell(label, "default", name) for name in ("reliability", "known_lost_raw"))
        if learned is None or cell.augmentation == "sham":
            return (False, -1.0, 0.0)
        reliable, n = learned.value >= RELIABLE, cell.n_unknown
        return (reliable, n if reliable else learned.value * n, -(lost.value if lost else 1.0))

    best = max(range(len(labels)), key=rank)
    goal = "the most facts learned" + (" with a reliability of 90% or more, at the least harm" if rank(best)[0] else "")
    first = next(i for i, run in enumerate(measured.source.runs) if run.label == labels[best][0])
    return Best(first, f"picked by their means over seeds for {goal} (the best of many looks better than it is)")


def unmeasured(measured: Measured) -> list[str]:
    """What could not be measured, in words."""
    found = {name for run in measured.runs for name in run["default"]}
    said = {
        "reliability": "Reliability: no trained Unknown facts, or it was not asked for.",
        "reliability_held_out": "New facts in other wordings: there are no held-out wordings, or they were not asked.",
        "known_lost_net": "Losses net of noise: base and adapter were not asked under fresh prompts.",
        "refusals_kept": "Refusals kept: not counted in this run.",
    }
    missing = [text for name, text in said.items() if name not in found]
    if all(run.scores is None for run in measured.source.runs):
        missing.append("Benchmarks: none were run.")
    if not any(measures.kinship(run, "default") for run in measured.source.runs):
        missing.append("Kinship to the trained facts and causes: the training facts are not known.")
    return missing


def how(given: Source) -> list[dict[str, object]]:
    """How each run was made: what its manifest says."""
    keys = ("run_id", "command", "facts_hash", "base_hash", "weights_hash", "base_weights_hash", "machine")
    return [
        {
            **{key: run.manifest.get(key) for key in keys if run.manifest.get(key) is not None},
            "versions": run.manifest.get("versions"),
            "stages": run.manifest.get("stages"),
            "config": run.manifest.get("config"),
        }
        for run in given.runs
    ]


def _run(measured: Measured, index: int) -> dict[str, object]:
    run = measured.source.runs[index]
    pack = run.read("pack.json")
    return {
        "label": run.label,
        "seed": run.seed,
        "cell": list(run.cell),
        "asset": f"run-{index}",
        "measures": {grader: _plain(found) for grader, found in measured.runs[index].items()},
        "moves": {grader: _moves(run, grader) for grader in GRADERS},
        "epochs": epochs(run),
        "scores": _scores(run),
        "paired": _paired(run),
        "budget": {key: pack.get(key) for key in PACKED} if pack else None,
    }


def _moves(run: Run, grader: Grader) -> dict[str, object]:
    shifts = measures.under(run.shifts, grader)
    value: dict[str, object] = {
        "untrained": measures.matrix(shifts, trained=False),
        "trained": measures.matrix(shifts, trained=True),
        "kinship": [[one.kinship, list(one.lost[:4]), one.n_facts] for one in measures.kinship(run, grader)],
    }
    for way, up in (("up", True), ("down", False)):
        shares = measures.causes(run, grader, up=up)
        value[way] = {
            "n": len(measures.movers(shifts, up=up)),
            "causes": [
                [one.cause, list(one.share[:4]), *(found and list(found[:4]) for found in (one.base_rate, one.placebo))]
                for one in shares
            ],
            "together": measures.overlaps(run, grader, up=up)[:8],
        }
    return value


def _cells(measured: Measured) -> list[dict[str, object]]:
    found: dict[str, dict[str, object]] = {}
    for label, cell in measured.labels():
        runs = [i for i, run in enumerate(measured.source.runs) if run.label == label]
        values = {
            grader: _plain({m.name: m.measure for m in measured.cells if (m.label, m.grader) == (label, grader)})
            for grader in GRADERS
        }
        found[label] = {"label": label, "cell": list(cell), "runs": runs, "measures": values}
    return list(found.values())


def _paper() -> dict[str, list[list[object]]]:
    """The paper's values by measure: rows [n, augmentation, k, value]."""
    columns = {
        "reliability": (2, "reliability"),
        "positive": (3, "positive_shift"),
        "negative": (3, "negative_shift"),
        "n_refused_first": (4, "n_refused"),
        "n_unique_answers": (4, "n_unique_answers"),
    }
    for (task, metric), (number, column, _) in reference.BENCHMARKS.items():
        columns[f"{task} {metric}"] = (number, column)
    keys = ["n_unknown", "augmentation", "k_per_unknown"]
    return {
        name: [list(row) for row in reference.cells(number).select([*keys, column]).drop_nulls(column).iter_rows()]
        for name, (number, column) in columns.items()
    }


def _benchmarks(given: Source) -> list[list[object]]:
    """The base's figures: [task, metric, value, stderr, n, the paper's value for its base]."""
    frame = next((found for run in given.runs if (found := run.base_scores()) is not None), None)
    rows: list[list[object]] = []
    for task, metric, value, stderr, n in (
        frame.select("task", "metric", "value", "stderr", "n").rows() if frame is not None else ()
    ):
        number, column, _ = reference.BENCHMARKS.get((task, metric), (0, "", 1.0))
        theirs = reference.base(number).get(column) if number else None
        rows.append([task, metric, value, stderr, n, theirs])
    return rows


def _scores(run: Run) -> list[list[object]]:
    return (
        []
        if run.scores is None
        else [list(row) for row in run.scores.select("task", "metric", "value", "stderr", "n").rows()]
    )


def _paired(run: Run) -> list[list[object]]:
    """[task, metric, difference, low, high, n, corrected p] of the asked tasks, on the same items."""
    if run.paired is None:
        return []
    names = ("task", "metric", "difference", "low", "high", "n", "p_holm")
    return [list(row) for row in run.paired.filter(pl.col("level") == "task").select(names).iter_rows()]


class Epoch(NamedTuple):
    """The last of an epoch's lines in the training log; None = not measured."""

    epoch: int
    loss: float | None
    reliability: float | None


def epochs(run: Run) -> list[Epoch]:
    """The training log by epoch, in order."""
    found: dict[int, Epoch] = {}
    for line in run.log:
        epoch = line.get("epoch")
        if isinstance(epoch, int | float) and float(epoch).is_integer():
            old = found.get(int(epoch), Epoch(int(epoch), None, None))
            loss, reliability = line.get("loss"), line.get("reliability")
            found[int(epoch)] = Epoch(
                old.epoch,
                loss if isinstance(loss, int | float) else old.loss,
                reliability if isinstance(reliability, int | float) else old.reliability,
            )
    return [found[epoch] for epoch in sorted(found)]


def _plain(found: dict[str, Estimate]) -> dict[str, list[float | int | None]]:
    return {name: list(measure[:4]) for name, measure in found.items()}
