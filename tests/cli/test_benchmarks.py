"""Which benchmarks a command is to ask: both spellings everywhere, and a wrong name before anything is imported."""

from pathlib import Path

import pytest

import tiny
from commands import call, options
from knowpack.bench import task_names
from knowpack.cli.benchmark_options import named_tasks
from knowpack.config import BenchConfig, RunConfig, StudyConfig
from knowpack.errors import BenchError, ConfigError
from knowpack.pack.request import Request, command_of
from knowpack.settings import override
from knowpack.study import begun

SPELLINGS = (["--tasks", "lab_mc,lab_arc"], ["--task", "lab_mc", "--task", "lab_arc"], ["--tasks", "lab_mc, lab_arc,"])


@pytest.mark.parametrize("command", ["bench", "pack", "diff"])
def test_task_and_tasks_are_one_option_in_every_command(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def asked(config: BenchConfig) -> None:
        raise BenchError(" and ".join(config.tasks))

    folder = tiny.save_all(tmp_path)
    given = {
        "bench": ["--model", folder / "model", "--out", tmp_path / "out"],
        "diff": [*options(folder, []), "--tuned", folder / "model", "--out", tmp_path / "out"],
        "pack": [folder / "facts.parquet", "--model", folder / "model", "--out", tmp_path / "out"],
    }
    monkeypatch.setattr("knowpack.cli.input_checks.check_names", asked)  # first: it is imported with the true one
    monkeypatch.setattr(task_names, "check_names", asked)
    capsys.readouterr()
    for spelling in SPELLINGS:
        assert call(monkeypatch, command, *given[command], *spelling, "--quiet") == 2
        assert capsys.readouterr().err == "knowpack: lab_mc and lab_arc\n"
    assert call(monkeypatch, command, "--help") == 0
    help_text = capsys.readouterr().out
    assert "--tasks" in help_text
    assert "--task " not in help_text


def test_tasks_of_a_setting_may_have_commas_too() -> None:
    for text in ("lab_mc,lab_arc", "[lab_mc, lab_arc]"):
        assert override(RunConfig(), [f"bench.tasks={text}"]).bench.tasks == ("lab_mc", "lab_arc")
    assert override(RunConfig(), ["bench.tasks=lab_mc"]).bench.tasks == ("lab_mc",)


def test_a_name_given_twice_is_asked_once_and_none_at_all_is_refused() -> None:
    assert named_tasks(["a,b", "c"], ["b"]) == ("a", "b", "c")
    assert named_tasks([], []) == ()
    with pytest.raises(ConfigError, match="expected names of lm-eval tasks with commas"):
        named_tasks([","], [])


def test_the_plan_of_a_pack_names_its_benchmarks_as_one_types_them() -> None:
    request = Request(facts="f.csv", out=Path("o"), bench=BenchConfig(tasks=("lab_mc", "lab_arc")))
    assert "f.csv --tasks lab_mc,lab_arc" in command_of(request)


def test_a_wrong_benchmark_of_any_cell_is_said_before_the_study_has_a_folder(tmp_path: Path) -> None:
    """From Python too: the base of the first cell would be loaded and measured first, and the last cell fail."""
    cells = ({"label": "a", "bench.tasks": "lab_mc"}, {"label": "b", "bench.tasks": "lab_mc,lab_mcc"})
    config = StudyConfig(base=RunConfig(work=str(tmp_path / "work")), cells=cells)
    with pytest.raises(BenchError, match="unknown benchmark task 'lab_mcc'; near names: lab_mc"):
        begun(config)
    assert not (tmp_path / "work").exists()
