"""The lab's commands: what is in it, how good it is, and how to make it again."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="The lab: a generated world and a small model that knows part of it.", no_args_is_help=True)


@app.command()
def build(
    out: Annotated[Path, typer.Option("--out", help="Folder for checkpoints and the model.")],
    seed: Annotated[int, typer.Option("--seed")] = 0,
    size: Annotated[str, typer.Option("--size", help="mini, small or medium.")] = "small",
) -> None:
    """Generate the world and pretrain its model."""


@app.command()
def card() -> None:
    """Measure the lab's model and print its table."""
