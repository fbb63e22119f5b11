"""Where a model and an adapter lie, by name: a folder on this machine, or a hub's. torch is not imported for it.

name -> what transformers loads; name -> the folder of an adapter. Every doubt is one line.
"""

import json
import re
from pathlib import Path
from typing import NamedTuple

from knowpack.config import SERVED, ModelConfig, ServedConfig
from knowpack.errors import ModelError, one_line
from knowpack.model import gguf_files, hub_names

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
MADE_ON = "knowpack.json"
"""Beside an adapter of ours: which base it was trained on."""
OF_THE_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "added_tokens.json", "chat_template.jinja")
"""Beside an adapter of others: what its prompts were written by."""
BASE_AND_ADAPTER = "transformers puts it on by itself; give the base alone with --model, and the adapter with --adapter"
MLX_WEIGHTS = "adapters.safetensors"
HUB_PATH = re.compile(r"(hf://)?(\w[\w.-]*/[\w.-]+)(?:@(refs/(?:pr|convert)/[\w.-]+|[\w.-]+))?(?:/(.+))?")


def source_of(name: str, revision: str | None = None) -> str:
    """What transformers loads: a folder that holds a model, or a hub name."""
    if name == "lab":
        from knowpack.lab import files

        return str(files.model_dir())
    if name.startswith(SERVED):
        raise ModelError(f"{name} is a server's; this needs the weights in memory: give a folder or a hub name")
    folder = Path(name)
    if not folder.exists():
        if name.count("/") > 1 or name.startswith((".", "/", "~")):
            raise ModelError(
                f"no folder {name}; expected a model folder, a GGUF file, a hub name (owner/model), smollm2 or lab"
            )
        return hub_names.checked(name, ("lab", *gguf_files.PACKAGED), revision)
    if not folder.is_dir():
        raise ModelError(f"{name} is a file; expected the folder of a model, with config.json, or a GGUF file")
    if (folder / CONFIG).exists():
        if not (folder / "config.json").exists():
            raise ModelError(f"{name} is an adapter; name its base with --model and the adapter with --adapter")
        raise ModelError(f"{name} holds an adapter ({CONFIG}) beside a model: {BASE_AND_ADAPTER}")
    if not (folder / "config.json").exists():
        raise ModelError(f"{name} has no config.json; expected the folder of a model in transformers' layout")
    try:
        json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{name}/config.json cannot be read: {one_line(error)}") from None
    if not any(folder.glob("*.safetensors")):
        content = "only pickled weights (.bin)" if any(folder.glob("*.bin")) else "no weights"
        raise ModelError(f"{name} has {content}; expected model.safetensors")
    tokenizers = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json", "spiece.model")
    if not any((folder / file).exists() for file in tokenizers):
        raise ModelError(f"{name} has no tokenizer; expected tokenizer.json beside the weights")
    return name


def whole_model(name: str, base: ModelConfig) -> ModelConfig:
    """A fine-tuned model by its name, on the hub also owner/name@revision. Where and how it is computed or asked is the
    base's; revision and files are its own: of the base's only a folder with a tokenizer and no weights is shared."""
    served, revision = ServedConfig(), None
    if name.startswith(SERVED):
        files = base.served.weights
        alone = files is not None and Path(files).is_dir() and not any(Path(files).glob("*.safetensors"))
        served = base.served.model_copy(update={"weights": files if alone else None})
    elif not Path(name).exists() and not name.startswith((".", "/", "~")):
        repository, at, mark = name.rpartition("@")
        name, revision = (repository, mark) if at and repository.count("/") <= 1 else (name, None)
    return base.model_copy(update={"name": name, "revision": revision, "adapter": None, "served": served})


class OnTheHub(NamedTuple):
    """Where an adapter lies there."""

    repository: str
    revision: str | None
    folder: str
    """Below the repository; empty: at its top."""


def on_the_hub(adapter: str) -> OnTheHub | None:
    """owner/name, owner/name@revision, owner/name@revision/folder, or with hf:// before it owner/name/folder, as
    huggingface_hub writes paths; None for what is a folder here, or can only be one."""
    named = HUB_PATH.fullmatch(adapter)
    if named is None or Path(adapter).exists():
        return None
    scheme, repository, revision, folder = named.groups(default="")
    if not scheme and not revision and (folder or Path(adapter).parent.is_dir()):
        return None  # out/pack/adapter or out/adapter, with a typo
    if ".." in folder.split("/"):
        raise ModelError(f"{adapter} leaves its repository; expected hf://owner/name@revision/folder")
    return OnTheHub(repository, revision or None, folder.strip("/"))


def adapter_folder(name: str) -> Path:
    """A folder with an adapter's config and safetensors, fetched from the hub where it is no folder."""
    folder, there = Path(name), on_the_hub(name)
    if there is not None:
        from huggingface_hub import snapshot_download

        below = f"{there.folder}/" if there.folder else ""
        wanted = [below + file for file in (CONFIG, WEIGHTS, MADE_ON, *OF_THE_TOKENIZER)]
        try:
            fetched = snapshot_download(there.repository, revision=there.revision, allow_patterns=wanted)
        except (OSError, ValueError) as error:
            raise ModelError(f"no adapter folder {name}, and the hub gave none: {one_line(error)}") from None
        folder = Path(fetched) / there.folder
    if not folder.is_dir():
        hub = f" (one on the hub: hf://{name})" if HUB_PATH.fullmatch(name) and "://" not in name else ""
        raise ModelError(f"no adapter folder {name}; expected a folder with {CONFIG} and {WEIGHTS}{hub}")
    if not (folder / CONFIG).exists():
        inside = sorted(one.parent.name for one in folder.glob(f"*/{CONFIG}"))
        has = f"; its folders {', '.join(inside[:3])} have one each: name one of them" if inside else ""
        raise ModelError(f"{name} has no {CONFIG}; expected a PEFT adapter{has}")
    if not (folder / WEIGHTS).exists():
        if (folder / MLX_WEIGHTS).exists():
            raise ModelError(
                f"{name} is an adapter of MLX ({MLX_WEIGHTS}), not of PEFT; fused into its base (mlx_lm.fuse) it is a "
                "whole model, which diff takes as --tuned"
            )
        pickled = any(folder.glob("*.bin")) or any(folder.glob("*.pt"))
        content = "pickled weights, which can run code when read" if pickled else "no weights"
        raise ModelError(f"{name} has {content}; expected {WEIGHTS}")
    return folder
