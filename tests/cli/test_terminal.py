"""What reaches the terminal: text of others as it is, without markup and control sequences; Ctrl-C; the version."""

import ast
import io
import json
import signal
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

import pytest
from rich.table import Table

import knowpack.cli
from knowpack.cli import main as cli
from knowpack.cli import terminal
from knowpack.cli.console import Plain, Watched
from knowpack.facts import sources

ROOM = Path(knowpack.cli.__file__).parent
HOSTILE = "Is [/bold] in [red]x[/x]? \x1b]0;owned\x07\x1b[2J\x9b31m \u202egnp.exe"


def call(monkeypatch: pytest.MonkeyPatch, *args: object) -> int:
    monkeypatch.setattr(sys, "argv", ["knowpack", *map(str, args)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return int(stop.value.code or 0)


def is_safe(text: str) -> bool:
    return not any(c in text for c in "\x1b\x07\x9b\u202e")


def test_markup_in_a_question_is_printed_and_obeyed_by_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"question": HOSTILE, "answer": "[/bold]", "relation": "[/r]"}]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert call(monkeypatch, "facts", "lint", tmp_path / "t.jsonl") == 1
    said = capsys.readouterr().out
    assert "'[/bold]' in 'Is [/bold] in [red]x[/x]?" in said
    assert is_safe(said)


def test_markup_and_escapes_in_an_error_are_one_plain_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "facts", "lint", f"{HOSTILE}\n.csv") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "[/bold] in [red]x[/x]? \\x1b]0;owned\\x07" in said
    assert is_safe(said)


def test_tables_titles_and_bars_take_no_text_for_markup() -> None:
    shown = terminal.console(width=200)
    shown.file = io.StringIO()
    table = Table("[/head]", title="[/title]")
    table.add_row(HOSTILE)
    shown.print(table)
    shown.print("[/line]")
    with Watched(shown).stage("FAILED [/label] \x1b[2J", 2) as advance:
        advance(1)
    said = shown.file.getvalue()
    for part in ("[/head]", "[/title]", "[red]x[/x]", "[/line]", "FAILED [/label] \\x1b[2J"):
        assert part in said
    assert is_safe(said)


def test_json_holds_no_control_character(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.say_json({"text": HOSTILE + "\ud800"})
    said = capsys.readouterr().out
    assert is_safe(said)
    assert json.loads(said) == {"text": HOSTILE + "\ud800"}


def test_nothing_but_terminal_writes_to_the_terminal() -> None:
    direct = {"typer.echo", "typer.secho", "Console", "rich.print"}
    for path in ROOM.glob("*.py"):
        if path.name == "terminal.py":
            continue
        calls = [ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        assert not direct & set(calls), path.name


def test_a_warning_is_one_line_without_the_source(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = terminal.warned
        warnings.warn("the adapter [/x]\x1b[2J changes nothing", stacklevel=1)
    assert capsys.readouterr().err == "knowpack: note: the adapter [/x]\\x1b[2J changes nothing\n"


def test_ctrl_c_says_that_the_same_command_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: str) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(sources, "load_unchecked", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job of a shell script ignores it
    try:
        assert call(monkeypatch, "facts", "lint", "world") == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err == "knowpack: stopped; the same command goes on where it was\n"


def test_a_stage_that_was_stopped_is_not_said_to_be_done(capsys: pytest.CaptureFixture[str]) -> None:
    shown = terminal.console(width=200)
    shown.file = io.StringIO()
    for watched in (Watched(shown), Plain()):
        with pytest.raises(KeyboardInterrupt), watched.stage("FAILED probe", 3):
            raise KeyboardInterrupt
    assert "FAILED probe (3): stopped after 0 s" in shown.file.getvalue()
    assert capsys.readouterr().err == "FAILED probe (0/3) ...\n"


def test_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"knowpack {version('knowpack')}\n"
