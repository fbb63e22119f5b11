"""The lab's commands. Parsing and printing only."""

from pathlib import Path
from typing import Annotated

import typer

from knowpack.cli.printing import Out
from knowpack.cli.terminal import echo

app = typer.Typer(help="The lab: a generated world, and a small model that knows part of it.", no_args_is_help=True)


@app.command()
def build(
    out: Annotated[Path, typer.Option("--out", help="Folder for checkpoints and the finished model.")],
    seed: Annotated[int, typer.Option("--seed", help="Another seed is another world.")] = 0,
    size: Annotated[
        str, typer.Option("--size", help="mini (two minutes), small (what is shipped), medium (a GPU).")
    ] = "small",
    minutes: Annotated[float | None, typer.Option("--minutes", min=0.1, help="About how long to train.")] = None,
    tokens: Annotated[int | None, typer.Option("--tokens", min=1000, help="About how many tokens to train on.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Generate a world and pretrain its model. The same command goes on after a kill.

    Example: knowpack lab build --size mini --out out/lab
    """
    from knowpack.cli.console import progress, starting

    with starting(quiet):
        from knowpack.lab.sizes import size_of
        from knowpack.store import refuse_file

        size_of(size)
        refuse_file(out)
        from knowpack.lab.make import make

    folder = make(out, seed=seed, size=size, minutes=minutes, tokens=tokens, progress=progress(quiet))
    echo(f"the lab's model: {folder}")


@app.command()
def facts(out: Out) -> None:
    """Write the lab's facts as a table.

    Example: knowpack lab facts --out out/lab-facts.parquet
    """
    from knowpack.lab import files
    from knowpack.store import write_table

    write_table(out, files.facts())
    echo(f"{files.facts().height:,} facts: {out}")


@app.command()
def card(
    work: Annotated[Path, typer.Option("--work", help="What is measured is kept here; a second call goes on.")] = Path(
        "work"
    ),
    sample: Annotated[int, typer.Option("--sample", min=1, help="Facts to probe, stratified.")] = 3000,
    model: Annotated[str, typer.Option("--model", help="lab, or the folder of a build of the same world.")] = "lab",
    out: Annotated[Path | None, typer.Option("--out", help="Also write the figures here, as JSON.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Measure the lab's model and print its table: a few minutes on two cores.

    Example: knowpack lab card --sample 3000 --work out/card
    """
    from knowpack.cli.console import progress, starting

    with starting(quiet):
        from knowpack.cli.input_checks import check_model
        from knowpack.config import ModelConfig
        from knowpack.store import refuse_file, refuse_folder, write_json

        check_model(ModelConfig(name=model))
        refuse_file(work, "--work")
        if out is not None:
            refuse_folder(out)
        from knowpack.cli.lab_card import measure, record, render

    rows = measure(work, sample=sample, model=model, progress=progress(quiet))
    if out is not None:
        write_json(out, record(rows, f"knowpack lab card --sample {sample}"))
    echo(render(rows))
