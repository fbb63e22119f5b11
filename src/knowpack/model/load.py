"""Loading a model and its tokenizer, safely and with one clear line where it cannot be done.

ModelConfig -> Loaded. A hub name, a folder, or `lab`; safetensors only, remote code off unless asked for, float32 on
a CPU. An adapter named in the config is merged into the weights.
"""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError

from knowpack.config import ModelConfig
from knowpack.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class Loaded:
    """A causal language model, ready to be asked."""

    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"
    name: str
    device: torch.device
    weights_hash: str
    """16 hex digits over the content of all weights; an adapter's share included."""

    @property
    def n_vocabulary(self) -> int:
        """Tokens that the model knows: rows of its embeddings."""
        weight: torch.Tensor = self.model.get_input_embeddings().weight  # type: ignore[assignment]
        return weight.shape[0]

    @property
    def stop_ids(self) -> frozenset[int]:
        """The tokens that end an answer: the generation config's, else the tokenizer's end of sequence."""
        ids = getattr(self.model.generation_config, "eos_token_id", None)
        if ids is None:
            ids = self.tokenizer.eos_token_id
        return frozenset() if ids is None else frozenset([ids] if isinstance(ids, int) else ids)


def load(config: ModelConfig) -> Loaded:
    """Model and tokenizer by hub name, folder or `lab`. Raises ModelError in one line."""
    device = _device(config.device)
    source = _source(config.name)
    tokenizer = _tokenizer(source, config)
    model = _model(source, config, device)
    loaded = Loaded(model, tokenizer, config.name, device, weights_hash(model))
    if len(tokenizer) > loaded.n_vocabulary:
        raise ModelError(
            f"{config.name}: the tokenizer has {len(tokenizer)} tokens, the model {loaded.n_vocabulary}; "
            "they do not belong together"
        )
    if config.adapter is None:
        return loaded
    from knowpack.model.merge import merge_for_good

    return merge_for_good(loaded, config.adapter)


def weights_hash(model: torch.nn.Module) -> str:
    """16 hex digits of blake2b over name, shape, type and bytes of every weight, in name order."""
    tensors = {
        name.replace(".base_layer.", "."): tensor  # the same names with an adapter of peft on the model
        for name, tensor in model.named_parameters()
        if ".lora_" not in name
    }
    names = sorted(tensors)
    with ThreadPoolExecutor(4) as threads:  # hashing leaves Python's lock
        digests = list(threads.map(lambda name: tensor_hash(tensors[name]), names))
    whole = hashlib.blake2b(digest_size=8)
    for name, digest in zip(names, digests, strict=True):
        whole.update(name.encode() + b"\0" + digest)
    return whole.hexdigest()


def tensor_hash(tensor: torch.Tensor) -> bytes:
    """blake2b over a tensor's shape, type and bytes."""
    plain = tensor.detach().to("cpu").contiguous()
    digest = hashlib.blake2b(f"{plain.dtype}{list(plain.shape)}".encode())
    digest.update(plain.view(-1).view(torch.uint8).numpy().data if plain.numel() else b"")
    return digest.digest()


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"device {name!r} cannot be used: {one_line(error)}; try auto or cpu") from None
    return device


def _source(name: str) -> str:
    """What transformers loads: a folder that holds a model, or a hub name."""
    if name == "lab":
        from knowpack.lab import files

        return str(files.model_dir())
    folder = Path(name)
    if not folder.exists():
        if name.count("/") > 1 or name.startswith((".", "/", "~")):
            raise ModelError(f"no folder {name}; expected a model folder, a hub name (owner/model) or lab")
        return name
    if not folder.is_dir():
        raise ModelError(f"{name} is a file; expected the folder of a model, with config.json")
    if (folder / "adapter_config.json").exists() and not (folder / "config.json").exists():
        raise ModelError(f"{name} is an adapter; name its base with --model and the adapter with --adapter")
    if not (folder / "config.json").exists():
        raise ModelError(f"{name} has no config.json; expected the folder of a model in transformers' layout")
    try:
        json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{name}/config.json cannot be read: {one_line(error)}") from None
    if not any(folder.glob("*.safetensors")):
        found = "only pickled weights (.bin)" if any(folder.glob("*.bin")) else "no weights"
        raise ModelError(f"{name} has {found}; expected model.safetensors")
    tokenizers = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json", "spiece.model")
    if not any((folder / file).exists() for file in tokenizers):
        raise ModelError(f"{name} has no tokenizer; expected tokenizer.json beside the weights")
    return name


def _tokenizer(source: str, config: ModelConfig) -> "PreTrainedTokenizerBase":
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            source, revision=config.revision, trust_remote_code=config.trust_remote_code
        )
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        raise ModelError(f"no tokenizer for {config.name}: {one_line(error)}") from None
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token or tokenizer.convert_ids_to_tokens(0)
    found: PreTrainedTokenizerBase = tokenizer
    return found


def _model(source: str, config: ModelConfig, device: torch.device) -> "PreTrainedModel":
    from transformers import AutoModelForCausalLM

    names = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    auto: torch.dtype | str = torch.float32 if device.type == "cpu" else "auto"
    try:
        model = AutoModelForCausalLM.from_pretrained(
            source,
            revision=config.revision,
            dtype=names.get(config.dtype, auto),
            trust_remote_code=config.trust_remote_code,
            use_safetensors=True,
        )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError, SafetensorError) as error:
        raise ModelError(f"cannot load {config.name}: {one_line(error)}") from None
    model.to(device)  # type: ignore[arg-type]
    model.train(False)
    if device.type == "cpu":
        _own(model)
        _reuse_memory()
    found: PreTrainedModel = model
    return found


def _own(model: torch.nn.Module) -> None:
    """Copy the weights into memory of our own: mapped from their file, they would change when it is written over."""
    with torch.no_grad():
        for weight in model.parameters():
            weight.data = weight.data.clone()


def _reuse_memory() -> None:
    """Let the C library keep what is freed, for the next forward, instead of giving it back page by page.

    glibc sets its thresholds by the largest block it has seen freed, up to 32 MiB (mallopt(3), M_MMAP_THRESHOLD): one
    such block, never written to, and up to 64 MiB of free memory stay with the process. Fetching the pages of every
    tensor anew took 8% of a probe of the lab. Other C libraries do as they do.
    """
    torch.empty((32 << 20) - (16 << 10), dtype=torch.uint8)


def one_line(error: BaseException) -> str:
    """An error of a library, as one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__
