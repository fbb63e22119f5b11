"""A LoRA adapter on a base that stays in memory: put on, taken off, saved, read back.

base model + TrainConfig + seed -> PeftModel, and the base bit for bit as it was when the block ends.
The seed is set before the adapter is built (the authors' code sets it after: arXiv 2502.14502, code beside it).
"""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model, set_peft_model_state_dict
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from knowpack.config import TrainConfig
from knowpack.errors import ModelError, one_line
from knowpack.model import public_name
from knowpack.model.adapter import AdapterFiles, read_adapter, refuse_beyond
from knowpack.model.aside import SetAside
from knowpack.model.locations import WEIGHTS
from knowpack.seeds import seed_of
from knowpack.train.target_modules import Targets, layers, n_parameters, targets

DIVERGED = "training diverged; lower train.lr or add train.warmup_ratio"


@contextmanager
def adapted(
    model: PreTrainedModel, config: TrainConfig, seed: int, start: Path | None = None, revision: str | None = None
) -> Iterator[PeftModel]:
    """The model with an adapter on it; taken off at the end, the base's weights and modules as before.

    start: a folder whose adapter it begins as; None = a fresh one, which changes nothing. revision: the base's, for the
    adapter's settings. Raises ModelError where that adapter has other layers, another rank or another scale than this
    config gives.
    """
    chosen = layers(model, config.from_layer)
    names = targets(model, config.target_modules, chosen)
    if names.parameters and config.dropout:
        raise ModelError(
            f"train.dropout={config.dropout} cannot be used with experts that are one parameter "
            f"({', '.join(names.parameters[:2])}): peft has no dropout for them; set train.dropout=0"
        )
    settings = LoraConfig(
        task_type="CAUSAL_LM",
        revision=revision,
        r=config.rank,
        lora_alpha=config.alpha,  # type: ignore[arg-type]  # peft only divides it by the rank
        use_rslora=config.rslora,
        lora_dropout=config.dropout,
        target_modules=names.modules,
        target_parameters=names.parameters or None,
        layers_to_transform=chosen if names.modules else None,
        bias="none",
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in model.modules()),  # GPT-2 stores W transposed
    )
    first = None if start is None else read_adapter(start)
    n = n_parameters(model, config)
    with _restored(model), torch.random.fork_rng(devices=_cuda(model)):
        torch.manual_seed(seed_of(seed if config.init_seed is None else config.init_seed, "init"))
        wrapped = get_peft_model(model, settings)
        torch.manual_seed(seed_of(seed, "dropout"))
        _check_whole(wrapped, n, names)
        if names.parameters:
            _check_runs(wrapped, names)
        if first is not None:
            _begin_as(wrapped, settings, first)
        yield wrapped


def _check_whole(model: PeftModel, n: int, names: Targets) -> None:
    """peft renames what it is given where it knows an architecture's older names (DeepSeek-V3's gate_proj becomes its
    experts'): an adapter that does not reach the layers that were asked for is no adapter to train."""
    n_weights = sum(weight.numel() for weight in weights(model))
    if n_weights != n:
        advice = f"; train.target_modules=[{', '.join(names.parameters)}] adapts the experts alone" * bool(
            names.parameters
        )
        raise ModelError(
            f"peft puts {n_weights:,} weights on this architecture where the layers asked for take {n:,}: it reads "
            f"{', '.join(names.modules[:3])} as other layers{advice}"
        )


@torch.no_grad()
def _check_runs(model: PeftModel, names: Targets) -> None:
    """peft hands experts' parameters on by names that not every architecture reads them by (DBRX)."""
    training = model.training
    model.eval()
    try:
        model(input_ids=torch.zeros(1, 2, dtype=torch.long, device=model.device))
    except (AttributeError, RuntimeError, TypeError) as error:
        raise ModelError(
            f"peft cannot run this architecture with an adapter on {', '.join(names.parameters[:3])} "
            f"({one_line(error)}); name other layers in train.target_modules"
        ) from None
    finally:
        model.train(training)


def _begin_as(model: PeftModel, settings: LoraConfig, first: AdapterFiles) -> None:
    """Put the tensors of an adapter on disk where the fresh ones are."""
    refuse_beyond(first)
    for name, option, default in (("r", "rank", None), ("lora_alpha", "alpha", None), ("use_rslora", "rslora", False)):
        mine, its = getattr(settings, name), first.settings.get(name, default)
        if its != mine:
            raise ModelError(
                f"the adapter {first.folder} has {name}={its}, this recipe {mine}; set train.{option}={its}, "
                "or pack all facts anew"
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
            f"the first {differs[0]}; give its layers (train.target_modules, train.from_layer), or pack all facts anew"
        )
    set_peft_model_state_dict(model, load_file(first.folder / WEIGHTS))


@contextmanager
def reloaded(model: PreTrainedModel, adapter_dir: Path) -> Iterator[PeftModel]:
    """The model with an adapter read from disk on it, by plain peft; taken off at the end."""
    with _restored(model):
        yield PeftModel.from_pretrained(model, str(adapter_dir), torch_device=str(model.device))


@contextmanager
def _restored(model: PreTrainedModel) -> Iterator[None]:
    """The base as it was at the end, wherever peft ended: half of its layers may be on when it raises, and nobody would
    see them after, for the hash of a base leaves LoRA weights out."""
    aside = SetAside(model)
    try:
        yield
    finally:
        aside.put_back()
        for weight in model.parameters():
            weight.grad = None


def weights(model: PeftModel) -> list[nn.Parameter]:
    """The adapter's trainable weights, in the order of the modules."""
    return [weight for weight in model.parameters() if weight.requires_grad]


def check_loss(loss: float) -> None:
    """Raise ModelError where the loss is NaN or infinite: every weight is NaN after its step."""
    if not math.isfinite(loss):
        raise ModelError(f"the loss is {loss:g}: {DIVERGED}")


@torch.no_grad()
def effect(model: PeftModel, ids: Tensor) -> float:
    """Largest change of any logit that the adapter makes on these ids. Raises ModelError for none, NaN, infinite."""
    training = model.training
    model.eval()
    with_adapter = model(input_ids=ids).logits  # (batch, seq, vocabulary)
    with model.disable_adapter():
        without = model(input_ids=ids).logits
    model.train(training)
    change = float((with_adapter - without).abs().max())
    if not math.isfinite(change):
        raise ModelError(f"the adapter gives NaN or infinite logits: {DIVERGED}")
    if change == 0.0:
        raise ModelError("the adapter changes no logit: nothing was trained; raise train.lr or train.epochs")
    return change


def save(model: PeftModel, out: Path) -> None:
    """adapter_config.json and adapter_model.safetensors, as any peft reads them; the same bytes in every process."""
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(str(out), safe_serialization=True, save_embedding_layers=False)
    path = out / "adapter_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings["base_model_name_or_path"] = public_name.public(str(model.name_or_path))  # no path of this machine
    settings["target_modules"] = sorted(settings["target_modules"])  # peft's is a set: another order in each process
    path.write_text(json.dumps(settings, indent=2, sort_keys=True), encoding="utf-8")


def _cuda(model: PreTrainedModel) -> list[torch.device]:
    return [model.device] if model.device.type == "cuda" else []
