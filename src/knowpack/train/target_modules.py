"""Which layers of a model get an adapter, and how many weights that makes.

model + names or "auto" + share of the depth -> names for peft's target_modules and target_parameters.
"""

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from knowpack.config import TrainConfig
from knowpack.errors import ModelError

MLP_PARTS = {"mlp", "feed_forward", "ffn", "fc1", "fc2", "block_sparse_moe"}  # as transformers names the MLP
ROUTERS = {"router", "gate", "shared_expert_gate", "gate_weight", "wg"}
"""Layers that choose among experts: small changes there send tokens elsewhere."""
OTHER_SENSES = re.compile(r"vision|visual|image|audio|speech|video")
EXPERTS = "experts"


class Targets(NamedTuple):
    """Where an adapter goes."""

    modules: list[str]
    """Names for peft's target_modules, sorted: linear layers."""
    parameters: list[str]
    """Names for its target_parameters, sorted: the experts of a mixture, which transformers keeps as one parameter."""


def targets(model: PreTrainedModel, wanted: Sequence[str], chosen: Sequence[int] | None = None) -> Targets:
    """Linear layers and experts; ("auto",) = those of the MLPs of this architecture, shared experts among them.

    Routers, and towers for pictures and sound, are left alone. A bare name (gate_proj) where only MLPs have it, else
    with its parent (mlp.c_proj, as in GPT-2). chosen: numbers of layers; peft takes no numbers for parameters, so they
    are named whole.
    """
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear | Conv1D)]
    experts = _experts(model)
    if tuple(wanted) == ("auto",):
        inside = [name for name in linear if _is_mlp(name)]
        outside = {name.rsplit(".", 1)[-1] for name, _ in model.named_modules() if name not in inside}
        names = {_shortest(name, outside) for name in inside}
        if not names and not experts:
            raise ModelError(
                f"{type(model).__name__} has no MLP layer that target_modules=auto finds; name the layers, "
                f"for example train.target_modules=[{linear[-1].rsplit('.', 1)[-1] if linear else '...'}]"
            )
        return Targets(sorted(names), _in_layers(experts, chosen))
    missing = [name for name in wanted if not any(_ends(one, name) for one in [*linear, *experts])]
    if missing:
        known = ", ".join(sorted({name.rsplit(".", 1)[-1] for name in [*linear, *experts]}))
        raise ModelError(f"target_modules {', '.join(missing)} are not in {type(model).__name__}; it has {known}")
    modules = {name for name in wanted if any(_ends(one, name) for one in linear)}
    if chosen is not None:
        modules |= _above(model, [one for one in linear if any(_ends(one, name) for name in wanted)], wanted, chosen)
    parameters = [one for one in experts if any(_ends(one, name) for name in wanted)]
    return Targets(sorted(modules), _in_layers(parameters, chosen))


def _is_mlp(name: str) -> bool:
    parts = name.split(".")
    return bool(MLP_PARTS & set(parts)) and not ROUTERS & set(parts) and not OTHER_SENSES.search(name)


def _experts(model: nn.Module) -> list[str]:
    """Weights of experts that are parameters: (experts, in, out), or flattened as DBRX has them; no biases."""
    linear = {id(module.weight) for module in model.modules() if isinstance(module, nn.Linear | Conv1D)}
    return [
        name
        for name, weight in model.named_parameters()
        if EXPERTS in name.split(".") and weight.ndim in (2, 3) and id(weight) not in linear and "bias" not in name
    ]


def _above(model: PreTrainedModel, matching: Sequence[str], wanted: Sequence[str], chosen: Sequence[int]) -> set[str]:
    """The output layer's whole name, where it is wanted: it stands above all layers. Raises ModelError for what is in
    none, or named whole and in one below those that are chosen.

    peft takes a module by its whole name whatever layer it is in, by the end of its name in the chosen layers only.
    """
    head = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    above = {name for name in matching if model.get_submodule(name) is head}
    outside = [
        name
        for name in matching
        if name not in above and _number(name) not in chosen and (name in wanted or _number(name) is None)
    ]
    if outside:
        raise ModelError(
            f"train.from_layer lets adapters begin at layer {chosen[0]}, and {', '.join(outside[:3])} of "
            "train.target_modules is not from there on; set train.from_layer=0"
        )
    return above


def _in_layers(experts: Sequence[str], chosen: Sequence[int] | None) -> list[str]:
    if chosen is None:
        return sorted({".".join(name.split(".")[-2:]) for name in experts})
    return sorted(name for name in experts if _number(name) in chosen)


def _number(name: str) -> int | None:
    """The layer that a module or parameter is in."""
    return next((int(part) for part in name.split(".") if part.isdigit()), None)


def _ends(name: str, wanted: str) -> bool:
    return f".{name}".endswith(f".{wanted}")


def layers(model: PreTrainedModel, from_layer: float) -> list[int] | None:
    """Numbers of the layers that get an adapter; None = all. from_layer: share of the depth, 0 <= from_layer < 1."""
    if from_layer == 0:
        return None
    n_layers = depth(model)
    if n_layers is None:
        raise ModelError(f"{type(model).__name__} does not say how many layers it has; leave train.from_layer at 0")
    return list(range(math.floor(from_layer * n_layers), n_layers))


def depth(model: PreTrainedModel) -> int | None:
    """How many layers a model has, of one that sees pictures (Gemma 3) its text's; None where nothing says it."""
    n_layers = getattr(model.config.get_text_config(), "num_hidden_layers", None)
    return n_layers if isinstance(n_layers, int) else None


def _shortest(name: str, taken: set[str]) -> str:
    last = name.rsplit(".", 1)[-1]
    return ".".join(name.split(".")[-2:]) if last in taken else last


def n_parameters(model: PreTrainedModel, config: TrainConfig) -> int:
    """How many weights an adapter of this config has on this model: rank x (in + out) of each layer and expert."""
    chosen = layers(model, config.from_layer)
    names = targets(model, config.target_modules, chosen)
    total = 0
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | Conv1D) and any(_ends(name, one) for one in names.modules):
            is_in = chosen is None or _number(name) in chosen or name in names.modules  # the output layer is above all
            total += config.rank * sum(module.weight.shape) if is_in else 0
    for name, weight in model.named_parameters():
        if any(_ends(name, one) for one in names.parameters):
            n_experts, sides = (weight.shape[0], weight.shape[1:]) if weight.ndim == 3 else (1, weight.shape)
            total += config.rank * n_experts * sum(sides)
    return total


def summary(model: PreTrainedModel, config: TrainConfig) -> str:
    """Where the adapter goes, in a line."""
    names = targets(model, config.target_modules)
    return f"adapter on {', '.join([*names.modules, *names.parameters])}; weights"
