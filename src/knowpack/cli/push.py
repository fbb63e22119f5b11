"""`knowpack push`. Parsing and printing only."""

from pathlib import Path
from typing import Annotated

import typer

from knowpack.cli.terminal import echo


def push_command(
    adapter: Annotated[Path, typer.Argument(help="A PEFT adapter's folder.")],
    repo: Annotated[str, typer.Argument(help="Where it goes on the hub: owner/name.")],
    private: Annotated[bool, typer.Option("--private", help="A new repository that only you and yours see.")] = False,
    facts: Annotated[
        bool, typer.Option("--with-facts", help="Send the packed facts too; whoever sees the repository reads them.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the files; send nothing.")] = False,
) -> None:
    """Send an adapter to the Hugging Face hub with its card; no facts unless asked, no paths of this machine.

    Example: knowpack push out/real/adapter me/company-facts --private --dry-run
    """
    from knowpack.cli.console import starting
    from knowpack.model.locations import adapter_folder

    adapter_folder(str(adapter))
    with starting(quiet=False):
        from knowpack.export.push import checked, files, push

    where = checked(repo)
    sent = files(adapter, facts=facts)
    for one in sent:
        echo(f"{one.n_bytes:>12,}  {one.path}" + (f"  ({one.why})" if one.why else ""))
    if dry_run:
        echo(f"nothing was sent; without --dry-run these go to {where}")
        return
    echo(f"sent: {push(sent, where, private=private)}")
