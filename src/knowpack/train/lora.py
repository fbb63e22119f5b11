"""A LoRA adapter on a base that stays in memory: put on, taken off, saved, read back.

base model + TrainConfig + seed -> PeftModel, and the base bit for bit as it was when the block ends.
The seed is set before the adapter is built (the authors' code sets it after: arXiv 2502.14502, code beside it).
"""

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model, set_peft_model_state_dict
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from knowpack.config import TrainConfig
from knowpack.errors import ModelError
from knowpack.model.adapter import WEIGHTS, AdapterFiles, read_adapter
from knowpack.seeds import seed_of

MLP_PARTS = {"mlp", "feed_forward", "ffn", "fc1", "fc2"}  # how architectures of transformers name the MLP


def target_modules(model: nn.Module, wanted: Sequence[str]) -> list[str]:
    """Names for peft's target_modules, sorted; ("auto",) = the linear layers of the MLPs of this architecture.

    A bare name (gate_proj) where only MLPs have it, else with its parent (mlp.c_proj, as in GPT-2).
    """
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear | Conv1D)]
    if tuple(wanted) == ("auto",):
        inside = [name for name in linear if MLP_PARTS & set(name.split("."))]
        outside = {name.rsplit(".", 1)[-1] for name in set(linear) - set(inside)}
        names = {_shortest(name, outside) for name in inside}
        if not names:
            raise ModelError(
                f"{type(model).__name__} has no MLP layer that target_modules=auto finds; name the layers, "
                f"for example train.target_modules=[{linear[-1].rsplit('.', 1)[-1] if linear else '...'}]"
            )
        return sorted(names)
    missing = [name for name in wanted if not any(f".{layer}".endswith(f".{name}") for layer in linear)]
    if missing:
        known = ", ".join(sorted({name.rsplit(".", 1)[-1] for name in linear}))
        raise ModelError(f"target_modules {', '.join(missing)} are not in {type(model).__name__}; it has {known}")
    return sorted(wanted)


def layers(model: PreTrainedModel, from_layer: float) -> list[int] | None:
    """Numbers of the layers that get an adapter; None = all. from_layer: share of the depth, 0 <= from_layer < 1."""
    n_layers = getattr(model.config, "num_hidden_layers", None)
    if from_layer == 0:
        return None
    if not isinstance(n_layers, int):
        raise ModelError(f"{type(model).__name__} does not say how many layers it has; leave train.from_layer at 0")
    return list(range(math.floor(from_layer * n_layers), n_layers))


def _shortest(name: str, taken: set[str]) -> str:
    last = name.rsplit(".", 1)[-1]
    return ".".join(name.split(".")[-2:]) if last in taken else last


@contextmanager
def adapted(model: PreTrainedModel, config: TrainConfig, seed: int, start: Path | None = None) -> Iterator[PeftModel]:
    """The model with an adapter on it; taken off at the end, the base's weights and modules as before.

    start: a folder whose adapter it begins as; None = a fresh one, which changes nothing. Raises ModelError where that
    adapter has other layers, another rank or another scale than this config gives.
    """
    settings = LoraConfig(
        task_type="CAUSAL_LM",
        r=config.rank,
        lora_alpha=config.alpha,  # type: ignore[arg-type]  # peft only divides it by the rank
        use_rslora=config.rslora,
        lora_dropout=config.dropout,
        target_modules=target_modules(model, config.target_modules),
        layers_to_transform=layers(model, config.from_layer),
        bias="none",
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in model.modules()),  # GPT-2 stores W transposed
    )
    first = None if start is None else read_adapter(start)
    with _restored(model), torch.random.fork_rng(devices=_cuda(model)):
        torch.manual_seed(seed_of(seed if config.init_seed is None else config.init_seed, "init"))
        wrapped = get_peft_model(model, settings)
        torch.manual_seed(seed_of(seed, "dropout"))
        try:
            if first is not None:
                _begin_as(wrapped, settings, first)
            yield wrapped
        finally:
            wrapped.unload()


