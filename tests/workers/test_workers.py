"""What workers do with cells that fail, that others hold, and with a user's mistakes. On a random model."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import tiny
from knowpack import store
from knowpack import study as grid
from knowpack.base import open_base
from knowpack.config import RunConfig, SlurmConfig, StudyConfig
from knowpack.config.shard import Shard
from knowpack.errors import ConfigError, WorkerError
from knowpack.progress import SILENT
from knowpack.run import folder_of, run
from knowpack.state import cells, listing, read_state
from knowpack.study import begun, lay_out, run_cells
from knowpack.workers.rounds import study_by
from knowpack.workers.slurm import Submitit
from knowpack.workers.worker import Part, Worker, WorkerEnd


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_all(tmp_path_factory.mktemp("given"))


def config(given: Path, work: Path, *cells: dict[str, object]) -> StudyConfig:
    base = {
        "work": str(work),
        "model": {"name": str(given / "model")},
        "facts": {"path": str(given / "facts.parquet")},
        "probe": {
            "n_prompts": 1,
            "n_shots": 1,
            "max_new_tokens": 3,
            "noise": False,
            "shots": str(given / "shots.csv"),
        },
        "train": {"epochs": 1},
    }
    return StudyConfig.model_validate({"name": "grid", "base": base, "cells": cells})


class InThisProcess:
    """An executor whose workers are calls; `lost` of them die before they begin."""

    def __init__(self, lost: int = 0) -> None:
        self.lost, self.rounds = lost, []

    def run(self, worker: Worker, part: Part, n: int, logs: Path, poll: Callable[[], None]) -> Sequence[WorkerEnd]:
        self.rounds.append((part, n))
        poll()
        ended = []
        for _ in range(n):
            if part == "cells" and self.lost:
                self.lost -= 1
                ended.append(WorkerEnd("its node is gone", is_lost=True))
            else:
                ended.append(WorkerEnd(worker(part)))
        return ended


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The cells that were begun, in order."""
    begun: list[str] = []

    def one(cell: RunConfig, *args: object, **options: object) -> Path:
        begun.append(cell.label)
        return run(cell, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(grid, "run", one)
    return begun


def test_a_cell_that_fails_is_tried_by_one_worker_and_again_by_the_next_command(
    given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of many workers would have found it failed and tried it again."""
    tried = counted(monkeypatch)
    asked = config(
        given,
        tmp_path,
        {"label": "impossible", "mix.n_unknown": 2, "mix.n_highly_known": 1},
        {"label": "fine", "mix.n_unknown": 2},
    )
    folder = study_by(InThisProcess(), asked, 2)
    assert tried == ["impossible", "fine"]
    assert [cell.state for cell in cells(folder)] == ["failed", "done"]
    study_by(InThisProcess(), asked, 2)
    assert tried == ["impossible", "fine", "impossible"]


def test_lost_workers_are_started_again_as_long_as_cells_get_done(given: Path, tmp_path: Path) -> None:
    asked = config(given, tmp_path, *({"label": str(n), "mix.n_unknown": n} for n in (1, 2, 3)))
    all_lost = InThisProcess(lost=2)
    with pytest.raises(WorkerError, match=r"without finishing a cell \(2 lost, the first: its node is gone\)"):
        study_by(all_lost, asked, 2)
    one_lost = InThisProcess(lost=1)
    assert [cell.state for cell in cells(study_by(one_lost, asked, 2))] == ["done"] * 3
    assert one_lost.rounds == [("base", 1), ("cells", 2)]


def test_a_worker_leaves_what_others_hold(given: Path, tmp_path: Path) -> None:
    """It would have kept its GPU while it waited."""
    asked = config(given, tmp_path, {"label": "a", "mix.n_unknown": 1}, {"label": "b", "mix.n_unknown": 2})
    since = begun(asked)
    base = lay_out(asked)
    held, free = (folder_of(cell, base) for cell in asked.runs())
    with store.lock(held):
        run_cells(asked, since, base=base, wait=False)
    assert [cell.state for cell in cells(grid.folder_of_study(asked))] == ["missing", "done"]
    assert free.is_dir()


def test_cells_of_two_models_that_others_hold_load_neither(
    given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second of waiting loaded each model in turn, and again the next second."""
    other = tiny.save_model(tmp_path / "other", chat=False)
    few = {"mix.n_unknown": 1}
    asked = config(given, tmp_path, {"label": "a", **few}, {"label": "b", "model.name": str(other), **few})
    since = begun(asked)
    lay_out(asked)
    polls = iter(range(3))

    def waited(seconds: float) -> None:
        if next(polls, None) is None:
            raise TimeoutError

    monkeypatch.setattr(grid, "open_base", lambda *_: pytest.fail("a model was loaded"))
    monkeypatch.setattr(grid.time, "sleep", waited)
    one, two = (cell.folder for cell in cells(grid.folder_of_study(asked)))
    with store.lock(one), store.lock(two):
        assert Worker(asked.model_dump_json(), os.getcwd(), since, SILENT)("cells") is None
        with pytest.raises(TimeoutError):
            run_cells(asked, since)


def test_a_grid_that_was_laid_out_since_names_no_cell_of_this_one(given: Path, tmp_path: Path) -> None:
    """Two commands of one name: the second's list of folders says nothing about the first's cells."""
    mine = config(given, tmp_path, {"label": "a", "mix.n_unknown": 1})
    since = begun(mine)
    lay_out(mine)
    (cell,) = cells(grid.folder_of_study(mine))
    grid.study(config(given, tmp_path, {"label": "b", "mix.n_unknown": 2}))
    run_cells(mine, since)
    assert read_state(cell.folder).state == "done"


def test_a_users_mistake_in_a_worker_is_one_line(given: Path, tmp_path: Path) -> None:
    asked = config(given, tmp_path, {"label": "a", "facts.path": str(tmp_path / "none.parquet")})
    with pytest.raises(WorkerError, match=r"none\.parquet"):
        study_by(InThisProcess(), asked, 2)


def test_a_worker_starts_paths_where_the_command_was_given(
    given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray's workers start in a directory of their own."""
    asked = config(given, Path("work"), {"label": "a", "mix.n_unknown": 1})
    told = Worker(asked.model_dump_json(), str(tmp_path), 0.0, SILENT)
    monkeypatch.chdir(given)
    assert told("base") is None
    assert (tmp_path / "work" / "studies" / "grid" / "runs.txt").is_file()


def test_what_submitit_does_not_know_is_refused_before_a_job_is_sent(given: Path, tmp_path: Path) -> None:
    asked = config(given, tmp_path, {"label": "a"})
    wrong = Submitit(SlurmConfig(cluster="local", parameters={"slurm_partitoin": "gpu"}))
    with pytest.raises(ConfigError, match=r"slurm\.parameters: submitit refuses them: Unknown argument 'partitoin'"):
        study_by(wrong, asked, 1)


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "/", "a/b", "1/3/5", "-1/3", "1/0"])
def test_a_shard_is_one_of_n(text: str) -> None:
    with pytest.raises(ConfigError, match="--shard wants i/n"):
        Shard.parsed(text)
    assert Shard.parsed("2/3") == (2, 3)


def test_shards_are_every_cell_once(given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: of five cells the first shard of three has the 1st and 4th, the second 2nd and 5th, the third 3rd."""
    tried = counted(monkeypatch)
    asked = config(given, tmp_path, *({"label": str(n), "mix.n_unknown": n} for n in (1, 2, 3, 4, 5)))
    for number in (2, 3, 1):
        grid.study(asked, shard=Shard(number, 3))
    assert tried == ["2", "5", "3", "1", "4"]


def test_show_says_who_runs_what(given: Path, tmp_path: Path) -> None:
    asked = config(given, tmp_path, {"label": "a", "mix.n_unknown": 1}, {"label": "b", "mix.n_unknown": 2})
    lay_out(asked)
    held = folder_of(asked.runs()[0], open_base(asked.base))
    with store.lock(held):
        store.write_json(held / "status.json", {"state": "running"})
        lines = listing(grid.folder_of_study(asked))
    assert [line.state for line in lines] == ["running", "missing"]
    assert [line.worker for line in lines] == [f"{os.getpid()} on {os.uname().nodename}", None]
