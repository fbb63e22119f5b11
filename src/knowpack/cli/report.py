"""`knowpack report` and `knowpack show`, which read what is there. Parsing and printing only."""

from pathlib import Path
from typing import Annotated

import typer

from knowpack.cli.results import Json, finish
from knowpack.cli.stages import Quiet
from knowpack.cli.terminal import say_json
from knowpack.errors import ConfigError


def report_command(
    folder: Annotated[Path, typer.Argument(help="A study, a run, a pack or a diff.")], quiet: Quiet = False
) -> None:
    """Tables (terminal, CSV, Markdown, LaTeX), figures (SVG, PDF, PNG) and one page of HTML.

    Example: knowpack report work/studies/demo
    """
    finish(folder, quiet)


def show_command(
    folder: Annotated[Path, typer.Argument(help="A study, a pack, a diff, or a work directory.")] = Path("work"),
    watch: Annotated[bool, typer.Option("--watch", help="Go on until no run is left, with who runs what.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare every finished file below with its recorded hash.")
    ] = False,
    as_json: Json = False,
) -> None:
    """What is there: done, running, stopped, failed, missing; the step, and the time that is left.

    Example: knowpack show work/studies/demo --watch

    Whole: knowpack show work --verify
    """
    from knowpack.cli.show import say, say_verified, watch_runs
    from knowpack.state import listing, now

    if verify:
        if watch or as_json:
            raise ConfigError("--verify goes with neither --watch nor --json; leave out one of them")
        say_verified(folder)
        return
    if watch:
        if as_json:
            raise ConfigError("--watch prints for a person and --json one object; leave out one of them")
        watch_runs(folder)
        return
    lines, at = listing(folder), now(folder)
    if as_json:
        say_json({"runs": [line._asdict() for line in lines], "now": at and at._asdict()})
    else:
        say(lines, at)
