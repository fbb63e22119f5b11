"""What a report says first: which model, which adapter, when, may it ship, and the three figures that decide.

Measured + index of a run -> First; the page, the terminal and --json show the same.
"""

import shlex
from pathlib import Path
from typing import NamedTuple

from knowpack import store
from knowpack.errors import StoreError
from knowpack.records import Estimate, Grader
from knowpack.report import measures
from knowpack.report.finished import Run
from knowpack.report.measured import Measured
from knowpack.report.shares import share
from knowpack.report.verdict import Judgement, judge

DECISIVE = ("reliability", "known_lost_net", "refusals_lost_net", "benchmark_drop")
LABELS = {
    "reliability": "New facts answered",
    "known_lost_net": "Known facts lost, net of noise",
    "known_lost_raw": "Known facts lost, raw",
    "own_lost_net": "Own answers lost, net of noise",
    "own_lost_raw": "Own answers lost, raw",
    "refusals_lost_net": "Refusals lost, net of noise",
    "benchmark_drop": "Largest fall of a benchmark",
}
LOST = ("known_lost_net", "own_lost_net", "known_lost_raw", "own_lost_raw")
N_DECISIVE = 3
LONGEST_NAME = 40  # characters of a path in the heading


class Deciding(NamedTuple):
    """A figure of the first screen; None = not measured."""

    name: str
    label: str
    estimate: Estimate | None


class First(NamedTuple):
    """The first screen."""

    kind: str
    """study, run, pack or diff."""
    label: str
    """The run's label; of a pack or a diff, the folder's name."""
    seed: int
    model: str
    model_hash: str | None
    """Of its weights."""
    adapter: str
    """The adapter, or the whole fine-tuned model."""
    adapter_hash: str | None
    """Of its file (a run, a pack), or of base and adapter together (a diff)."""
    date: str | None
    """When the last stage ended, UTC."""
    seconds: float | None
    """Of the whole command, loading and the base's own probe included; None = not kept."""
    again: str | None
    """The command that makes it again."""
    judgement: Judgement
    figures: list[Deciding]
    headline: str


def first(measured: Measured, index: int, grader: Grader = "default") -> First:
    """What is said of one run of a report."""
    run, found = measured.source.runs[index], measured.runs[index]
    kind = measured.source.kind
    after = run.manifest.get("after")
    tuned = after if isinstance(after, dict) else {}
    adapter = str(tuned.get("adapter") or tuned.get("name") or (run.folder.name if kind == "pack" else run.label))
    return First(
        kind=kind,
        label=run.label if kind in ("study", "run") else run.folder.name,
        seed=run.seed,
        model=str(run.config("model", "name") or "not kept"),
        model_hash=_text(run.manifest.get("base_weights_hash")),
        adapter=adapter,
        adapter_hash=_text(run.read("tuned.json").get("weights_hash")) or _file_hash(run),
        date=_date(run),
        seconds=_seconds(run),
        again=_again(measured, run),
        judgement=judge(run, found["default"]),
        figures=deciding(found[grader]),
        headline=headline(measured, index, grader),
    )


def title(measured: Measured) -> str:
    """What the report is about, in a few words."""
    given, told = measured.source, first(measured, 0)
    model = short(told.model)
    if given.kind == "pack":
        n = given.runs[0].read("pack.json").get("n_packed")
        return f"{n:,} facts packed into {model}" if isinstance(n, int) else f"Facts packed into {model}"
    if given.kind == "diff":
        return f"What {short(told.adapter)} changed in {model}"
    alike = len({run.config("model", "name") for run in given.runs}) == 1
    of = model if alike else "several models"
    return f"{given.title}: {'a study of' if given.kind == 'study' else 'one training of'} {of}"


def short(name: str) -> str:
    """A model or an adapter in a heading: of a long path the last two parts; the whole stands below."""
    return name if len(name) <= LONGEST_NAME else "/".join(Path(name).parts[-2:])


def deciding(found: dict[str, Estimate]) -> list[Deciding]:
    """The three figures that decide: those that were measured first; raw where there is no net figure."""
    lost = next((one for one in LOST if one in found), None)
    names = [lost or name if name == "known_lost_net" else name for name in DECISIVE]
    chosen = sorted(names, key=lambda name: name not in found)[:N_DECISIVE]
    return [Deciding(name, LABELS[name], found.get(name)) for name in sorted(chosen, key=names.index)]


