"""A study killed at any moment and run again: the same tables, byte for byte, and no finished stage repeated."""

import gc
import multiprocessing
import random
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

import tiny
from knowpack.config import StudyConfig
from same_bytes import contents, finished, printed

N_KILLS = 10


def run_in_small_chunks(config: StudyConfig | None) -> None:
    """What the child does: the study, its probes in five chunks instead of one."""
    if config is None:
        return
    from knowpack.probe import probe
    from knowpack.state import cells
    from knowpack.study import study

    gc.freeze()  # what the server had imported is no garbage, and memory is given back twice a run
    probe.CHUNK_FACTS = 7
    folder = study(config)
    assert [cell.state for cell in cells(folder)] == ["done", "done"], list(cells(folder))


def started(config: StudyConfig | None) -> BaseProcess:
    """The study in a process of its own; the server forks, so that torch is imported once for all of them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["knowpack.study", "knowpack.train.train", "peft"])
    process = context.Process(target=run_in_small_chunks, args=(config,))
    process.start()
    return process


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> StudyConfig:
    folder = tmp_path_factory.mktemp("recovery")
    return StudyConfig.model_validate(
        {
            "name": "small",
            "base": {
                "model": {"name": str(tiny.save_model(folder / "model"))},
                "facts": {"path": str(tiny.save_facts(folder / "facts.parquet"))},
                "probe": {
                    "n_prompts": 3,
                    "n_shots": 2,
                    "max_new_tokens": 8,
                    "shots": str(tiny.save_shots(folder / "shots.csv")),
                },
                "mix": {"n_unknown": 8},
                "train": {"epochs": 6, "batch_size": 4, "lr": 0.01},
            },
            "cells": [{"label": "8"}, {"label": "8+1", "mix.n_paraphrase": 1}],
        }
    )


@pytest.mark.slow
def test_ten_kills_change_no_byte_and_repeat_no_finished_stage(config: StudyConfig, tmp_path: Path) -> None:
    started(None).join()  # the first also starts the server
    begun = time.monotonic()
    run_to_the_end(at(config, tmp_path / "whole"))
    seconds = time.monotonic() - begun
    expected = contents(tmp_path / "whole")
    assert {Path(name).name for name in expected} >= {
        "responses.parquet",
        "knowledge.parquet",
        "shifts.parquet",
        "figures.json",
        "examples.parquet",
        "adapter_model.safetensors",
        "held_out.parquet",
    }

    moments, n_kills, n_attempts = random.Random(0), 0, 0
    work = tmp_path / "killed 0"
    kept: dict[str, tuple[int, int]] = {}
    while n_kills < N_KILLS:
        process = started(at(config, work))
        process.join(moments.uniform(0, seconds / 3))
        if process.is_alive():
            process.kill()
            process.join()
            n_kills += 1
            assert_kept(work, kept)
            kept = finished(work)
            continue
        assert process.exitcode == 0
        assert_kept(work, kept)
        assert contents(work) == expected
        n_attempts += 1
        work, kept = tmp_path / f"killed {n_attempts}", {}
    run_to_the_end(at(config, work))
    assert_kept(work, kept)
    assert contents(work) == expected
    assert printed(work, "small") == printed(tmp_path / "whole", "small")


def at(config: StudyConfig, work: Path) -> StudyConfig:
    """The same study in another work directory: paths change no result."""
    return config.model_copy(update={"base": config.base.model_copy(update={"work": str(work)})})


def run_to_the_end(config: StudyConfig) -> None:
    process = started(config)
    process.join()
    assert process.exitcode == 0


def assert_kept(work: Path, kept: dict[str, tuple[int, int]]) -> None:
    now = finished(work)
    assert {name: now.get(name) for name in kept} == kept
