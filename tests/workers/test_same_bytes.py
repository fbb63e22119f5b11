"""However many workers, on however many nodes, some of them lost: the bytes of one process. On a random model."""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import tiny
from knowpack import store
from knowpack.config import RayConfig, SlurmConfig, StudyConfig
from knowpack.config.shard import Shard
from knowpack.state import cells
from knowpack.study import study
from knowpack.workers.processes import Processes
from knowpack.workers.ray_tasks import RayTasks
from knowpack.workers.rounds import study_by
from knowpack.workers.slurm import Submitit
from ray_nodes import one_killed, two_nodes
from same_bytes import contents, printed

N_CELLS = 4


@pytest.fixture(scope="module", autouse=True)
def _one_thread_everywhere() -> Iterator[None]:
    """What workers inherit; Ray gives its tasks one as well."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("RAY_worker_niceness", "0")  # else they wait for whatever else runs here
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(tiny.__file__).parents[1] / "src")]))
        yield


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> StudyConfig:
    folder = tmp_path_factory.mktemp("grid")
    return StudyConfig.model_validate(
        {
            "name": "grid",
            "base": {
                "work": str(folder / "work"),
                "model": {"name": str(tiny.save_model(folder / "model"))},
                "facts": {"path": str(tiny.save_facts(folder / "facts.parquet", 20))},
                "probe": {
                    "n_prompts": 2,
                    "n_shots": 2,
                    "max_new_tokens": 6,
                    "n_floors": 1,
                    "shots": str(tiny.save_shots(folder / "shots.csv")),
                },
                "train": {"epochs": 3, "batch_size": 4, "lr": 0.01},
            },
            "cells": [{"label": f"{2 + i} facts", "mix.n_unknown": 2 + i} for i in range(N_CELLS)],
        }
    )


@pytest.fixture(scope="module")
def whole(config: StudyConfig) -> dict[str, str | bytes]:
    """What one process makes of it."""
    return made_by(config, study)


def made_by(config: StudyConfig, run: Callable[[StudyConfig], Path]) -> dict[str, str | bytes]:
    folder = run(config)
    assert [cell.state for cell in cells(folder)] == ["done"] * N_CELLS
    work = folder.parents[1]
    return {**contents(work), **printed(work, folder.name)}


def at(config: StudyConfig, work: Path) -> StudyConfig:
    return config.model_copy(update={"base": config.base.model_copy(update={"work": str(work)})})


@pytest.mark.slow
def test_three_shards_on_three_disks_put_together(
    config: StudyConfig, whole: dict[str, str | bytes], tmp_path: Path
) -> None:
    for number in (1, 2, 3):
        alone = study(at(config, tmp_path / str(number)), shard=Shard(number, 3))
        assert [cell.state for cell in cells(alone)].count("done") == len(range(number - 1, N_CELLS, 3))
        shutil.copytree(tmp_path / str(number), tmp_path / "together", dirs_exist_ok=True)
    assert made_by(at(config, tmp_path / "together"), study) == whole


@pytest.mark.slow
def test_two_submitit_jobs(config: StudyConfig, whole: dict[str, str | bytes], tmp_path: Path) -> None:
    local = Submitit(SlurmConfig(cluster="local", parameters={"timeout_min": 10}))
    made = made_by(at(config, tmp_path), lambda given: study_by(local, given, 2))
    assert made == whole


@pytest.mark.slow
def test_one_of_two_processes_killed_in_the_middle(
    config: StudyConfig, whole: dict[str, str | bytes], tmp_path: Path
) -> None:
    killed: list[int] = []
    over = threading.Event()
    watcher = threading.Thread(target=kill_a_worker, args=(tmp_path, killed, over))
    watcher.start()
    try:
        made = made_by(at(config, tmp_path), lambda given: study_by(Processes(), given, 2))
    finally:
        over.set()
        watcher.join()
    assert len(killed) == 1
    assert made == whole


def kill_a_worker(work: Path, killed: list[int], over: threading.Event) -> None:
    """The first that is seen to hold a cell on its way."""
    while not over.wait(0.02):
        found = list((work / "runs").glob("*/status.json"))
        for held in (store.holder(path.parent) for path in found if "running" in path.read_text(encoding="utf-8")):
            if held is not None and held.number != os.getpid():
                os.kill(held.number, 9)
                killed.append(held.number)
                return


@pytest.mark.slow
def test_a_ray_cluster_of_two_nodes_one_killed_in_the_middle(
    config: StudyConfig, whole: dict[str, str | bytes], tmp_path: Path
) -> None:
    with two_nodes() as cluster, one_killed(cluster, tmp_path, 1) as killed:
        on_ray = RayTasks(RayConfig(address=cluster.address))
        made = made_by(at(config, tmp_path), lambda given: study_by(on_ray, given, 2))
        assert len(killed) == 1
        assert len(cluster.worker_nodes) == 1
    assert made == whole