def headline(measured: Measured, index: int, grader: Grader) -> str:
    """One run in a sentence or two, nothing in it that was not measured."""
    run, found = measured.source.runs[index], measured.runs[index][grader]
    limits = {one.name: one.limit for one in judge(run, measured.runs[index]["default"]).verdicts}
    parts = []
    if (learned := found.get("reliability")) is not None:
        n, right = learned.n or run.cell.n_unknown, share(learned.value, limits.get("reliability"))
        parts.append(f"{right} right answers to {'the one new fact' if n == 1 else f'{n:,} new facts'}")
    elif run.examples() is None:
        parts.append("the trained facts are unknown")
    net, raw = found.get("known_lost_net"), found.get("known_lost_raw")
    if (own := found.get("own_lost_net")) is not None:
        parts.append(_lost(own.value, limits.get("own_lost"), "of its own answers to its own questions"))
    elif net is not None:
        parts.append(_lost(net.value, limits.get("known_lost"), "of what the model knew best"))
    elif raw is not None:
        parts.append(f"{share(raw.value)} of what the model knew best was lost (raw)")
    if (lost := found.get("refusals_lost_net")) is not None:
        parts.append(_lost(lost.value, limits.get("refusals_lost"), "of its refusals"))
    text = "; ".join(parts) or "None of the figures that decide could be measured"
    return f"{text[0].upper()}{text[1:]}."


def _lost(value: float, limit: float | None, of: str) -> str:
    if value <= 0:
        return f"no loss {of} was seen net of noise ({share(value)})"
    return f"{share(value, limit)} {of} lost net of noise"


def said(estimate: Estimate | None, name: str = "") -> str:
    """A figure with interval and n, for a person."""
    if estimate is None:
        return "not measured"
    form = share if estimate.unit == "share" and not name.startswith(("n_", "entropy")) else lambda v: f"{v:,.3g}"
    n = "" if estimate.n is None else f", n = {estimate.n:,}"
    if estimate.low is None or estimate.high is None:
        return f"{form(estimate.value)} (no interval{n})"
    return f"{form(estimate.value)} ({form(estimate.low)} to {form(estimate.high)}{n})"


def as_json(measured: Measured, index: int) -> dict[str, object]:
    """The same as plain values, for --json."""
    told = first(measured, index)
    plain = {name: one._asdict() for name, one in measured.runs[index]["default"].items()}
    return {
        **{name: getattr(told, name) for name in First._fields[:10]},
        "headline": told.headline,
        "verdict": told.judgement.word,
        "limits": [
            {"name": v.name, "limit": v.limit, "verdict": v.verdict, "why": v.why} for v in told.judgement.verdicts
        ],
        "limits_by": told.judgement.by,
        "figures": {name: plain[name] for name in measures.NAMES if name in plain},
        "folder": str(measured.source.runs[index].folder),
    }


def _again(measured: Measured, run: Run) -> str | None:
    """The command that makes it again, given where the first was. Of a study: all of it, and this cell alone."""
    if measured.source.kind not in ("study", "run"):
        return _text(run.manifest.get("again")) or _text(run.manifest.get("command"))
    work = Path(str(run.config("work") or "work"))
    alone = f"knowpack run {shlex.quote(str(work / 'runs' / run.folder.name / 'config.yaml'))}"
    if measured.source.kind == "run":
        return alone
    whole = work / "studies" / measured.source.folder.name / "study.yaml"
    return f"knowpack study {shlex.quote(str(whole))}\n{alone}    # this cell alone"


def _file_hash(run: Run) -> str | None:
    try:
        files = store.recorded_files(run.folder)
    except StoreError:
        return None
    whole = files.get("adapter/adapter_model.safetensors")
    return whole and whole[:16]


def _stages(run: Run) -> list[dict[str, object]]:
    found = run.manifest.get("stages")
    return [one for one in found.values() if isinstance(one, dict)] if isinstance(found, dict) else []


def _date(run: Run) -> str | None:
    ended = [str(one["done_at"]) for one in _stages(run) if one.get("done_at")]
    return max(ended, default=None)


def _seconds(run: Run) -> float | None:
    whole = run.manifest.get("seconds")
    return float(whole) if isinstance(whole, int | float) else None


def _text(value: object) -> str | None:
    return str(value) if value else None
