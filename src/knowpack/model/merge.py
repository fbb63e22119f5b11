"""An adapter merged into the weights, and the base bit for bit as it was afterwards.

Loaded base + adapter folder or hub name -> Loaded whose weights hold the adapter. The arithmetic is peft's own
(rsLoRA, DoRA, PiSSA, biases, saved modules, experts' parameters). Peft may write into any weight while it loads, so
what it may touch is set aside before (aside.py), and the merged weights are compared with plain peft (live.py).

Weights of 8 or 11 bits have no room for a small change: w + d is w again where |d| < |w| / 512 (bfloat16). So a plain
LoRA on such a base is asked beside the weights, W x + s B (A x), as whoever loads it with peft has it (`put_on`).
"""

import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from peft import PeftModel, get_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file
from torch import Tensor, nn

from knowpack import store
from knowpack.errors import ModelError, one_line
from knowpack.model.adapter import AdapterFiles, check_fits, name_in_model, read_adapter
from knowpack.model.aside import SetAside
from knowpack.model.live import check_loads, check_merge, largest_change, logits_on, rows_of_ids
from knowpack.model.loaded import Loaded, tensor_hash, weights_hash
from knowpack.model.locations import WEIGHTS
from knowpack.model.memory import ran_out


@contextmanager
def merged(loaded: Loaded, adapter: str | Path) -> Iterator[Loaded]:
    """Within, the weights hold the adapter; after, every weight and module of the base is as it was.

    The base is changed in place: do not use it, or a Decoder of it, inside the block.
    """
    with _changing(loaded, adapter) as (base, files):
        yield _tuned(base, files)


@contextmanager
def put_on(loaded: Loaded, adapter: str | Path) -> Iterator[Loaded]:
    """The same for whoever asks: of half precision a plain LoRA stays beside the weights."""
    with _changing(loaded, adapter) as (base, files):
        beside = loaded.model.dtype in (torch.bfloat16, torch.float16) and _is_plain(files)
        yield _unmerged(base, files) if beside else _tuned(base, files)


@contextmanager
def by_plain_peft(loaded: Loaded, adapter: str | Path) -> Iterator[PeftModel]:
    """The same as whoever loads it with peft has it: nothing is merged."""
    with _changing(loaded, adapter) as (base, files):
        yield _wrap(base, files)


@contextmanager
def _changing(loaded: Loaded, adapter: str | Path) -> Iterator[tuple[Loaded, AdapterFiles]]:
    files = read_adapter(adapter)
    doubtful = check_fits(loaded, files)
    aside = SetAside(loaded.model, files)
    try:
        yield replace(loaded, doubts=doubtful), files
    finally:
        aside.put_back()


def merge_for_good(loaded: Loaded, adapter: str | Path) -> Loaded:
    """The same without a way back: for a model that is only ever used with its adapter."""
    files = read_adapter(adapter)
    return _tuned(replace(loaded, doubts=check_fits(loaded, files)), files)


class _Compared(NamedTuple):
    """A few rows of ids, with the logits of the base and of plain peft."""

    ids: Tensor
    base: Tensor
    peft: Tensor
    change: float  # the largest of a logit


def _compared(loaded: Loaded, files: AdapterFiles) -> tuple[PeftModel, _Compared]:
    """Put the adapter on, and say how far the logits moved."""
    ids = rows_of_ids(loaded.n_vocabulary, files.trained_tokens, loaded.device)
    base = logits_on(loaded.model, ids)
    another = _by_another_load(loaded, files, ids)
    wrapped = _wrap(loaded, files)
    peft = _logits_of(wrapped, files, ids)
    if another is not None:
        check_loads(peft, another, base, str(files.folder))
    change = largest_change(base, peft, str(files.folder))
    if change == 0:
        warnings.warn(_no_change(files), stacklevel=5)
    return wrapped, _Compared(ids, base, peft, change)


def _by_another_load(loaded: Loaded, files: AdapterFiles, ids: Tensor) -> Tensor | None:
    """Logits of a load with another seed, where peft draws one: PiSSA by a randomised SVD rewrites the base by chance.
    None for all others."""
    if not str(files.settings.get("init_lora_weights")).startswith("pissa_niter_"):
        return None
    aside = SetAside(loaded.model, files)
    try:
        return _logits_of(_wrap(loaded, files, seed=1), files, ids)
    finally:
        aside.put_back()


def _logits_of(wrapped: PeftModel, files: AdapterFiles, ids: Tensor) -> Tensor:
    try:
        return logits_on(wrapped, ids)
    except Exception as error:  # what an adapter's settings make of a forward can raise anything
        if ran_out(error):
            raise
        raise ModelError(f"the adapter {files.folder} cannot be run on this model: {one_line(error)}") from None


def _tuned(loaded: Loaded, files: AdapterFiles) -> Loaded:
    """Merge, and compare with peft."""
    model = loaded.model
    _untie(model, files)
    wrapped, seen = _compared(loaded, files)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tied weights: they are untied
            wrapped.merge_and_unload(safe_merge=True)
    except (RuntimeError, ValueError, NotImplementedError) as error:
        raise ModelError(f"the adapter {files.folder} cannot be merged: {one_line(error)}") from None
    model.train(False)
    half = model.dtype != torch.float32
    check_merge(seen.peft, logits_on(model, seen.ids), seen.base, str(files.folder), half=half)
    return _result(loaded, files, weights_hash(model), seen.change)


