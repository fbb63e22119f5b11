"""What a report says first: which model, which adapter, when, may it ship, and the three figures that decide.

ReportData + index of a run -> FirstScreen; the page, the terminal and --json show the same.
"""

from pathlib import Path
from typing import NamedTuple

from knowpack.records import Estimate, Grader
from knowpack.report import measures, run_details
from knowpack.report.report_data import ReportData
from knowpack.report.shares import points, share
from knowpack.report.verdict import Judgement, judge

DECISIVE = ("reliability", "known_lost_net", "refusals_lost_net", "benchmark_drop")
NET = "both asked again under fresh prompts: what the adapter loses less what the base itself does (not raw less floor)"
LABELS = {
    "reliability": "New facts answered",
    "known_lost_net": "Known facts lost, net of noise",
    "known_lost_raw": "Known facts lost, raw",
    "own_lost_net": "Own answers lost, net of noise",
    "own_lost_raw": "Own answers lost, raw",
    "refusals_lost_net": "Refusals lost, net of noise",
    "benchmark_drop": "Largest fall of a benchmark",
}
NOTES = {
    "known_lost_net": NET,
    "own_lost_net": NET,
    "refusals_lost_net": NET,
    "benchmark_drop": "the task that fell most, on the same items before and after",
}
"""What is behind a figure of the first screen, in a line."""
LOST = ("known_lost_net", "own_lost_net", "known_lost_raw", "own_lost_raw")
COST_OF = {"pack": "packing and measuring", "diff": "this comparison alone", "run": "this run", "study": "this cell"}
N_DECISIVE = 3
DIFFERENCES = {"trained_answers_net"}
"""Differences of shares that may reach beyond 1, so that their unit is none."""
JSON_FIELDS = (
    *("kind", "label", "seed", "model", "model_hash", "model_is", "adapter", "adapter_hash"),
    *("machine", "date", "seconds", "again"),
)
LONGEST_NAME = 40  # characters of a path in the heading


class DecidingFigure(NamedTuple):
    """A figure of the first screen; None = not measured."""

    name: str
    label: str
    estimate: Estimate | None
    note: str = ""
    """What is behind it, in a line."""


class FirstScreen(NamedTuple):
    """The first screen."""

    kind: str
    """study, run, pack or diff."""
    label: str
    """The run's label; of a pack or a diff, the folder's name."""
    seed: int
    model: str
    model_hash: str | None
    """Of its weights."""
    model_is: str | None
    """What its name stands for (run_details.model)."""
    adapter: str
    """The adapter, or the whole fine-tuned model."""
    adapter_hash: str | None
    """Of its file; of the weights of a whole fine-tuned model."""
    machine: str | None
    """What it was computed on and by (run_details.machine)."""
    cost: str
    """The time of the whole command, and the adapter's size, in words."""
    date: str | None
    """When the last stage ended, UTC."""
    seconds: float | None
    """Of the whole command, loading and the base's own probe included; None = not kept."""
    again: str | None
    """The command that makes it again."""
    judgement: Judgement
    figures: list[DecidingFigure]
    headline: str


def first_screen(data: ReportData, index: int, grader: Grader = "default") -> FirstScreen:
    """What is said of one run of a report."""
    run, estimates = data.source.runs[index], data.runs[index]
    kind = data.source.kind
    after = run.manifest.get("after")
    tuned = after if isinstance(after, dict) else {}
    packed = f"{run.folder.name}/adapter" if kind == "pack" else run.label
    adapter = str(tuned.get("adapter") or tuned.get("name") or packed)
    return FirstScreen(
        kind=kind,
        label=run.label if kind in ("study", "run") else run.folder.name,
        seed=run.seed,
        model=str(run.config("model", "name") or "not kept"),
        model_hash=run_details.text(run.manifest.get("base_weights_hash")),
        model_is=run_details.model(run),
        adapter=adapter,
        adapter_hash=run_details.adapter_hash(run),
        machine=run_details.machine(run),
        cost=run_details.cost(run, COST_OF[kind]),
        date=run_details.date(run),
        seconds=run_details.seconds(run),
        again=run_details.again(data, run),
        judgement=judge(run, estimates["default"]),
        figures=deciding(estimates[grader]),
        headline=headline(data, index, grader),
    )


