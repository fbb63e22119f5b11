"""Loading a model and its tokenizer, safely and with one clear line where it cannot be done.

ModelConfig -> Loaded. A hub name, a folder, a GGUF file (gguf_files.py), or `lab`; safetensors and GGUF only, remote
code off unless asked for, float32 on a CPU. An adapter named in the config is merged into the weights.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

import torch

from knowpack.config import ModelConfig
from knowpack.errors import ModelError, one_line
from knowpack.model import generation, gguf_files
from knowpack.model.converted import converted
from knowpack.model.gguf_files import Gguf
from knowpack.model.gguf_tokens import of_its_file
from knowpack.model.hash_cache import hash_once
from knowpack.model.loaded import Loaded, check_finite, weights_hash
from knowpack.model.locations import BASE_AND_ADAPTER, source_of
from knowpack.model.memory import keep_freed
from knowpack.model.merge import merge_for_good
from knowpack.model.precision import computed_in

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Source = str | Gguf
"""What transformers reads: a folder or a name on the hub; or a GGUF file."""


def load(config: ModelConfig) -> Loaded:
    """Model and tokenizer by hub name, folder or `lab`. Raises ModelError in one line."""
    device = _device(config.device)
    with _no_bars(), gguf_files.reading_once():
        gguf = gguf_files.find(config.name, config.revision)
        source = source_of(config.name, config.revision) if gguf is None else _dequantized(gguf, config)
        tokenizer = tokenizer_of(source, config)
        model = _model(source, config, device)
        if gguf is not None:
            model.config._name_or_path = model.name_or_path = config.name  # not the cache's folder
            embeddings: torch.Tensor = model.get_input_embeddings().weight  # type: ignore[assignment]
            if len(tokenizer) > len(embeddings):
                tokenizer = of_its_file(tokenizer, gguf.path)
        stored = None if gguf is None else gguf_files.quantization(gguf)
    hashed = _hash(model, source, config)
    loaded = Loaded(model, tokenizer, config.name, device, hashed, stored, revision=config.revision)
    if len(tokenizer) > loaded.n_vocabulary:
        raise ModelError(
            f"{config.name}: the tokenizer has {len(tokenizer)} tokens, the model {loaded.n_vocabulary}; "
            "they do not belong together"
        )
    if unused := generation.left_out(model):
        warnings.warn(generation.message_about(unused, config.name), stacklevel=2)
    if config.adapter is None:
        return loaded
    return merge_for_good(loaded, config.adapter)


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"device {name!r} cannot be used: {one_line(error)}; try auto or cpu") from None
    return device


def _dequantized(gguf: Gguf, config: ModelConfig) -> Source:
    """The cache's folder; the GGUF file itself where that cannot be written."""
    float32 = config.model_copy(update={"dtype": "float32"})  # 4-bit weights times their scale need all bits
    folder = converted(
        gguf.path,
        lambda: tokenizer_of(gguf, config),
        lambda: _read(gguf, float32, torch.device("cpu")),
    )
    return gguf if folder is None else str(folder)


def _hash(model: "PreTrainedModel", source: Source, config: ModelConfig) -> str:
    """The hash of the weights, after a look for NaN; of files that have not changed, as it was found before."""
    import transformers

    def look() -> str:
        check_finite(model, config.name)
        return weights_hash(model)

    if config.trust_remote_code:
        return look()
    if isinstance(source, Gguf):
        files = [source.path]
    else:  # of a name on the hub none
        files = [*Path(source).glob("*.safetensors"), *Path(source).glob("config.json")]
    return hash_once(files, ["weights", config.dtype, str(model.dtype), transformers.__version__], look)


def tokenizer_of(source: Source, config: ModelConfig) -> "PreTrainedTokenizerBase":
    """By transformers. Raises ModelError in one line."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            _place(source),
            revision=config.revision,
            trust_remote_code=config.trust_remote_code,
            **_gguf_file(source),
        )
    except Exception as error:  # a tokenizer's files make transformers raise anything
        raise ModelError(f"no tokenizer for {config.name}: {one_line(error)}") from None
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token or tokenizer.convert_ids_to_tokens(0)
    result: PreTrainedTokenizerBase = tokenizer
    return result


def _model(source: Source, config: ModelConfig, device: torch.device) -> "PreTrainedModel":
    model = _read(source, config, device)
    try:
        model.to(device, computed_in(config.dtype, device))  # type: ignore[arg-type]
    except torch.OutOfMemoryError:
        size = sum(weight.numel() * weight.element_size() for weight in model.parameters()) / 1e9
        raise ModelError(
            f"{config.name} has {size:.1f} GB of weights, more than is free on {device}; give a smaller model, another "
            "device (--device) or fewer bits (--dtype bfloat16)"
        ) from None
    model.train(False)
    if device.type == "cpu":
        _own(model)
        keep_freed()
    return model


def _read(source: Source, config: ModelConfig, device: torch.device) -> "PreTrainedModel":
    """By transformers. Raises ModelError in one line, also where tensors are missing: they would be random numbers."""
    from transformers import AutoModelForCausalLM

    model: PreTrainedModel
    report: dict[str, set[str]]
    names = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    auto: torch.dtype | str = torch.float32 if device.type == "cpu" else "auto"
    try:
        model, report = AutoModelForCausalLM.from_pretrained(  # type: ignore[misc]
            _place(source),
            revision=config.revision,
            dtype=names.get(config.dtype, auto),
            trust_remote_code=config.trust_remote_code,
            use_safetensors=True,
            output_loading_info=True,
            **_gguf_file(source),
        )
    except Exception as error:  # a config can make any class of transformers raise anything
        raise ModelError(f"cannot load {config.name}: {one_line(error)}") from None
    if getattr(model, "_hf_peft_config_loaded", False):
        raise ModelError(f"{config.name} is an adapter, or holds one: {BASE_AND_ADAPTER}")
    missing = sorted(report["missing_keys"])
    if missing:
        raise ModelError(
            f"{config.name} lacks {len(missing)} tensors that its config asks for, for example {missing[0]}: "
            "the file is not whole, or the config is another model's"
        )
    unused = sorted(report["unexpected_keys"])
    if unused:
        warnings.warn(
            f"{config.name} has {len(unused)} tensors that its config does not use, for example {unused[0]}",
            stacklevel=4,
        )
    if isinstance(source, Gguf):
        _as_plain(model)
    return model


def _place(source: Source) -> str:
    return source.source if isinstance(source, Gguf) else source


def _gguf_file(source: Source) -> dict[str, str]:
    """The argument, where there is one: None is not the same as absent to every class of transformers."""
    return {"gguf_file": source.file} if isinstance(source, Gguf) else {}


@contextmanager
def _no_bars() -> Iterator[None]:
    """Without transformers' own progress bars, which break ours; the one for GGUF is a plain tqdm of its module."""
    from tqdm import tqdm
    from transformers import modeling_gguf_pytorch_utils as of_gguf
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    with patch.object(of_gguf, "tqdm", partial(tqdm, disable=True)):
        try:
            yield
        finally:
            if shown:
                logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _as_plain(model: "PreTrainedModel") -> None:
    """Forget that the weights came from GGUF: they are dequantized, and may be saved, trained and merged."""
    model.hf_quantizer = None  # type: ignore[assignment]
    model.is_quantized = False  # type: ignore[assignment]
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config


def _own(model: torch.nn.Module) -> None:
    """Copy the weights into memory of our own: mapped from their file, they would change when it is written over."""
    with torch.no_grad():
        for weight in model.parameters():
            weight.data = weight.data.clone()
