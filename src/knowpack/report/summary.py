"""What a report opens with, what it could not measure, and what the page's script must know.

ReportData -> the index of a run; sentences; one JSON object.
"""

from typing import NamedTuple

from knowpack.measure import causes
from knowpack.records import GRADERS, Estimate, Kind, Kinship
from knowpack.report import measures
from knowpack.report.finished_run import Run
from knowpack.report.report_data import ReportData, bases
from knowpack.report.source import Source
from knowpack.report.words import words

RELIABLE = 0.9
NO_TABLE = (
    "Anything by a table of facts to keep: none was given (--known none). What is told of losses is about the model's "
    "own answers to questions that it wrote itself, true or not."
)


class Best(NamedTuple):
    """The run that the page opens with."""

    run: int
    """Index into source.runs."""
    why: str


def summary(data: ReportData) -> dict[str, object]:
    """What the explorer and the switches of the page need beside the facts."""
    source = data.source
    best, called = opening(data), words(source.runs[0])
    of_base = {run.base_name: name for name, run in base_parts(source)}
    return {
        "kind": source.kind,
        "graders": list(GRADERS),
        "categories": called.categories,
        "chips": called.chips,
        "answer": called.answer,
        "kinships": [str(one) for one in Kinship],
        "kinds": [str(one) for one in Kind],
        "trained_known": any(run.examples() is not None for run in source.runs),
        "causes": [[str(rule.name), rule.label] for rule in causes.RULES],
        "open": best.run,
        "runs": [
            {
                "label": run.label,
                "seed": run.seed,
                "id": str(run.manifest.get("run_id") or index),
                "base": of_base[run.base_name],
            }
            for index, run in enumerate(source.runs)
        ],
        "prompts": {
            name: {key: run.probe.get(key) for key in ("system", "chat", "shots", "model")}
            for name, run in base_parts(source)
        },
        "n_facts": len(source.facts),
    }


def base_parts(source: Source) -> list[tuple[str, Run]]:
    """What the page's parts about each base are named by, and its first run."""
    return [(f"base{number or ''}", run) for number, (_, run) in enumerate(bases(source))]


def opening(data: ReportData) -> Best:
    """The cell with the most facts at a reliability of 90% or more, the least harm among those; else the most learned.

    Judged by its means over seeds and shown by its first seed, so that no seed is picked; the cell is: `why` says it.
    """
    labels = data.labels()
    if len(labels) == 1:
        return Best(0, "")

    def rank(place: int) -> tuple[bool, float, float]:
        label, cell = labels[place]
        learned, lost = (data.cell(label, "default", name) for name in ("reliability", "known_lost_raw"))
        if learned is None or cell.augmentation == "sham":
            return (False, -1.0, 0.0)
        reliable, n = learned.value >= RELIABLE, cell.n_unknown
        return (reliable, n if reliable else learned.value * n, -(lost.value if lost else 1.0))

    best = max(range(len(labels)), key=rank)
    goal = "the most facts learned" + (" with a reliability of 90% or more, at the least harm" if rank(best)[0] else "")
    first = next(i for i, run in enumerate(data.source.runs) if run.label == labels[best][0])
    several = len({run.seed for run in data.source.runs}) > 1
    by = ", by its mean over seeds" if several else ""
    return Best(first, f"the one with {goal}{by} (the best of many looks better than it is)")


def unmeasured(data: ReportData) -> list[str]:
    """What could not be measured, in words."""
    measured_names = {name for run in data.runs for name in run["default"]}
    measured_names |= {name.replace("own_lost", "known_lost") for name in measured_names}
    reasons = {
        "reliability": "Reliability: no trained Unknown facts, or it was not asked for.",
        "reliability_held_out": "New facts in other wordings: there are no held-out wordings, or they were not asked.",
        "known_lost_net": "Losses net of noise: base and adapter were not asked under fresh prompts.",
        "refusals_kept": "Refusals kept: the base refused nothing that it does not know, or it was not counted.",
    }
    missing = [text for name, text in reasons.items() if name not in measured_names]
    if all(run.asks_its_own for run in data.source.runs):
        missing.insert(0, NO_TABLE)
    if all(run.scores is None for run in data.source.runs):
        missing.append("Benchmarks: none were run.")
    if not any(measures.kinship(run, "default") for run in data.source.runs):
        missing.append(
            "Nearness to the trained facts, and causes that need them (target, domain): those facts are not known."
        )
    category = words(data.source.runs[0]).categories[-1]
    if n := max((_screened(run) for run in data.source.runs), default=0):
        missing.append(
            f"Most facts that the base does not know: {n:,} were asked once, and those that it answered or refused "
            f"were asked on. So every {category} fact of the {n:,} is measured, and few of the Unknown ones: shares of "
            "all facts on this page are of those asked on."
        )
    return missing


def _screened(run: Run) -> int:
    """How many facts were asked once, to measure on those that can be lost; 0 = no fact was left out."""
    config = run.manifest.get("config")
    facts = config.get("facts") if isinstance(config, dict) else None
    sizes = [facts.get("screen") if isinstance(facts, dict) else None, run.read("pack.json").get("n_screen")]
    return max((n for n in sizes if isinstance(n, int)), default=0)


class Epoch(NamedTuple):
    """The last of an epoch's lines in the training log; None = not measured."""

    epoch: int
    loss: float | None
    reliability: float | None


def epochs(run: Run) -> list[Epoch]:
    """The training log by epoch, in order."""
    by_epoch: dict[int, Epoch] = {}
    for line in run.log:
        epoch = line.get("epoch")
        if isinstance(epoch, int | float) and float(epoch).is_integer():
            old = by_epoch.get(int(epoch), Epoch(int(epoch), None, None))
            loss, reliability = line.get("loss"), line.get("reliability")
            by_epoch[int(epoch)] = Epoch(
                old.epoch,
                loss if isinstance(loss, int | float) else old.loss,
                reliability if isinstance(reliability, int | float) else old.reliability,
            )
    return [by_epoch[epoch] for epoch in sorted(by_epoch)]


def over_epochs(data: ReportData, label: str) -> list[tuple[float, Estimate]]:
    """Epoch -> a cell's reliability: its mean over seeds, their range as its ends where there are several."""
    by_epoch: dict[int, list[float]] = {}
    for run in (one for one in data.source.runs if one.label == label):
        for row in epochs(run):
            if row.reliability is not None:
                by_epoch.setdefault(row.epoch, []).append(row.reliability)
    return [(epoch, _with_range(values)) for epoch, values in sorted(by_epoch.items())]


def _with_range(values: list[float]) -> Estimate:
    mean = sum(values) / len(values)
    return Estimate(mean, min(values), max(values)) if len(values) > 1 else Estimate(mean)
