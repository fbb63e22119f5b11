"""What `pack` and `capacity` share: their options, and a look at what a request names. Parsing and printing only."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from knowpack.pack.request import Request

Model = Annotated[str, typer.Option("--model", help="A hub name, a folder, a GGUF file, smollm2 or lab.")]
Known = Annotated[
    str,
    typer.Option(
        "--known",
        help="Facts to keep, for harm: a table, world, lab; auto: by the model; none: it writes some itself.",
    ),
]
Shots = Annotated[
    str, typer.Option("--shots", help="Few-shot pool: question and answer columns, general or lab; auto: by the model.")
]
Limits = Annotated[
    list[str],
    typer.Option(
        "--budget",
        help="known_lost=0.05, refusals_lost=0.1, benchmark_drop=0.03: what may be lost, at most; =none lifts one.",
    ),
]
Sample = Annotated[
    int | None, typer.Option("--sample", help="Facts to measure harm on; a quarter as many judge the attempts.", min=8)
]
Out = Annotated[Path, typer.Option("--out", help="Folder to write.")]


def check_request(request: "Request", command: str) -> None:
    """What the request names, before torch is imported. command: that writes its folder."""
    from knowpack.cli.input_checks import check_inputs
    from knowpack.config import FactsConfig, RunConfig
    from knowpack.model.locations import adapter_folder, on_the_hub
    from knowpack.pack.problems import checked_facts

    known = "auto" if request.known == "none" else request.known
    kept = RunConfig(
        model=request.model,
        facts=FactsConfig(path=known),
        probe=request.probe,
        bench=request.bench,
        work=request.work,
    )
    if request.facts:
        checked_facts(request)
    check_inputs(kept, out=request.out, command=command, tables=[request.remove, request.earlier])
    onto = request.onto
    if onto is not None and not (Path(onto) / "pack.json").is_file() and on_the_hub(onto) is None:
        adapter_folder(onto)


def sized(request: "Request", sample: int | None) -> "Request":
    """So many facts report the harm, and a quarter as many judge the attempts."""
    if sample is None:
        return request
    return request.model_copy(update={"n_report": sample, "n_validation": max(2, sample // 4)})
