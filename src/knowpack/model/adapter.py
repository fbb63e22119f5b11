"""An adapter on disk: found, read, and checked against the model that it is to be put on, before anything changes.

folder or hub name -> AdapterFiles: peft's settings and the tensors' shapes. What cannot be measured rightly is one
line: no tensors, NaN, a scale that no training gives, another kind than LoRA, layers that the model does not have.
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
from knowpack.model import doubts, public_name
from knowpack.model.loaded import Loaded
from knowpack.model.locations import CONFIG, MADE_ON, WEIGHTS, adapter_folder

LARGEST_SCALE = 1e4
"""alpha / rank above this is no setting but a fault: common ones are 0.5 to 64."""
PREFIX = "base_model.model."
PLAIN_STARTS = (True, False, None, "gaussian", "orthogonal", "eva")
"""Values of init_lora_weights that leave the base's weights alone."""
BESIDE = (
    "bias",
    "lora_bias",
    "use_dora",
    "modules_to_save",
    "target_parameters",
    "trainable_token_indices",
    "use_bdlora",
    "kasa_config",
    "monteclora_config",
)
"""Settings of peft by which a LoRA has more than A and B of linear layers."""
NOT_MEASURED = {
    "alora_invocation_tokens": "it works only behind its invocation tokens, which no merged weights can say",
    "arrow_config": "it is the router among other adapters, which are not in the folder",
    "layer_replication": "it stacks the base's layers anew, and no weights of the base can hold that",
}
"""Settings of peft that make another model of the base than one with other weights, and why."""
_ADAPTER_NAME = re.compile(r"(\.(?:lora_\w+|modules_to_save))\.default(?=\.|$)")
"""peft's name of the adapter in the names of tensors: who saves the state dict by himself leaves it there."""


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

    @property
    def beyond_plain(self) -> list[str]:
        """Settings by which it is more than A and B of linear layers on the base as it is."""
        beyond = [name for name in BESIDE if self.settings.get(name) not in (None, False, "none", [], {})]
        return beyond + ["init_lora_weights"] * (self.settings.get("init_lora_weights") not in PLAIN_STARTS)

    @property
    def by_expert(self) -> bool:
        """Whether it holds tensors for each expert of a mixture, as transformers 4 had them: peft fuses them."""
        return any(re.search(r"\.experts\.\d+\.", key) for key in self.shapes)

    @property
    def trained_tokens(self) -> list[int]:
        """Tokens whose embeddings it holds: only rows with them show its effect."""
        indices = self.settings.get("trainable_token_indices")
        lists = indices.values() if isinstance(indices, dict) else [indices]
        return [token for one in lists if isinstance(one, list) for token in one if isinstance(token, int)]


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
            shapes = {_ADAPTER_NAME.sub(r"\1", key): tuple(tensors.get_slice(key).get_shape()) for key in names}
            broken = [key for key in names if not _is_finite(tensors.get_tensor(key))]
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:  # of 4 bits, say, torch has no numbers
        raise ModelError(f"the adapter {folder} cannot be read: {one_line(error)}") from None
    if settings.get("peft_type") != "LORA":
        raise ModelError(
            f"the adapter {folder} is of type {settings.get('peft_type')}; expected LORA. Merged into its base by its "
            "own software it is a whole model, which diff takes as --tuned"
        )
    for name, why in NOT_MEASURED.items():
        if settings.get(name):
            raise ModelError(f"the adapter {folder} uses {name}: {why}; it is not measured")
    if not shapes:
        raise ModelError(f"the adapter {folder} has no tensors; nothing was saved in it")
    if broken:
        raise ModelError(f"the adapter {folder} has NaN or infinite numbers in {_some(broken)}; its training diverged")
    _check_scale(folder, settings)
    return AdapterFiles(folder, settings, shapes)


