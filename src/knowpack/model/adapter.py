"""An adapter on disk: found, read, and checked against the model that it is to be put on, before anything changes.

folder or hub name -> AdapterFiles: peft's settings and the tensors' shapes. Every doubt is one line: no tensors, NaN,
a scale that no training gives, layers that the model does not have, another base.
"""

import json
import math
import re
import warnings
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open

from knowpack import store
from knowpack.errors import ModelError, one_line
from knowpack.model import public_name
from knowpack.model.loaded import Loaded
from knowpack.model.locations import CONFIG, MADE_ON, WEIGHTS, adapter_folder

LARGEST_SCALE = 1e4
"""alpha / rank above this is no setting but a fault: common ones are 0.5 to 64."""
PREFIX = "base_model.model."
PLAIN_STARTS = (True, False, None, "gaussian", "orthogonal")
"""Values of init_lora_weights that leave the base's weights alone."""


class AdapterFiles(NamedTuple):
    """An adapter as it lies on disk."""

    folder: Path
    settings: dict[str, object]
    """adapter_config.json."""
    shapes: dict[str, tuple[int, ...]]
    """Tensor name -> shape."""

    @property
    def base_name(self) -> str | None:
        """What peft says that it was trained on."""
        name = self.settings.get("base_model_name_or_path")
        return name if isinstance(name, str) and name else None


def read_adapter(name: str | Path) -> AdapterFiles:
    """Read and check by itself. Raises ModelError in one line, StoreError for one of ours that was damaged since."""
    folder = adapter_folder(str(name))
    for file in (CONFIG, WEIGHTS, MADE_ON):
        store.check(folder / file)  # of ours: a flipped byte is another adapter
    try:
        settings = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if not isinstance(settings, dict):
            raise ValueError(f"{CONFIG} is no table of settings")
        with safe_open(folder / WEIGHTS, framework="pt") as tensors:
            names = list(tensors.keys())
            shapes = {key: tuple(tensors.get_slice(key).get_shape()) for key in names}
            broken = [key for key in names if not bool(torch.isfinite(tensors.get_tensor(key)).all())]
    except (OSError, ValueError, RecursionError, SafetensorError) as error:
        raise ModelError(f"the adapter {folder} cannot be read: {one_line(error)}") from None
    if settings.get("peft_type") != "LORA":
        raise ModelError(f"the adapter {folder} is of type {settings.get('peft_type')}; expected LORA")
    if not shapes:
        raise ModelError(f"the adapter {folder} has no tensors; nothing was saved in it")
    if broken:
        raise ModelError(f"the adapter {folder} has NaN or infinite numbers in {_some(broken)}; its training diverged")
    _check_scale(folder, settings)
    return AdapterFiles(folder, settings, shapes)


def check_fits(loaded: Loaded, adapter: AdapterFiles) -> None:
    """Raise ModelError in one line where a layer is not in the model or of another width; say a foreign base."""
    modules = dict(loaded.model.named_modules())
    for key, shape in adapter.shapes.items():
        path, part, _ = key.removeprefix(PREFIX).partition(".lora_A.")
        module = modules.get(re.sub(r"(\.base_layer)+$", "", path))  # of experts' parameters, one in another
        weight = getattr(module, "weight", None)
        if not part or (module is not None and not isinstance(weight, torch.Tensor)):
            continue  # parameters of experts, say: peft compares their shapes
        if weight is None or shape[-1] not in weight.shape:
            has = "has no such layer" if weight is None else f"has {tuple(weight.shape)} there"
            raise ModelError(
                f"the adapter {adapter.folder} does not fit {loaded.name}: its {path} takes {shape[-1]} inputs, "
                f"the model {has}; it was made for {adapter.base_name}"
            )
    message = other_base(loaded, adapter)
    if message is not None:
        warnings.warn(message, stacklevel=3)


def other_base(loaded: Loaded, adapter: AdapterFiles) -> str | None:
    """A line where the adapter was trained on another base than this: by the weights' hash, else by name."""
    made_on = _made_on(adapter.folder)
    if made_on is not None:
        if made_on == loaded.weights_hash:
            return None
        return (
            f"the adapter {adapter.folder} was trained on weights {made_on}; {loaded.name} has {loaded.weights_hash} "
            "(another model, revision or dtype): what is measured holds for this pair only"
        )
    trained_on = adapter.base_name
    called = (loaded.name, str(loaded.model.name_or_path), public_name.public(loaded.name))
    names = {_last(name) for name in called if name}
    on_the_hub = trained_on is not None and trained_on.count("/") == 1 and not trained_on.startswith((".", "/", "~"))
    if trained_on is None or not on_the_hub or not names or _last(trained_on) in names:
        return None  # folders are called anything
    return f"the adapter {adapter.folder} was made for {trained_on}, and is put on {loaded.name}: is that its base?"


def name_in_model(key: str) -> str:
    """A tensor of the file by the name that its weight has in the model."""
    return re.sub(r"(\.base_layer)+\.", ".", key.removeprefix(PREFIX)).replace(".modules_to_save.", ".")


def write_made_on(folder: Path, loaded: Loaded) -> None:
    """Leave beside an adapter which base it was trained on."""
    made_on = {"base": loaded.name, "base_weights_hash": loaded.weights_hash}
    (folder / MADE_ON).write_text(json.dumps(made_on, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _made_on(folder: Path) -> str | None:
    try:
        made_on = json.loads((folder / MADE_ON).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    digest = made_on.get("base_weights_hash") if isinstance(made_on, dict) else None
    return digest if isinstance(digest, str) else None


def _last(name: str) -> str:
    return name.rstrip("/").rsplit("/", 1)[-1].casefold()


def _check_scale(folder: Path, settings: dict[str, object]) -> None:
    """lora_alpha and the rank give a scale that some training could have used."""
    patterns = settings.get("alpha_pattern")
    alphas = [settings.get("lora_alpha", 8), *(patterns.values() if isinstance(patterns, dict) else [])]
    rank = settings.get("r", 8)
    if not isinstance(rank, int) or rank < 1:
        raise ModelError(f"the adapter {folder} has r={rank!r}; expected a whole number from 1 up")
    for alpha in alphas:
        if not isinstance(alpha, int | float) or not math.isfinite(alpha) or abs(alpha) / rank > LARGEST_SCALE:
            raise ModelError(f"the adapter {folder} has lora_alpha={alpha!r} at r={rank}: no training gives that scale")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