def title(data: ReportData) -> str:
    """What the report is about, in a few words."""
    source, screen = data.source, first_screen(data, 0)
    model = short(screen.model)
    if source.kind == "pack":
        n = source.runs[0].read("pack.json").get("n_packed")
        return f"{n:,} facts packed into {model}" if isinstance(n, int) else f"Facts packed into {model}"
    if source.kind == "diff":
        is_path = screen.adapter.count("/") > 1 or "\\" in screen.adapter  # it stands whole below
        return f"What {'this adapter' if is_path else short(screen.adapter)} changed in {model}"
    alike = len({run.config("model", "name") for run in source.runs}) == 1
    of = model if alike else "several models"
    return f"{source.title}: {'a study of' if source.kind == 'study' else 'one training of'} {of}"


def short(name: str) -> str:
    """A model or an adapter in a heading: of a long path the last two parts; the whole stands below."""
    return name if len(name) <= LONGEST_NAME else "/".join(Path(name).parts[-2:])


def deciding(estimates: dict[str, Estimate]) -> list[DecidingFigure]:
    """The three figures that decide: those that were measured first; raw where there is no net figure."""
    lost = next((one for one in LOST if one in estimates), None)
    names = [lost or name if name == "known_lost_net" else name for name in DECISIVE]
    chosen = sorted(names, key=lambda name: name not in estimates)[:N_DECISIVE]
    notes = dict(NOTES)
    if (unseen := estimates.get("reliability_held_out")) is not None:
        notes["reliability"] = (
            f"in wordings that were not trained: {estimate_text(unseen)}".removesuffix(")") + " answers)"
        )
    return [
        DecidingFigure(name, LABELS[name], estimates.get(name), notes.get(name, ""))
        for name in sorted(chosen, key=names.index)
    ]


def headline(data: ReportData, index: int, grader: Grader) -> str:
    """One run in a sentence or two, nothing in it that was not measured."""
    run, estimates = data.source.runs[index], data.runs[index][grader]
    limits = {one.name: one.limit for one in judge(run, data.runs[index]["default"]).verdicts}
    parts = []
    if (learned := estimates.get("reliability")) is not None:
        n, right = learned.n or run.cell.n_unknown, share(learned.value, limits.get("reliability"))
        parts.append(f"{right} right answers to {'the one new fact' if n == 1 else f'{n:,} new facts'}")
        if (unseen := estimates.get("reliability_held_out")) is not None:
            parts[-1] += f" ({share(unseen.value)} in wordings that were not trained)"
    elif run.examples() is None:
        parts.append("which facts were trained is not known, so not whether they were learned")
    net, raw = estimates.get("known_lost_net"), estimates.get("known_lost_raw")
    if (own := estimates.get("own_lost_net")) is not None:
        parts.append(_lost(own.value, limits.get("own_lost"), "of its own answers to its own questions"))
    elif net is not None:
        parts.append(_lost(net.value, limits.get("known_lost"), "of the facts that it knew best"))
    elif raw is not None:
        parts.append(f"{share(raw.value)} of the facts that it knew best were lost (raw)")
    if (lost := estimates.get("refusals_lost_net")) is not None:
        parts.append(_lost(lost.value, limits.get("refusals_lost"), "of its refusals"))
    text = "; ".join(parts) or "None of the figures that decide could be measured"
    return f"{text[0].upper()}{text[1:]}."


def _lost(value: float, limit: float | None, of: str) -> str:
    if value <= 0:
        return f"no more {of} were lost than the base itself loses (net of noise {share(value)})"
    return f"{share(value, limit)} {of} were lost, net of noise"


def estimate_text(estimate: Estimate | None, name: str = "", *, change: bool = False) -> str:
    """A figure with interval and n, for a person. change: it is a difference of two, as one named _change is."""
    if estimate is None:
        return "not measured"
    shares = estimate.unit == "share" or name in DIFFERENCES
    as_share = points if change or name.endswith("_change") else share
    form = as_share if shares and not name.startswith(("n_", "entropy")) else _plain
    n = "" if estimate.n is None else f", n = {estimate.n:,}"
    if estimate.low is None or estimate.high is None:
        return f"{form(estimate.value)} (no interval{n})"
    return f"{form(estimate.value)} ({form(estimate.low)} to {form(estimate.high)}{n})"


def _plain(value: float) -> str:
    return f"{value:,.3g}".replace("-", "−")


def as_json(data: ReportData, index: int) -> dict[str, object]:
    """The same as plain values, for --json."""
    screen = first_screen(data, index)
    plain = {name: one._asdict() for name, one in data.runs[index]["default"].items()}
    return {
        **{name: getattr(screen, name) for name in JSON_FIELDS},
        "headline": screen.headline,
        "verdict": screen.judgement.word,
        "limits": [one.as_json() for one in screen.judgement.verdicts],
        "limits_by": screen.judgement.by,
        "figures": {name: plain[name] for name in measures.NAMES if name in plain},
        "folder": str(data.source.runs[index].folder),
    }