def _begin_as(model: PeftModel, settings: LoraConfig, first: AdapterFiles) -> None:
    """Put the tensors of an adapter on disk where the fresh ones are."""
    for name, of_config in (("lora_alpha", settings.lora_alpha), ("use_rslora", settings.use_rslora)):
        if first.settings.get(name) != of_config:
            raise ModelError(
                f"the adapter {first.folder} has {name}={first.settings.get(name)}, this recipe {of_config}"
            )
    fresh = {
        name.replace(".default.", "."): tuple(weight.shape)
        for name, weight in model.named_parameters()
        if weight.requires_grad
    }
    if fresh != first.shapes:
        differs = sorted({name for name, _ in fresh.items() ^ first.shapes.items()})
        raise ModelError(
            f"the adapter {first.folder} is not of the shape that this recipe trains: {len(differs)} tensors differ, "
            f"the first {differs[0]}; give its rank and layers (train.rank, train.from_layer), or pack all facts anew"
        )
    set_peft_model_state_dict(model, load_file(first.folder / WEIGHTS))


@contextmanager
def reloaded(model: PreTrainedModel, adapter_dir: Path) -> Iterator[PeftModel]:
    """The model with an adapter read from disk on it, by plain peft; taken off at the end."""
    with _restored(model):
        wrapped = PeftModel.from_pretrained(model, str(adapter_dir))
        try:
            yield wrapped
        finally:
            wrapped.unload()


@contextmanager
def _restored(model: PreTrainedModel) -> Iterator[None]:
    """What peft changes beside the layers: which weights want gradients, and the training mode."""
    wanted = {name: weight.requires_grad for name, weight in model.named_parameters()}
    training = model.training
    try:
        yield
    finally:
        for name, weight in model.named_parameters():
            weight.requires_grad_(wanted[name])
            weight.grad = None
        model.train(training)


def weights(model: PeftModel) -> list[nn.Parameter]:
    """The adapter's trainable weights, in the order of the modules."""
    return [weight for weight in model.parameters() if weight.requires_grad]


def n_parameters(model: PreTrainedModel, config: TrainConfig) -> int:
    """How many weights an adapter of this config has on this model: rank x (in + out) of each layer."""
    names, chosen = target_modules(model, config.target_modules), layers(model, config.from_layer)
    total = 0
    for name, module in model.named_modules():
        number = next((int(part) for part in name.split(".") if part.isdigit()), None)
        if chosen is not None and number not in chosen:
            continue
        if isinstance(module, nn.Linear | Conv1D) and any(f".{name}".endswith(f".{t}") for t in names):
            total += config.rank * sum(module.weight.shape)
    return total


@torch.no_grad()
def effect(model: PeftModel, ids: Tensor) -> float:
    """Largest change of any logit that the adapter makes on these ids. Raises ModelError for none, or NaN."""
    training = model.training
    model.eval()
    with_adapter = model(input_ids=ids).logits  # (batch, seq, vocabulary)
    with model.disable_adapter():
        without = model(input_ids=ids).logits
    model.train(training)
    change = float((with_adapter - without).abs().max())
    if math.isnan(change):
        raise ModelError("the adapter gives NaN: training diverged; lower train.lr or add train.warmup_ratio")
    if change == 0.0:
        raise ModelError("the adapter changes no logit: nothing was trained; raise train.lr or train.epochs")
    return change


def save(model: PeftModel, out: Path) -> None:
    """adapter_config.json and adapter_model.safetensors, as any peft reads them; the same bytes in every process."""
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(str(out), safe_serialization=True, save_embedding_layers=False)
    path = out / "adapter_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings["target_modules"] = sorted(settings["target_modules"])  # peft's is a set: another order in each process
    path.write_text(json.dumps(settings, indent=2, sort_keys=True), encoding="utf-8")


def _cuda(model: PreTrainedModel) -> list[torch.device]:
    return [model.device] if model.device.type == "cuda" else []
