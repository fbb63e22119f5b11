"""What the first screen says of model and machine, from a manifest made by hand."""

from pathlib import Path

import pytest

from knowpack.model import machine
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


def test_the_processor_has_the_name_that_the_system_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "cpuinfo"
    told.write_text("processor\t: 0\nmodel name\t: Made-up CPU: 9\nprocessor\t: 1\nmodel name\t: Made-up CPU: 9\n")
    monkeypatch.setattr(machine, "CPUINFO", told)
    assert machine.processor() == "Made-up CPU: 9"
