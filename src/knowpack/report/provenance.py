"""How a run was made: the command, the recipe that was really used, the time, the hashes, what was not measured.

ReportData + index -> markup. Of somebody's adapter the recipe is unknown, and said so; of a pack it is the best
attempt's.
"""

from collections.abc import Iterator, Mapping

from knowpack.report import first_screen, run_details
from knowpack.report.finished_run import Run
from knowpack.report.markup import Child, Markup, alien, details, el, join, table
from knowpack.report.report_data import ReportData
from knowpack.report.summary import unmeasured

OF_TRAINING = ("train", "mix")  # settings that only a run of ours reads
STAGES = {
    "mix": "choosing the examples",
    "train": "training",
    "validate": "judging",
    "adapter": "choosing the adapter",
    "probe": "asking the tuned model",
    "further-base": "asking the base in other ways",
    "further": "asking the tuned model in other ways",
    "knowledge": "what the tuned model knows",
    "shifts": "what moved, and why",
    "bench": "benchmarks",
    "figures": "figures",
}
"""A stage's name in a manifest -> what it does, in the order of a run."""


def section(data: ReportData, index: int) -> Markup:
    """The last part of the page."""
    run, kind = data.source.runs[index], data.source.kind
    screen = first_screen.first_screen(data, index)
    hashes = {
        "weights of the base": run.manifest.get("base_weights_hash"),
        "base with its facts and prompts": run.manifest.get("base_hash"),
        "facts": run.manifest.get("facts_hash"),
        "adapter": screen.adapter_hash,
    }
    packages, computer = run_details.kept(run, "versions"), run_details.kept(run, "machine")
    missing = [*unmeasured(data), *(f"{one.name}: {one.state}" for one in data.source.unfinished)]
    left = [
        el("h3", None, "Do it again"),
        el(
            "pre",
            {"tabindex": "0", "role": "region", "aria-label": "The command"},
            screen.again or "The command was not kept.",
        ),
        el("h3", None, "Recipe"),
        _recipe(run, kind),
        el("h3", None, "Identity"),
        pairs(
            {name: value for name, value in hashes.items() if value}
            | {f"machine: {k}": v for k, v in computer.items() if v is not None}
            | {f"version of {k}": v for k, v in packages.items()}
        ),
    ]
    doubts = run_details.doubts(run)
    right = [
        *(
            [el("h3", None, "Doubtful"), el("ul", None, [el("li", None, alien(one, 2000)) for one in doubts])]
            if doubts
            else []
        ),
        el("h3", None, "Time"),
        _times(run, screen.seconds),
        el("h3", None, "Not measured"),
        el(
            "ul",
            None,
            [el("li", None, text) for text in missing or ["Nothing was left out."]],
        ),
    ]
    config = run.manifest.get("config")
    settings = (
        {k: v for k, v in config.items() if kind in ("study", "run") or k not in OF_TRAINING}
        if isinstance(config, dict)
        else {}
    )
    return join(
        el("div", {"class": "pair"}, el("div", None, left), el("div", None, right)),
        details("Every setting", pairs(dict(flat(settings)))),
    )


def recipe(run: Run, kind: str) -> Mapping[str, object] | None:
    """The settings of training that were used; None = unknown."""
    settings = run.read("pack.json").get("recipe") if kind == "pack" else run.config("train")
    return settings if isinstance(settings, dict) and kind != "diff" else None


def _recipe(run: Run, kind: str) -> Markup:
    settings = recipe(run, kind)
    if settings is None:
        return el("p", None, "It is not recorded with this adapter." if kind == "diff" else "It was not kept.")
    return pairs(dict(flat(settings)))


def _times(run: Run, seconds: float | None) -> Markup:
    took = {name: float(str(one.get("seconds") or 0)) for name, one in run_details.stages(run).items()}
    rows: list[list[Child]] = [[stage_name(name), f"{took[name]:,.1f}"] for name in sorted(took, key=_place)]
    if seconds is not None:
        of_stages = sum(took.values())
        rows.append(["loading, asking the base, the report", f"{max(0.0, seconds - of_stages):,.1f}"])
        rows.append(["all together", f"{seconds:,.1f}"])
    return table(["stage", "seconds"], rows, "Time") if rows else el("p", None, "The times were not kept.")


def stage_name(name: str) -> str:
    """A stage of a manifest, for a person; `train 00-a098...` is the training of a pack's first attempt."""
    verb, _, attempt = name.partition(" ")
    what, number = STAGES.get(verb, name), attempt.partition("-")[0]
    return f"{what}, attempt {int(number) + 1}" if number.isdigit() else what


def _place(name: str) -> tuple[int, str]:
    verb = name.partition(" ")[0]
    return (list(STAGES).index(verb) if verb in STAGES else len(STAGES), name)


def pairs(values: Mapping[str, object]) -> Markup:
    """Names and values."""
    entries = [join(el("dt", None, name), el("dd", None, alien(value, 2000))) for name, value in values.items()]
    return el("dl", {"class": "settings"}, entries)


def flat(value: Mapping[str, object], parent: str = "") -> Iterator[tuple[str, object]]:
    """Nested settings by their dotted names."""
    for name, one in value.items():
        if isinstance(one, dict):
            yield from flat(one, f"{parent}{name}.")
        else:
            yield (
                f"{parent}{name}",
                ", ".join(map(str, one)) if isinstance(one, list) else "none" if one is None else one,
            )
