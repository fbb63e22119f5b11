"""Ctrl-C at any moment: one line, exit code 130, nothing half, and the same command goes on to the same bytes."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import polars as pl
import pytest
import torch

import tiny
from commands import call, capacity, options, two_steps
from knowpack.train import recipes

LINE = "knowpack: stopped; the same command goes on where it was\n"
SMALL = ["probe.n_prompts=2", "probe.n_shots=1", "probe.max_new_tokens=4", "probe.n_floors=1"]

AT_AN_IMPORT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job of a shell script ignores it
class Pressed:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Pressed())
from knowpack.__main__ import main
try:
    main()
finally:
    assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL  # a second one ends it at once
"""


@pytest.fixture
def listening() -> Iterator[None]:
    """SIGINT as in a terminal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def contents(folder: Path) -> dict[str, bytes]:
    """All files but the manifest, which has the times."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if path.name != "manifest.json"}


def test_ctrl_c_at_the_first_import_is_one_line() -> None:
    ended = subprocess.run([sys.executable, "-c", AT_AN_IMPORT], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (130, LINE)


def test_ctrl_c_under_a_probe_in_a_terminal_of_its_own(tmp_path: Path) -> None:
    """The whole process, and a signal from outside, while torch is imported."""
    with subprocess.Popen(
        [sys.executable, "-m", "knowpack", "probe", "--out", str(tmp_path / "o")],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as running:
        assert running.stderr is not None
        assert running.stderr.readline() == "starting ...\n"
        os.kill(running.pid, signal.SIGINT)
        said = running.stderr.read()
    assert (running.returncode, said) == (130, LINE)
    assert not (tmp_path / "o").exists()


def pressed_at(number: int) -> Callable[..., None]:
    """polars' write_parquet, which gets a Ctrl-C after so many tables."""
    write, n_written = pl.DataFrame.write_parquet, 0

    def writing(self: pl.DataFrame, *args: object, **named: object) -> None:
        nonlocal n_written
        write(self, *args, **named)  # type: ignore[arg-type]
        n_written += 1
        if n_written == number:
            signal.raise_signal(signal.SIGINT)

    return writing


def stopped_until_done(
    command: Sequence[object], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> int:
    """Run a command again and again, each time stopped at its first or its second table; how often it was stopped."""
    n_stopped = 0
    while True:
        capsys.readouterr()
        with monkeypatch.context() as patched:
            patched.setattr(pl.DataFrame, "write_parquet", pressed_at(1 + n_stopped % 2))
            code = call(patched, *command)
        if code == 0:
            return n_stopped
        assert (code, capsys.readouterr()) == (130, ("", LINE))
        n_stopped += 1
        assert n_stopped < 50


@pytest.mark.usefixtures("listening")
def test_ctrl_c_at_every_table_of_a_probe_goes_on_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["probe", *options(tiny.save_all(tmp_path), SMALL), "--quiet", "--out"]
    assert call(monkeypatch, *asked, tmp_path / "whole") == 0
    whole = contents(tmp_path / "whole")
    assert stopped_until_done([*asked, tmp_path / "stopped"], monkeypatch, capsys) > 2
    assert contents(tmp_path / "stopped") == whole


@pytest.mark.slow
@pytest.mark.usefixtures("listening")
def test_ctrl_c_at_every_table_of_a_capacity_goes_on_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(recipes, "for_model", two_steps)
    asked = [*capacity(tiny.save_all(tmp_path, 60)), "--out"]
    assert call(monkeypatch, *asked, tmp_path / "whole") == 0
    printed = capsys.readouterr().out
    (tmp_path / "work").rename(tmp_path / "work of the whole")  # the base is asked anew, and stopped, too
    assert stopped_until_done([*asked, tmp_path / "stopped"], monkeypatch, capsys) > 4, "the base, then two adapters"
    assert capsys.readouterr().out == printed
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


@pytest.mark.usefixtures("listening")
def test_ctrl_c_in_a_training_of_a_capacity_leaves_no_half_adapter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(recipes, "for_model", two_steps)
    command = [*capacity(tiny.save_all(tmp_path, 60)), "--out", tmp_path / "out"]
    capsys.readouterr()  # transformers counts the files that it saves
    with monkeypatch.context() as patched:
        patched.setattr(torch.optim.AdamW, "step", lambda *_, **__: signal.raise_signal(signal.SIGINT))
        assert call(patched, *command) == 130
    assert capsys.readouterr() == ("", LINE)
    (cell,) = (tmp_path / "out" / "cells").iterdir()
    assert [file.name for file in cell.iterdir()] == ["examples.parquet"]
    assert call(monkeypatch, *command) == 0
    assert (cell / "adapter" / "adapter_model.safetensors").is_file()
