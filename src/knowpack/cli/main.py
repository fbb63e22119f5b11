"""The commands. Parsing and printing only: each one calls a function that can be called without it."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, cast

import typer
from typer.core import TyperGroup

from knowpack.cli import terminal
from knowpack.cli.bench import app as bench_app
from knowpack.cli.capacity import capacity_command
from knowpack.cli.diff import diff_command
from knowpack.cli.export import export_command
from knowpack.cli.facts import app as facts_app
from knowpack.cli.lab import app as lab_app
from knowpack.cli.pack import pack_command
from knowpack.cli.push import push_command
from knowpack.cli.report import report_command, show_command
from knowpack.cli.runs import run_command, study_command
from knowpack.cli.stages import mix_command, probe_command, train_command
from knowpack.errors import ConfigError, KnowpackError, StoppedError

UsageError = cast(
    "type[typer.BadParameter]", typer.BadParameter.__mro__[1]
)  # click's, which typer does not export: a typo in the command line
NO_ROOM = (
    "out of memory; use a smaller model, fewer rows at once (probe.batch_size, train.batch_size) or another device; "
    "what was done is kept"
)
HELP_ALONE = "NoArgsIsHelpError"  # a UsageError that prints the help


class Commands(TyperGroup):
    """The commands. Ctrl-C comes out as `StoppedError`, for typer ends without a word at a KeyboardInterrupt; what is
    wrong in the command line, and an option that no setting may have, as a ConfigError: one line, not typer's box."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        _refuse_empty(args)
        try:
            with _one_line():
                return super().make_context(info_name, args, parent, **extra)
        except KeyboardInterrupt:
            raise StoppedError from None

    def invoke(self, ctx: Any) -> Any:
        try:
            with _one_line():
                return super().invoke(ctx)
        except KeyboardInterrupt:
            raise StoppedError from None
        except ValueError as error:
            from knowpack.settings import of_section

            message = of_section(error)
            if message is None:
                raise
            raise ConfigError(message) from None


def _refuse_empty(args: Sequence[str]) -> None:
    """Raise ConfigError for an empty word: nobody means one, and an empty --out would be the folder one is in."""
    for before, word in zip(("", *args), args, strict=False):
        option, sign, value = word.partition("=") if word.startswith("--") else ("", "=", word)
        if sign and not value.strip():
            name = option or (before if before.startswith("-") else "a word of the command line")
            raise ConfigError(f"got nothing for {name}; is a variable of the shell not set?")


@contextmanager
def _one_line() -> Iterator[None]:
    """A mistake in the command line as a ConfigError that names the help of that command."""
    try:
        yield
    except UsageError as error:
        if type(error).__name__ == HELP_ALONE:
            raise
        message = terminal.one_line(_reason(error))
        command = getattr(getattr(error, "ctx", None), "command_path", "knowpack")
        raise ConfigError(f"{message.rstrip('.')} (see {command} --help)") from None


def _reason(error: typer.BadParameter) -> str:
    """What is wrong in the command line; a value of the wrong type in our words, where typer gives pydantic's."""
    from pydantic import ValidationError

    from knowpack.settings import in_words

    cause = error.__cause__
    if isinstance(cause, ValidationError):
        error.message = in_words(cause)
    return error.format_message()


app = typer.Typer(
    name="knowpack",
    cls=Commands,
    help="Teach a language model new facts with a LoRA adapter, and know exactly what it cost.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.add_typer(facts_app, name="facts")
app.add_typer(lab_app, name="lab")
app.add_typer(bench_app, name="bench")
app.command("pack")(pack_command)
app.command("capacity")(capacity_command)
app.command("export")(export_command)
app.command("push")(push_command)
app.command("probe")(probe_command)
app.command("mix")(mix_command)
app.command("train")(train_command)
app.command("diff")(diff_command)
app.command("run")(run_command)
app.command("study")(study_command)
app.command("report")(report_command)
app.command("show")(show_command)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        terminal.echo(f"knowpack {version('knowpack')}")
        raise typer.Exit


@app.callback()
def whole(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Teach a language model new facts with a LoRA adapter, and know exactly what it cost."""


def main() -> None:
    """The `knowpack` command: a user's mistake is one line and exit code 2 (3: a budget not met)."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # ours show what matters
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    terminal.quieter()
    try:
        app(prog_name="knowpack")
    except KnowpackError as error:
        terminal.failed(f"knowpack: {error}")
        sys.exit(error.exit_code)
    except StoppedError as stopped:
        terminal.echo(f"knowpack: {stopped}", err=True)
        sys.exit(stopped.exit_code)
    except Exception as error:
        if not _is_memory(error):
            raise
        terminal.failed(f"knowpack: {NO_ROOM}")
        sys.exit(KnowpackError.exit_code)


def _is_memory(error: Exception) -> bool:
    """Whether memory ran out, in a place that has no line of its own for it; torch's errors come with torch."""
    if "torch" not in sys.modules:
        return isinstance(error, MemoryError)
    from knowpack.model.memory import ran_out

    return ran_out(error)