def _unmerged(loaded: Loaded, files: AdapterFiles) -> Loaded:
    """Plain peft's layers in the model; the base's weights are not touched."""
    _, seen = _compared(loaded, files)
    loaded.model.train(False)
    added = {name: tensor_hash(weight).hex() for name, weight in loaded.model.named_parameters() if ".lora_" in name}
    scales = {name: layer.scaling for name, layer in loaded.model.named_modules() if isinstance(layer, LoraLayer)}
    return _result(loaded, files, store.hash_of([loaded.weights_hash, added, scales]), seen.change)


def _result(loaded: Loaded, files: AdapterFiles, content: str, change: float) -> Loaded:
    name = f"{loaded.name} + {files.folder.name}"
    doubts = loaded.doubts if change else (*loaded.doubts, _no_change(files))
    return replace(loaded, name=name, weights_hash=content, largest_logit_change=change, doubts=doubts)


def _no_change(files: AdapterFiles) -> str:
    return f"the adapter {files.folder} changes no logit: it is measured, and it is the base"


def _is_plain(files: AdapterFiles) -> bool:
    """Linear layers with A and B and nothing else: no DoRA, biases, tokens, saved modules, experts' parameters."""
    return not (files.beyond_plain or files.by_expert) and all(
        key.endswith((".lora_A.weight", ".lora_B.weight")) for key in files.shapes
    )


def _wrap(loaded: Loaded, files: AdapterFiles, seed: int = 0) -> PeftModel:
    """Plain peft's model. Raises ModelError where tensors are missing, or some would be ignored."""
    on_gpu = [loaded.device] if loaded.device.type == "cuda" else []
    with warnings.catch_warnings(), torch.random.fork_rng(devices=on_gpu):
        warnings.simplefilter("ignore")  # what peft warns of is checked (doubts.py, below), or refused by comparison
        torch.manual_seed(seed)
        try:
            wrapped = PeftModel.from_pretrained(loaded.model, str(files.folder), torch_device=str(loaded.device))
            expected = set(get_peft_model_state_dict(wrapped, save_embedding_layers=False))
            stored = _as_read(wrapped, files)
        except Exception as error:  # an adapter's settings make peft raise anything
            if ran_out(error):
                raise
            raise ModelError(f"the adapter {files.folder} cannot be put on this model: {one_line(error)}") from None
    missing = sorted(expected - stored)
    if missing:
        raise ModelError(
            f"the adapter {files.folder} lacks {len(missing)} of its {len(expected)} tensors, for example {missing[0]}"
        )
    embeddings = {name for name, _ in _embeddings(loaded.model)}
    for key in sorted(stored - expected):
        if name_in_model(key).rpartition(".")[0] not in embeddings:
            raise ModelError(
                f"the adapter {files.folder} has a tensor that peft does not read: {key}; it would be ignored"
            )
    return wrapped


def _as_read(wrapped: PeftModel, files: AdapterFiles) -> set[str]:
    """The file's tensors by the names that peft gives them on this model: those of single experts are fused."""
    if not files.by_expert:
        return set(files.shapes)
    from peft.utils.transformers_weight_conversion import convert_peft_adapter_state_dict_for_transformers as fused

    return set(fused(wrapped, wrapped.active_peft_config, load_file(files.folder / WEIGHTS)))


def _embeddings(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Input and output embeddings by name."""
    ends = [model.get_input_embeddings(), model.get_output_embeddings()]  # type: ignore[operator]
    return [(name, module) for name, module in model.named_modules() if any(module is end for end in ends)]


def _untie(model: nn.Module, files: AdapterFiles) -> None:
    """Give a tied lm_head a weight of its own, where only one of the two gets a LoRA or is saved whole; and
    a layer that shares its weight with others (Zamba's blocks), where it gets a LoRA.

    Plain peft adds its part to one of them and reads the shared weight in all; merged, the part would be in all.
    """
    pair = _embeddings(model)
    shared = len(pair) == 2 and pair[0][1].weight is pair[1][1].weight
    stored = [name_in_model(key) for key in files.shapes]
    touched = [name for name, _ in pair if any(key.startswith((f"{name}.lora_", f"{name}.weight")) for key in stored)]
    if shared and touched and not files.settings.get("ensure_weight_tying"):
        _own_weight(pair[1][1])
    places = Counter(id(module.weight) for module in model.modules() if isinstance(module, nn.Linear))
    for name, module in model.named_modules():
        several = isinstance(module, nn.Linear) and places[id(module.weight)] > 1
        if several and any(key.startswith(f"{name}.lora_") for key in stored):
            _own_weight(module)


def _own_weight(module: nn.Module) -> None:
    """The same numbers until one of those that share them is merged."""
    module.weight = nn.Parameter(module.get_parameter("weight").data, requires_grad=False)
