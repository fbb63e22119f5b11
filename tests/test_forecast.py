"""The plan before the work: how many answers and steps by hand arithmetic, what is on disk, nothing written."""

from pathlib import Path

import pytest
import torch

import tiny
from knowpack.base import measure_base, open_base
from knowpack.config import RunConfig, StudyConfig
from knowpack.config.shard import Shard
from knowpack.forecast import Forecast, Stage, of_diff, of_probe, of_run, of_study
from knowpack.forecast import Rates as SampledRates
from knowpack.pack.pack_forecast import of_pack
from knowpack.pack.request import Request
from knowpack.run import run
from knowpack.settings import override


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    return RunConfig.model_validate(
        {
            "label": "8",
            "model": {"name": str(tiny.save_model(tmp_path / "model"))},
            "facts": {"path": str(tiny.save_facts(tmp_path / "facts.parquet"))},
            "probe": {
                "n_prompts": 3,
                "n_shots": 2,
                "n_floors": 2,
                "shots": str(tiny.save_shots(tmp_path / "shots.csv")),
            },
            "mix": {"n_unknown": 8},
            "train": {"epochs": 6, "batch_size": 3, "lr": 0.01},
            "work": str(tmp_path / "work"),
        }
    )


def work(forecast: Forecast) -> dict[str, int]:
    return {stage.what: stage.n for stage in forecast.stages}


def test_answers_and_steps_are_counted_before_anything_is_asked(config: RunConfig, tmp_path: Path) -> None:
    base = open_base(config)
    n = base.facts.height
    assert 8 < n <= 30
    found = of_run(base, config)
    assert work(found) == {
        "base: first prompt": n,
        "base: 2 more prompts": 2 * n,
        "base: fresh prompts 1": 3 * n,
        "base: fresh prompts 2": 3 * n,
        "8: training": 6 * 3,  # six epochs of ceil(8 / 3) batches
        "8: new wordings": 8 * 3,
        # 100 neighbours, the eight trained facts in five forms, all n in another wording, in five; 2 prompts, 2 models
        "8: beside the probe, both models": (100 + 5 * 8 + n + 5 * n) * 2 * 2,
        "8: the same 3 prompts": 3 * n,
        "8: fresh prompts 1": 3 * n,
        "8: fresh prompts 2": 3 * n,
    }
    expected = ["base: fresh prompts 2", "8: beside the probe, both models", "8: fresh prompts 2"]
    assert [stage.what for stage in found.stages if stage.at_most] == expected
    assert not (tmp_path / "work").exists()  # a plan writes nothing
    assert found.rates.peak_bytes > 1e8
    assert 0 < found.total < 600


def test_reliability_after_each_epoch_is_in_the_plan(config: RunConfig) -> None:
    """Thirty epochs of 50 facts are 15,000 answers, more than the demo asks of a cell, and the plan left them out."""
    base = open_base(config)
    asked = work(of_run(base, override(config, ["train.checkpoint_each_epoch=true"])))
    assert asked["8: reliability after each epoch"] == 8 * 3 * 6


def test_what_is_on_disk_costs_nothing(config: RunConfig) -> None:
    base = open_base(config)
    measure_base(base, config)
    after = of_probe(base, config)
    assert all(stage.done for stage in after.stages)
    assert after.total == 0.0
    run(config, base)
    assert of_run(base, config).total == 0.0
    grid = StudyConfig.model_validate(
        {"name": "s", "base": config.model_dump(), "cells": [{"label": "8"}, {"label": "6", "mix.n_unknown": 6}]}
    )
    left = [stage.what for stage in of_study(grid, base).stages if not stage.done]
    assert left[0] == "6: training"
    assert all(what.startswith("6: ") for what in left)


def test_the_plan_of_a_shard_is_of_its_own_cells(config: RunConfig) -> None:
    """It was the whole grid's, whichever shard was asked. By hand: of a, b, c the first of two has a and c."""
    sizes = {"a": 4, "b": 5, "c": 6}
    cells = [{"label": label, "mix.n_unknown": n} for label, n in sizes.items()]
    grid = StudyConfig.model_validate({"name": "s", "base": config.model_dump(), "cells": cells})
    base = open_base(config)
    steps = {"a: training": 6 * 2, "b: training": 6 * 2, "c: training": 6 * 2}  # six epochs of ceil(n / 3) batches

    def training(shard: Shard | None) -> dict[str, int]:
        planned = of_study(grid, base, shard=shard)
        return {stage.what: stage.n for stage in planned.stages if stage.unit == "steps"}

    assert training(None) == steps
    assert training(Shard(1, 2)).keys() == {"a: training", "c: training"}
    assert training(Shard(2, 2)) == {"b: training": 12}


def test_a_diff_and_a_pack_are_planned_too(config: RunConfig, tmp_path: Path) -> None:
    base = open_base(config)
    assert {"tuned model: the same 3 prompts"} <= work(of_diff(base, config, tmp_path / "diff")).keys()
    facts = tiny.save_facts(tmp_path / "more.parquet")
    request = Request(facts=str(facts), out=tmp_path / "out", known=str(facts), model=config.model, effort="quick")
    request = override(request, ["probe.n_prompts=3", "probe.n_shots=2", f"probe.shots={config.probe.shots}"])
    with pytest.raises(Exception, match="at least 20 facts"):
        of_pack(request)  # the same table twice leaves nothing to keep: said in the plan, too
    assert not (tmp_path / "out").exists()


def test_the_price_is_the_sample_s_by_hand() -> None:
    rates = SampledRates(first=0.5, drafted=0.1, step={"plain": 2.0}, peak_bytes=1)
    stages = [
        Stage("a", 10, "answers"),
        Stage("b", 10, "answers", drafted=True),
        Stage("c", 7, "steps", recipe="plain"),
        Stage("d", 7, "steps", recipe="plain", done=True),
        Stage("e", 3, "requests"),
    ]
    found = Forecast(stages, rates)
    assert [found.seconds(stage) for stage in stages] == [5.0, 1.0, 14.0, 0.0, None]
    assert found.total == 20.0


def test_a_sample_leaves_the_base_as_it_was(config: RunConfig) -> None:
    base = open_base(config)
    before = {name: weight.clone() for name, weight in base.loaded.model.state_dict().items()}
    of_run(base, config)
    after = base.loaded.model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(weight, after[name]) for name, weight in before.items())
