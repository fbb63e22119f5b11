"""Checkpoints of a build: tensors and place -> a folder, written beside and then renamed; safetensors and JSON only."""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from knowpack.errors import StoreError


@dataclass(frozen=True, slots=True)
class Place:
    """How far a build is, and of what: what a checkpoint holds beside the tensors."""

    seed: int
    size: str
    tokens: int
    """Tokens that the whole build was planned for."""
    epoch: int = 0
    batch: int = 0
    """Batches of this epoch already trained on."""
    step: int = 0
    n_tokens: int = 0
    """Tokens trained on so far."""
    seconds: float = 0.0


def save(folder: Path, model: torch.nn.Module, optimizers: Sequence[torch.optim.Optimizer], place: Place) -> None:
    """A kill leaves the old checkpoint, or the new one."""
    fresh, old = folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    fresh.mkdir(parents=True)
    save_file({name: p.detach().clone() for name, p in model.named_parameters()}, fresh / "weights.safetensors")
    save_file(dict(_state(optimizers)), fresh / "optimizer.safetensors")
    (fresh / "place.json").write_text(json.dumps(asdict(place)))
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def find(folder: Path) -> Place | None:
    """The place of the checkpoint in this folder; None where there is no checkpoint. StoreError where it is torn."""
    old = folder.with_name(folder.name + ".old")
    if not folder.exists() and old.exists():  # killed between the two renames
        old.rename(folder)
    if not folder.exists():
        return None
    try:
        return Place(**json.loads((folder / "place.json").read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise _torn(folder, error) from error


def restore(folder: Path, model: torch.nn.Module, optimizers: Sequence[torch.optim.Optimizer]) -> None:
    """Put the checkpoint's tensors into model and optimizers. StoreError where it is torn."""
    try:
        weights = load_file(folder / "weights.safetensors")
        state = load_file(folder / "optimizer.safetensors")
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(weights[name])
    except (OSError, SafetensorError, KeyError, RuntimeError) as error:
        raise _torn(folder, error) from error
    for i, optimizer in enumerate(optimizers):
        own: dict[int, dict[str, torch.Tensor]] = {}
        for key, tensor in state.items():
            number, parameter_number, name = key.split(".")
            if int(number) == i:
                own.setdefault(int(parameter_number), {})[name] = tensor
        optimizer.load_state_dict({"state": own, "param_groups": optimizer.state_dict()["param_groups"]})


def _state(optimizers: Sequence[torch.optim.Optimizer]) -> Iterator[tuple[str, torch.Tensor]]:
    for i, optimizer in enumerate(optimizers):
        for j, state in optimizer.state_dict()["state"].items():
            for name, value in state.items():
                yield f"{i}.{j}.{name}", torch.as_tensor(value).clone()


def _torn(folder: Path, error: Exception) -> StoreError:
    reason = " ".join(str(error).split())[:120]
    return StoreError(f"{folder} holds a half-written checkpoint ({reason}); delete it and build again")
