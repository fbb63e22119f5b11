"""How llama.cpp names and lays out the layers of a transformers model.

Names come from the package `gguf`, kept by llama.cpp's authors. One layout differs: for Llama and Mistral llama.cpp
turns neighbouring pairs of a head's dimensions, transformers turns halves; rows of queries and keys are reordered.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from knowpack.errors import ModelError

if TYPE_CHECKING:
    from transformers import PretrainedConfig

Array = np.ndarray[tuple[int, ...], np.dtype[np.float32]]

ARCHITECTURES = {
    "llama": ("llama", True),
    "mistral": ("llama", True),
    "qwen2": ("qwen2", False),
    "qwen3": ("qwen3", False),
    "gemma": ("gemma", False),
    "gemma2": ("gemma2", False),
    "gemma3_text": ("gemma3", False),
}
"""model_type of transformers -> name in GGUF, and whether queries and keys are reordered."""
CONVERTER = "write --to merged and convert that folder by llama.cpp's convert_hf_to_gguf.py"


class Layout(NamedTuple):
    """One model's."""

    architecture: str
    n_layers: int
    heads: dict[str, int]
    """Of the layers whose rows are reordered: the part of the name in GGUF -> heads."""

    def name(self, module: str) -> str | None:
        """A module of transformers (`model.layers.0.mlp.up_proj`) -> `blk.0.ffn_up`; None = not known."""
        import gguf

        numbers = {name: number for number, name in gguf.MODEL_ARCH_NAMES.items()}
        names = gguf.get_tensor_name_map(numbers[self.architecture], self.n_layers)
        mapped = names.get_name(module)
        return None if mapped is None else str(mapped)

    def rows(self, name: str, array: Array) -> Array:
        """An array (out, ...) of a layer with its rows as llama.cpp has them."""
        heads = self.heads.get(name.rpartition(".")[2])
        if heads is None:
            return array
        halves = array.reshape(heads, 2, array.shape[0] // heads // 2, *array.shape[1:])
        return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(array.shape))


def layout_of(config: "PretrainedConfig") -> Layout:
    """Raises ModelError for an architecture whose layout is not known here."""
    entry = ARCHITECTURES.get(config.model_type)
    if entry is None:
        raise ModelError(f"GGUF of {config.model_type} is not written here ({', '.join(ARCHITECTURES)}); {CONVERTER}")
    architecture, reordered = entry
    n_heads = config.num_attention_heads
    heads = {"attn_q": n_heads, "attn_k": getattr(config, "num_key_value_heads", None) or n_heads}
    return Layout(architecture, config.num_hidden_layers, heads if reordered else {})
