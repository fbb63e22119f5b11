"""What a run's folder says of how it was made: the command, the adapter's hash, the date, the time and the size.

Run -> plain values, None where they were not kept.
"""

import shlex
from pathlib import Path

from knowpack import store
from knowpack.errors import StoreError
from knowpack.model.locations import WEIGHTS
from knowpack.model.rounding import otherwise_rounded
from knowpack.report.finished_run import Run
from knowpack.report.report_data import ReportData
from knowpack.report.verdict import options

SHOWN = ("knowpack", "torch", "transformers", "peft")
"""Packages of the first screen; all of them stand under "How this was made"."""


def again(data: ReportData, run: Run) -> str | None:
    """The command that makes it again, given where the first was. Of a study: all of it, and this cell alone."""
    if data.source.kind not in ("study", "run"):
        typed = text(run.manifest.get("again")) or text(run.manifest.get("command"))
        return typed and typed + options(run)
    work = Path(str(run.config("work") or "work"))
    alone = f"knowpack run {shlex.quote(str(work / 'runs' / run.folder.name / 'config.yaml'))}"
    if data.source.kind == "run":
        return alone
    study_file = work / "studies" / data.source.folder.name / "study.yaml"
    return f"knowpack study {shlex.quote(str(study_file))}\n{alone}    # this cell alone"


def adapter_hash(run: Run) -> str | None:
    """Of the adapter's file, 16 hex digits; of a whole fine-tuned model that of its weights."""
    tuned = run.read("tuned.json")
    if digest := tuned.get("adapter_hash") or tuned.get("weights_hash"):
        return str(digest)
    try:
        files = store.recorded_files(run.folder)
    except StoreError:
        return None
    recorded = files.get(f"adapter/{WEIGHTS}")
    return recorded and recorded[:16]


def doubts(run: Run) -> list[str]:
    """What is doubtful about the adapter of a diff, and about answers of two processors, a line each."""
    lines = run.read("tuned.json").get("doubts")
    after = {"processor": kept(run, "machine").get("processor"), "dtype": kept(run, "model").get("dtype")}
    of_base = run.base_manifest.get("computed")
    rounded = otherwise_rounded(of_base, after) if isinstance(of_base, dict) else None
    return [*(map(str, lines) if isinstance(lines, list) else []), *([rounded] if rounded else [])]


def model(run: Run) -> str | None:
    """What the base's name stands for, where it is not all of it: its name on the hub, its revision, how it is stored
    and computed; None where nothing of it was kept."""
    recorded = kept(run, "model")
    hub, n, revision = recorded.get("hub"), recorded.get("n_parameters"), run.config("model", "revision")
    parts = [
        text(hub) if hub != run.config("model", "name") else None,
        f"revision {revision}" if revision else None,
        f"{n / 1e6:,.0f}M parameters" if isinstance(n, int) else None,
        f"{recorded['quantization']} in its GGUF file" if recorded.get("quantization") else None,
        f"computed in {recorded['dtype']}" if recorded.get("dtype") else None,
    ]
    return ", ".join(filter(None, parts)) or None


def machine(run: Run) -> str | None:
    """What it was computed on and by, in a line; None where nothing of it was kept."""
    recorded, versions = kept(run, "machine"), kept(run, "versions")
    threads, device = recorded.get("threads"), recorded.get("device")
    parts = [
        text(recorded.get("processor")),
        f"{threads} thread{'' if threads == 1 else 's'}" if threads else None,
        text(device) if device != "cpu" or not recorded.get("processor") else None,
        *(f"{name} {versions[name]}" for name in SHOWN if name in versions),
    ]
    return ", ".join(filter(None, parts)) or None


def kept(run: Run, name: str) -> dict[str, object]:
    """A part of the manifest; empty where it is not there."""
    part = run.manifest.get(name)
    return part if isinstance(part, dict) else {}


def stages(run: Run) -> dict[str, dict[str, object]]:
    """What the manifest says of each stage; empty where nothing was kept."""
    return {name: one for name, one in kept(run, "stages").items() if isinstance(one, dict)}


def date(run: Run) -> str | None:
    """When the last stage ended, UTC."""
    return max((str(one["done_at"]) for one in stages(run).values() if one.get("done_at")), default=None)


def seconds(run: Run) -> float | None:
    """Of the whole command, loading and the base's own probe included."""
    value = run.manifest.get("seconds")
    return float(value) if isinstance(value, int | float) else None


def cost(run: Run, of: str) -> str:
    """The time that the command took, what for, and the adapter's size, for a person."""
    duration, weights = seconds(run), run.folder / "adapter" / WEIGHTS
    parts = []
    if duration is not None:
        parts.append(f"{f'{duration / 60:,.0f} min' if duration > 100 else f'{duration:.0f} s'} for {of}")
    if weights.is_file():
        parts.append(f"an adapter of {weights.stat().st_size / 1e6:,.1f} MB")
    return ", ".join(parts) or "not kept"


def text(value: object) -> str | None:
    """A value of a manifest; None where it is empty."""
    return str(value) if value else None
