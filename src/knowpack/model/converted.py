"""A GGUF file as a folder in transformers' layout, dequantized once: reading it again takes seconds, not a minute.

Gguf -> folder with float32 safetensors, config and tokenizer, in the user's cache, under the hash of the file. Written
whole or not at all; where the cache cannot be written the file itself is read each time.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from knowpack import store
from knowpack.errors import StoreError
from knowpack.model.hash_cache import cache_dir, hash_once

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def folder_for(file: Path) -> Path:
    """Where a GGUF file is kept dequantized: by its content, and by the version of what reads it."""
    import transformers

    content = hash_once([file], "sha256", lambda: store.hash_file(file))
    return cache_dir() / "gguf" / f"{content[:16]}-{transformers.__version__}"


def converted(
    file: Path, tokenizer: "Callable[[], PreTrainedTokenizerBase]", model: "Callable[[], PreTrainedModel]"
) -> Path | None:
    """The folder, made where it is not there yet; None where it cannot be written. The callables read the file."""
    folder = folder_for(file)
    if folder.is_dir():
        return folder
    try:
        with store.atomic(folder) as beside:
            tokenizer().save_pretrained(str(beside))
            model().save_pretrained(str(beside))
    except StoreError:
        return None
    return folder
