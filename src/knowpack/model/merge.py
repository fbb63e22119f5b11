"""An adapter merged into the weights, and the base bit for bit as it was afterwards.

Loaded base + adapter folder, hub name, or peft model on that base -> Loaded whose weights hold the adapter. The
arithmetic is peft's own (rsLoRA, DoRA, rank and alpha patterns); the layers it touches are set aside and put back.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from safetensors import SafetensorError, safe_open
from torch import Tensor

from knowpack.errors import ModelError
from knowpack.model.loaded import Loaded, one_line, weights_hash

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"


@contextmanager
def merged(loaded: Loaded, adapter: str | Path | PeftModel) -> Iterator[Loaded]:
    """Within, the weights hold the adapter; after, every weight and module of the base is as it was.

    The base is changed in place: do not use it, or a Decoder of it, inside the block.
    """
    if isinstance(adapter, PeftModel):
        with _merged_in_place(loaded, adapter) as inside:
            yield inside
        return
    folder = adapter_folder(str(adapter))
    check_fits(loaded, folder)
    model = loaded.model
    modules = dict(model.named_modules(remove_duplicate=False))
    wanted = {name: weight.requires_grad for name, weight in model.named_parameters()}
    aside: list[tuple[torch.nn.Parameter, Tensor]] = []
    training = model.training
    try:
        _merge(model, folder, aside, loaded.device)
        model.train(False)
        name = f"{loaded.name} + {Path(adapter).name}"
        yield replace(loaded, name=name, weights_hash=weights_hash(model))
    finally:
        _put_back(model, modules)
        for weight, before in aside:
            weight.data = before
        for name, weight in model.named_parameters():
            weight.requires_grad_(wanted[name])
        model.train(training)


def merge_for_good(loaded: Loaded, adapter: str | Path) -> Loaded:
    """The same without a way back: for a model that is only ever used with its adapter."""
    folder = adapter_folder(str(adapter))
    check_fits(loaded, folder)
    _merge(loaded.model, folder, [], loaded.device)
    loaded.model.train(False)
    name = f"{loaded.name} + {Path(adapter).name}"
    return replace(loaded, name=name, weights_hash=weights_hash(loaded.model))


def adapter_folder(name: str) -> Path:
    """A folder with an adapter's config and safetensors, fetched from the hub where it is no folder."""
    folder = Path(name)
    if not folder.exists() and name.count("/") == 1 and not name.startswith((".", "/", "~")):
        from huggingface_hub import snapshot_download

        try:
            folder = Path(snapshot_download(name, allow_patterns=[CONFIG, WEIGHTS]))
        except (OSError, ValueError) as error:
            raise ModelError(f"no adapter folder {name}, and the hub gave none: {one_line(error)}") from None
    if not folder.is_dir():
        raise ModelError(f"no adapter folder {name}; expected a folder with {CONFIG} and {WEIGHTS}")
    if not (folder / CONFIG).exists():
        raise ModelError(f"{name} has no {CONFIG}; expected a PEFT adapter")
    if not (folder / WEIGHTS).exists():
        pickled = any(folder.glob("*.bin")) or any(folder.glob("*.pt"))
        found = "pickled weights, which can run code when read" if pickled else "no weights"
        raise ModelError(f"{name} has {found}; expected {WEIGHTS}")
    return folder


def check_fits(loaded: Loaded, folder: Path) -> None:
    """Raise ModelError in one line where the adapter is no LoRA, or was made for another base."""
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        kind, base = config.get("peft_type"), config.get("base_model_name_or_path")
        with safe_open(folder / WEIGHTS, framework="pt") as tensors:
            shapes = {key: tuple(tensors.get_slice(key).get_shape()) for key in tensors.keys()}  # noqa: SIM118
    except (OSError, ValueError, AttributeError, SafetensorError) as error:
        raise ModelError(f"the adapter {folder} cannot be read: {one_line(error)}") from None
    if kind != "LORA":
        raise ModelError(f"the adapter {folder} is of type {kind}; expected LORA")
    modules = dict(loaded.model.named_modules())
    for key, shape in shapes.items():
        path, part, _ = key.removeprefix("base_model.model.").partition(".lora_A.")
        if not part:
            continue
        module = modules.get(path)
        weight = getattr(module, "weight", None)
        if weight is None or shape[-1] not in weight.shape:
            has = "has no such layer" if weight is None else f"has {tuple(weight.shape)} there"
            raise ModelError(
                f"the adapter {folder} does not fit {loaded.name}: its {path} takes {shape[-1]} inputs, "
                f"the model {has}; it was made for {base}"
            )


def _merge(model: torch.nn.Module, folder: Path, aside: list[tuple[torch.nn.Parameter, Tensor]], device: Any) -> None:
    """Merge by peft; `aside` gets every weight it replaces. Peft's safe merge writes into new storage."""
    try:
        wrapped = PeftModel.from_pretrained(model, str(folder), torch_device=str(device))
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"the adapter {folder} cannot be put on this model: {one_line(error)}") from None
    for module in wrapped.modules():
        if isinstance(module, LoraLayer):
            aside.extend((weight, weight.data) for weight in module.get_base_layer().parameters(recurse=False))
    try:
        wrapped.merge_and_unload(safe_merge=True)
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"the adapter {folder} cannot be merged: {one_line(error)}") from None


def _put_back(model: torch.nn.Module, modules: dict[str, torch.nn.Module]) -> None:
    """Set every module that peft replaced back in its place; drop what peft left on the model."""
    for name, module in modules.items():
        parent, _, child = name.rpartition(".")
        if child and getattr(modules[parent], child) is not module:
            setattr(modules[parent], child, module)
    for left in ("peft_config", "_hf_peft_config_loaded"):
        if left in model.__dict__:
            delattr(model, left)


@contextmanager
def _merged_in_place(loaded: Loaded, adapter: PeftModel) -> Iterator[Loaded]:
    layers = [module for module in adapter.modules() if isinstance(module, LoraLayer)]
    weights = [weight for layer in layers for weight in layer.get_base_layer().parameters(recurse=False)]
    aside = [(weight, weight.data) for weight in weights]
    training = adapter.training
    adapter.eval()
    try:
        adapter.merge_adapter(safe_merge=True)
        yield replace(loaded, name=f"{loaded.name} + adapter", weights_hash=weights_hash(loaded.model))
    finally:
        for weight, before in aside:
            weight.data = before
        for layer in layers:
            layer.merged_adapters.clear()
        adapter.train(training)