def check_fits(loaded: Loaded, adapter: AdapterFiles) -> tuple[str, ...]:
    """Raise ModelError in one line where a layer is not in the model or of another width.

    What else is doubtful is warned of, a line each, and returned.
    """
    modules = dict(loaded.model.named_modules())
    _check_vocabulary(loaded, adapter, modules)
    for key, shape in adapter.shapes.items():
        path, part, _ = key.removeprefix(PREFIX).partition(".lora_A.")
        module = modules.get(re.sub(r"(\.base_layer)+$", "", path))  # of experts' parameters, one in another
        weight = getattr(module, "weight", None)
        in_blocks = adapter.settings.get("use_bdlora") and module is not None
        of_experts = module is None and adapter.by_expert
        no_weight = module is not None and not isinstance(weight, torch.Tensor)
        if not part or not shape or in_blocks or of_experts or no_weight:
            continue  # parameters of experts, say: peft compares their shapes
        if weight is None or shape[-1] not in weight.shape:
            has = "has no such layer" if weight is None else f"has {tuple(weight.shape)} there"
            raise ModelError(
                f"the adapter {adapter.folder} does not fit {loaded.name}: its {path} takes {shape[-1]} inputs, "
                f"the model {has}; it was made for {adapter.base_name}"
            )
    messages = (other_base(loaded, adapter), *doubts.of(loaded, adapter.folder, adapter.settings))
    doubtful = tuple(message for message in messages if message is not None)
    for message in doubtful:
        warnings.warn(message, stacklevel=3)
    return doubtful


def _check_vocabulary(loaded: Loaded, adapter: AdapterFiles, modules: dict[str, torch.nn.Module]) -> None:
    """Raise ModelError where it was trained with more tokens, or fewer, than the model has."""
    ends = [loaded.model.get_input_embeddings(), loaded.model.get_output_embeddings()]  # type: ignore[no-untyped-call]
    n_here, n_there = loaded.n_vocabulary, max([0, *(token + 1 for token in adapter.trained_tokens)])
    differ = n_there > n_here
    for key, shape in adapter.shapes.items():
        name, _, kind = name_in_model(key).rpartition(".")
        module = modules.get(name)
        if kind == "weight" and shape and any(module is end for end in ends if end is not None) and not differ:
            assert module is not None, "one of the embeddings"
            n_here, n_there = module.get_parameter("weight").shape[0], shape[0]
            differ = n_there != n_here
    if differ:
        raise ModelError(
            f"the adapter {adapter.folder} was trained with {n_there:,} tokens, {loaded.name} has {n_here:,}: give as "
            "the model its base with the tokens that were added (resize_token_embeddings, saved with the adapter's "
            "tokenizer)"
        )


def name_in_model(key: str) -> str:
    """A tensor of the file by the name that its weight has in the model."""
    return re.sub(r"(\.base_layer)+\.", ".", key.removeprefix(PREFIX)).replace(".modules_to_save.", ".")


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
    if trained_on is None or not on_the_hub or not names:
        return None  # folders are called anything
    if _last(trained_on) not in names:
        return f"the adapter {adapter.folder} was made for {trained_on}, and is put on {loaded.name}: is that its base?"
    revision = adapter.settings.get("revision")
    if not isinstance(revision, str) or revision in ("", "main", loaded.revision):
        return None
    return (
        f"the adapter {adapter.folder} was made for {trained_on} at revision {revision}, and is put on "
        f"{loaded.name} at {loaded.revision or 'its newest'}: other weights; give --set model.revision={revision}"
    )


def refuse_beyond(adapter: AdapterFiles) -> None:
    """Raise ModelError where training cannot go on from it: its A and B alone are not what it does."""
    beyond = [name for name in adapter.beyond_plain if name != "target_parameters"]
    beyond += ["alpha_pattern"] * bool(adapter.settings.get("alpha_pattern"))
    beyond += ["a LoRA for each expert"] * adapter.by_expert
    if beyond:
        raise ModelError(
            f"the adapter {adapter.folder} uses {', '.join(beyond)}, which this training does not: its tensors would "
            "do something else here; pack all facts anew"
        )


def write_made_on(folder: Path, loaded: Loaded) -> None:
    """Leave beside an adapter which base it was trained on."""
    made_on = {"base": loaded.name, "base_weights_hash": loaded.weights_hash}
    if loaded.revision is not None:
        made_on["revision"] = loaded.revision
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


def _is_finite(tensor: torch.Tensor) -> bool:
    one_byte = tensor.element_size() == 1  # torch looks into no float of 8 bits
    return bool(torch.isfinite(tensor.float() if one_byte else tensor).all())


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
