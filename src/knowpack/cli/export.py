"""`knowpack export`. Parsing and printing only."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from knowpack.cli.terminal import echo

MOST_SHOWN = 5  # answers that differ


def export_command(
    adapter: Annotated[Path, typer.Argument(help="A PEFT adapter's folder.")],
    out: Annotated[Path, typer.Option("--out", help="The file (gguf, merged-gguf) or folder to write.")],
    to: Annotated[
        Literal["gguf", "merged", "merged-gguf", "ollama"],
        typer.Option("--to", help="A LoRA for llama.cpp; merged weights; merged in one file; that with a Modelfile."),
    ] = "gguf",
    model: Annotated[
        str | None, typer.Option("--model", help="The base; left out: what the adapter was trained on.")
    ] = None,
    facts: Annotated[
        str | None, typer.Option("--facts", help="Ask these; left out: the packed facts beside the adapter.")
    ] = None,
    check: Annotated[int, typer.Option("--check", min=0, help="How many facts to ask; 0: none.")] = 40,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """An adapter for other engines, its answers compared with peft's.

    Example: knowpack export out/real/adapter --to gguf --out out/real/adapter.gguf
    """
    from knowpack.cli.console import progress, starting
    from knowpack.config import ModelConfig

    with starting(quiet):
        from knowpack.cli.input_checks import check_model
        from knowpack.facts import sources
        from knowpack.model.locations import adapter_folder

        if facts is not None and facts not in sources.SOURCES:
            sources.load(facts)
        adapter_folder(str(adapter))
        if model is not None:
            check_model(ModelConfig(name=model))
        from knowpack.export.export import export
    base = None if model is None else ModelConfig(name=model)
    exported = export(adapter, base, to, out, facts, check, progress(quiet))
    if exported.compared:
        echo(f"answers as peft's: {exported.n_same} of {len(exported.compared)}")
        differing = [one for one in exported.compared if one.peft.strip() != one.exported.strip()]
        for one in differing[:MOST_SHOWN]:
            echo(f"  {one.question}  peft: {one.peft.strip()!r}  exported: {one.exported.strip()!r}")
    else:
        echo(f"answers not compared: {exported.why_not}")
    echo(f"{to}: {exported.path}")
