"""A LoRA adapter as GGUF, for `llama-server --lora`.

    W x + (alpha / rank) B A x        A (rank, in), B (out, rank), as in peft; rank is read from B, alpha is one number

What an adapter has beside it (rsLoRA's scale alpha / sqrt(rank), an alpha or rank of a layer's own) is multiplied into
B, so that alpha / rank times the new B is peft's own scale times B. DoRA, biases, saved modules and embeddings have no
place in the format and are refused.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors.torch import load_file

from knowpack import store
from knowpack.errors import ModelError
from knowpack.export.layouts import Array, Layout
from knowpack.model.adapter import PREFIX, AdapterFiles
from knowpack.model.locations import WEIGHTS


class Half(NamedTuple):
    """The adapter of one layer, by its name in GGUF."""

    a: Array
    """(rank, in)"""
    b: Array
    """(out, rank), rows as llama.cpp has them, what is beside alpha / rank multiplied in."""


def layers(adapter: AdapterFiles, layout: Layout) -> dict[str, Half]:
    """Name in GGUF -> both halves. Raises ModelError for what the format cannot hold."""
    settings = adapter.settings
    if adapter.beyond_plain:
        beyond = ", ".join(adapter.beyond_plain)
        raise ModelError(f"a LoRA in GGUF holds no {beyond}, which {adapter.folder} uses; --to merged does")
    tensors = load_file(adapter.folder / WEIGHTS)
    alpha = float(str(settings.get("lora_alpha", 8)))
    halves = {}
    for key in sorted(tensors):
        module, part, _ = key.removeprefix(PREFIX).partition(".lora_A.weight")
        if not part:
            continue
        name = layout.name(module)
        if name is None or not name.startswith("blk."):
            raise ModelError(f"llama.cpp has no place for an adapter of {module}; --to merged does")
        a = tensors[key].float().numpy()
        b = tensors[key.replace(".lora_A.", ".lora_B.")].float().numpy()
        beside = scale(settings, module, a.shape[0]) / (alpha / a.shape[0])
        halves[name] = Half(a, layout.rows(name, b if beside == 1 else b * np.float32(beside)))
    if 2 * len(halves) != len(tensors):
        raise ModelError(f"{adapter.folder} has tensors beside lora_A and lora_B; --to merged holds them")
    return halves


def write(path: Path, adapter: AdapterFiles, layout: Layout) -> None:
    """Write it, float32."""
    import gguf

    halves = layers(adapter, layout)
    with store.atomic(path) as beside:
        writer = gguf.GGUFWriter(str(beside), layout.architecture)
        writer.add_type("adapter")
        writer.add_string("adapter.type", "lora")
        writer.add_float32("adapter.lora.alpha", float(str(adapter.settings.get("lora_alpha", 8))))
        for name, half in halves.items():
            writer.add_tensor(f"{name}.weight.lora_a", np.ascontiguousarray(half.a))
            writer.add_tensor(f"{name}.weight.lora_b", np.ascontiguousarray(half.b))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def scale(settings: Mapping[str, object], module: str, rank: int) -> float:
    """peft's scale of a layer: alpha / rank, by rsLoRA alpha / sqrt(rank); alpha_pattern may name the layer's own."""
    alpha = settings.get("lora_alpha", 8)
    patterns = settings.get("alpha_pattern")
    for pattern, own in patterns.items() if isinstance(patterns, dict) else ():
        if re.match(rf"(.*\.)?({pattern})$", module):
            alpha = own
            break
    return float(str(alpha)) / (rank**0.5 if settings.get("use_rslora") else rank)
