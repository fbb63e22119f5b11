"""What the first screen says of model and machine, from a manifest made by hand."""

import json
import warnings
from pathlib import Path

import pytest

import tiny
from knowpack.base import measure_base, open_base
from knowpack.model import machine, rounding
from knowpack.report import run_details
from knowpack.report.finished_run import Run

MANIFEST: dict[str, object] = {
    "config": {"model": {"name": "smollm2", "revision": None}},
    "model": {
        "hub": "HuggingFaceTB/SmolLM2-135M-Instruct",
        "quantization": "Q4_1",
        "dtype": "float32",
        "n_parameters": 134_515_008,
    },
    "machine": {"device": "cpu", "processor": "Made-up CPU 9", "threads": 2, "python": "3.12.1", "system": "Linux"},
    "versions": {"knowpack": "0.2.0", "torch": "2.13.0", "numpy": "2.0"},
}


def run(**changed: object) -> Run:
    return Run(Path("run"), MANIFEST | changed, None)


def test_a_short_name_is_told_in_full() -> None:
    wanted = "HuggingFaceTB/SmolLM2-135M-Instruct, 135M parameters, Q4_1 in its GGUF file, computed in float32"
    assert run_details.model(run()) == wanted
    assert run_details.model(run(model={})) is None, "a run of an earlier version, or of a server"


def test_a_name_that_is_the_hubs_is_not_said_twice_and_its_revision_is() -> None:
    config = {"model": {"name": "owner/model", "revision": "v2"}}
    assert run_details.model(run(config=config, model={"hub": "owner/model", "dtype": "bfloat16"})) == (
        "revision v2, computed in bfloat16"
    )


def test_the_machine_stands_in_a_line() -> None:
    assert run_details.machine(run()) == "Made-up CPU 9, 2 threads, knowpack 0.2.0, torch 2.13.0"
    gpu = {"device": "cuda:0", "processor": "Made-up GPU"}
    assert run_details.machine(run(machine=gpu, versions={})) == "Made-up GPU, cuda:0"
    assert run_details.machine(run(machine={"device": "cpu"}, versions={})) == "cpu", "a run of an earlier version"
    assert run_details.machine(run(machine=None, versions=None)) is None


def test_answers_of_two_processors_in_half_precision_are_doubtful_and_in_float32_are_not(tmp_path: Path) -> None:
    here, there = {"processor": "A", "dtype": "bfloat16"}, {"processor": "B", "dtype": "bfloat16"}
    line = rounding.otherwise_rounded(here, there)
    assert line is not None
    assert line.startswith("the base was asked on A, the adapted model on B, in bfloat16: rounding alone")
    assert rounding.otherwise_rounded(here, here) is None
    assert rounding.otherwise_rounded({**here, "dtype": "float32"}, {**there, "dtype": "float32"}) is None
    assert rounding.otherwise_rounded({}, there) is None, "a base of an earlier version does not say"
    (tmp_path / "manifest.json").write_text(json.dumps({"computed": here}))
    made = Run(tmp_path, {"machine": {"processor": "B"}, "model": {"dtype": "bfloat16"}}, tmp_path)
    assert run_details.doubts(made) == [line]


def test_a_base_that_was_asked_on_another_processor_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounding, "HALF", ("float32",))  # not every processor here computes in bfloat16
    config = tiny.run_config(tiny.save_all(tmp_path), ["probe.n_prompts=2", "probe.max_new_tokens=2"])
    monkeypatch.setattr(machine, "processor", lambda: "Made-up CPU 1")
    measure_base(open_base(config), config)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        measure_base(open_base(config), config)
    monkeypatch.setattr(machine, "processor", lambda: "Made-up CPU 2")
    with pytest.warns(UserWarning, match="asked on Made-up CPU 1, the adapted model on Made-up CPU 2"):
        measure_base(open_base(config), config)


def test_the_processor_has_the_name_that_the_system_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "cpuinfo"
    told.write_text("processor\t: 0\nmodel name\t: Made-up CPU: 9\nprocessor\t: 1\nmodel name\t: Made-up CPU: 9\n")
    monkeypatch.setattr(machine, "CPUINFO", told)
    assert machine.processor() == "Made-up CPU: 9"
