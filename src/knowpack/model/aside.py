"""What peft may change of a model, set aside before an adapter is put on, and put back after.

model + adapter on disk -> SetAside. merge.py puts the adapter on in between, train/lora.py a fresh one.
"""

from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor, nn

from knowpack.model.adapter import PLAIN_STARTS, AdapterFiles, name_in_model


class _Slot(NamedTuple):
    """Where a weight stands in the model, and what it held."""

    parent: nn.Module
    child: str
    weight: nn.Parameter
    values: Tensor
    wants_gradient: bool


class SetAside:
    """All that peft may replace or write into: modules, weights, the config, training mode.

    Most of its changes put new storage in place of the old, for which a reference is enough. A clone is taken of
    what it writes into: biases, saved embeddings, trained tokens, layers whose rest an initialisation rewrites.
    files: None for a plain LoRA, of which nothing is written into the base.
    """

    def __init__(self, model: nn.Module, files: AdapterFiles | None = None) -> None:
        self._model, self._training = model, model.training
        self._modules = dict(model.named_modules(remove_duplicate=False))
        configs = {id(one): one for module in model.modules() if (one := getattr(module, "config", None)) is not None}
        self._configs = [(one, dict(vars(one))) for one in configs.values()]
        written = [] if files is None else _written_into(model, files)
        cloned = {id(weight): weight.data.clone() for weight in written}
        self._slots = [
            _Slot(module, child, weight, cloned.get(id(weight), weight.data), weight.requires_grad)
            for module in model.modules()
            for child, weight in module._parameters.items()
            if weight is not None
        ]

    def put_back(self) -> None:
        """Everything as it was; what peft left on the model is dropped."""
        for name, module in self._modules.items():
            parent, _, child = name.rpartition(".")
            if child and getattr(self._modules[parent], child) is not module:
                setattr(self._modules[parent], child, module)
        for parent, child, weight, values, wants_gradient in self._slots:
            parent._parameters[child] = weight
            weight.data = values
            weight.requires_grad_(wants_gradient)
        for config, settings in self._configs:
            vars(config).clear()
            vars(config).update(settings)  # peft unties embeddings there
        for left in ("peft_config", "_hf_peft_config_loaded"):
            self._model.__dict__.pop(left, None)
        self._model.train(self._training)


def _written_into(model: nn.Module, files: AdapterFiles) -> Iterator[nn.Parameter]:
    """The weights whose storage peft may write into while it loads or merges this adapter."""
    settings = files.settings
    stored = {name_in_model(key) for key in files.shapes}
    rewrites = settings.get("init_lora_weights") not in PLAIN_STARTS
    trains_biases = settings.get("bias") not in (None, "none")
    trains_tokens = bool(settings.get("trainable_token_indices"))
    for name, weight in model.named_parameters(remove_duplicate=False):  # one that is tied has several names
        layer, _, kind = name.rpartition(".")
        if (
            name in stored
            or (trains_biases and kind == "bias")
            or (trains_tokens and any(key.startswith(f"{layer}.token") for key in stored))
            or (rewrites and any(key.startswith(f"{layer}.lora_") for key in stored))
        ):
            yield weight
