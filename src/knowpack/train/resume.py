"""A training to go on with: its whole state in one file, so that a kill costs minutes and changes no bit of the result.

State of a loop (adapter, optimizer, random streams, where it stands) -> `training/state.safetensors`, written beside
and renamed, at most every train.checkpoint_seconds; after a kill the same file -> the state. Tensors as safetensors,
all else as JSON in its header. The key says whose state it is: that of other examples or settings is not taken.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import torch
from peft import PeftModel
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from knowpack import store
from knowpack.model.loaded import tensor_hash
from knowpack.progress import Progress
from knowpack.train.track import Log

FILE = "state.safetensors"


def epochs(folder: Path) -> list[Path]:
    """The adapters of the epochs in a folder (epoch-01, ...), without what was measured of them beside."""
    return [path for path in sorted(folder.glob("epoch-*")) if path.is_dir() and not path.suffix]


class State(NamedTuple):
    """A loop between two steps."""

    tensors: dict[str, Tensor]
    values: dict[str, Any]
    """Plain JSON."""


class Checkpoints:
    """The newest state of one training, in a folder of its own; None = nothing is kept."""

    def __init__(self, folder: Path | None, key: str, every_seconds: float) -> None:
        """key: a hash of all that decides what the training gives."""
        self.folder = folder
        self._key, self._every = key, every_seconds
        self._begun = self._newest = time.monotonic()
        self._seconds_before = 0.0

    def seconds(self) -> float:
        """Spent on this training, before a kill and since."""
        return self._seconds_before + time.monotonic() - self._begun

    def load(self) -> State | None:
        """The state of the same training that was killed; None where there is none, or it cannot be read: then the
        epochs beside it are another training's, and go."""
        state = self._read()
        if state is None and self.folder is not None:
            for epoch in self.folder.glob("epoch-*"):
                store.remove(epoch)
        return state

    def _read(self) -> State | None:
        if self.folder is None or not (self.folder / FILE).is_file():
            return None
        try:
            with safe_open(self.folder / FILE, framework="pt") as file:
                values = json.loads((file.metadata() or {}).get("state", "{}"))
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, ValueError, SafetensorError):
            return None  # what cannot be read is made again
        if values.get("key") != self._key or values.pop("hash", None) != _hash(tensors, values):
            return None  # another training's, or a byte of it is not what was written
        self._seconds_before = float(values["seconds"])
        return State(tensors, values)

    def offer(self, state: Callable[[], State]) -> None:
        """Between two steps: keep the state, where the last one that was kept is old enough."""
        if time.monotonic() - self._newest >= self._every:
            self.keep(state)

    def keep(self, state: Callable[[], State]) -> None:
        """Keep the state; after the last step too, since a kill may come before the adapter is in its place."""
        if self.folder is None:
            return
        tensors, values = state()
        plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        recorded = {**values, "key": self._key, "seconds": self.seconds()}
        header = {"state": json.dumps({**recorded, "hash": _hash(plain, recorded)})}
        with store.atomic(self.folder / FILE) as beside:
            save_file(plain, beside, header)
        self._newest = time.monotonic()


def _hash(tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> str:
    """Over all that a state holds: a flipped byte would be trained on without a word."""
    as_read = json.loads(json.dumps(values))  # keys are text then, and stand in another order
    return store.hash_of(
        [{name: tensor_hash(one).hex() for name, one in tensors.items()}, json.dumps(as_read, sort_keys=True)]
    )


class Run(NamedTuple):
    """What every recipe trains on and with."""

    model: PeftModel
    """The base with the fresh adapter on it."""
    examples: pl.DataFrame
    """Of the facts to learn; replay is apart."""
    seed: int
    log: Log
    checkpoints: Checkpoints
    progress: Progress


def of_weights(weights: Sequence[nn.Parameter], optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The adapter's weights and what the optimizer remembers of each."""
    tensors = {f"weight.{i}": weight.detach().clone() for i, weight in enumerate(weights)}
    for i, remembered in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{name}": torch.as_tensor(value) for name, value in remembered.items()}
    return tensors


def set_weights(
    tensors: Mapping[str, Tensor], weights: Sequence[nn.Parameter], optimizer: torch.optim.Optimizer
) -> None:
    """Put back what `of_weights` gave."""
    with torch.no_grad():
        for i, weight in enumerate(weights):
            weight.copy_(tensors[f"weight.{i}"])
    remembered: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        kind, _, rest = name.partition(".")
        if kind == "optimizer":
            number, _, what = rest.partition(".")
            remembered.setdefault(int(number), {})[what] = tensor
    if remembered:
        optimizer.load_state_dict({**optimizer.state_dict(), "state": remembered})


def of_torch(device: torch.device) -> dict[str, Tensor]:
    """The state of torch's own random streams: dropout draws from them."""
    tensors = {"random.cpu": torch.get_rng_state()}
    if device.type == "cuda":
        tensors["random.cuda"] = torch.cuda.get_rng_state(device)
    return tensors


def set_torch(tensors: Mapping[str, Tensor], device: torch.device) -> None:
    """Put back what `of_torch` gave."""
    torch.set_rng_state(tensors["random.cpu"])
    if device.type == "cuda" and "random.cuda" in tensors:
        torch.cuda.set_rng_state(tensors["random.cuda"], device)


def of_stream(rng: np.random.Generator) -> dict[str, Any]:
    """A numpy stream as JSON (whole numbers of 128 bits and all)."""
    return dict(rng.bit_generator.state)


def set_stream(rng: np.random.Generator, state: dict[str, Any]) -> None:
    """Put back what `of_stream` gave."""
    rng.bit_generator.state = state
