"""What a model is in full, and what computes it: for the manifest of a run, and so for its report.

Loaded -> plain values. None where the system does not say.
"""

import platform
from pathlib import Path

import torch

from knowpack.model import public_name
from knowpack.model.loaded import Loaded

CPUINFO = Path("/proc/cpuinfo")


def of_model(loaded: Loaded) -> dict[str, object]:
    """hub: its name there; quantization: how a GGUF file stores it; dtype: of the weights in memory; n_parameters."""
    return {
        "hub": public_name.hub_id(loaded.name),
        "quantization": loaded.quantization,
        "dtype": str(loaded.model.dtype).removeprefix("torch."),
        "n_parameters": sum(weight.numel() for weight in loaded.model.parameters()),
    }


def of_machine(device: torch.device) -> dict[str, object]:
    """processor: that of the device, and how many threads a CPU's work is given."""
    if device.type == "cuda":
        return {"processor": torch.cuda.get_device_name(device)}
    return {"processor": processor(), "threads": torch.get_num_threads()}


def of_answers(loaded: Loaded) -> dict[str, object]:
    """What the last bits of answers depend on beyond the weights: the processor, and the type that is computed in."""
    return {"processor": of_machine(loaded.device)["processor"], "dtype": of_model(loaded)["dtype"]}


def processor() -> str | None:
    """The processor's name, as the system has it."""
    try:
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or None
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(filter(None, named), platform.processor() or platform.machine() or None)
