"""A model in memory, as every other file holds it, and what its weights are: their hash.

transformers model + tokenizer -> Loaded. Nothing is read from disk here (load.py), nothing changed (merge.py).
"""

import hashlib
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch

from knowpack.errors import ModelError
from knowpack.model.chat import closing_ids

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
    quantization: str | None = None
    """How the weights were stored in a GGUF file before they were dequantized: Q4_1, Q4_K; None: as they are."""
    largest_logit_change: float | None = None
    """What the adapter in the weights moves, on a few rows of ids (live.py); None: there is no adapter in them."""
    doubts: tuple[str, ...] = ()
    """What is doubtful about that adapter on this base, a line each."""
    revision: str | None = None
    """Of the hub's repository, as it was asked for; None: the newest, or no hub's."""

    @property
    def n_vocabulary(self) -> int:
        """Tokens that the model knows: rows of its embeddings."""
        weight: torch.Tensor = self.model.get_input_embeddings().weight  # type: ignore[assignment]
        return weight.shape[0]

    @property
    def stop_ids(self) -> frozenset[int]:
        """The tokens that end an answer: the generation config's, the tokenizer's end of sequence, and what closes the
        assistant's turn in the chat template (Qwen2.5's base models end a turn by a token that is no end of theirs)."""
        ids = getattr(self.model.generation_config, "eos_token_id", None)
        return ending_ids(ids, self.tokenizer) | self._closing_ids

    @property
    def window(self) -> int | None:
        """Tokens that the model has places for; None where its config names no limit."""
        config = self.model.config.get_text_config()
        longest = getattr(config, "max_position_embeddings", None)
        if not isinstance(longest, int) or longest < 1:
            return None
        rope = getattr(config, "rope_parameters", None) or {}
        return int(longest * rope.get("factor", 1)) if rope.get("rope_type") == "dynamic" else longest

    def check_fits(self, n_tokens: int, n_new: int = 0) -> None:
        """Raise ModelError where tokens, with those that are to follow them, are more than the window."""
        window = self.window
        if window is not None and n_tokens + n_new > window:
            more = f" and {n_new:,} are to follow" if n_new else ""
            raise ModelError(
                f"the longest prompt has {n_tokens:,} tokens{more}, and {self.name} has a window of {window:,}; ask "
                "with fewer shots (probe.n_shots), fewer new tokens (probe.max_new_tokens) or shorter questions"
            )

    @cached_property
    def _closing_ids(self) -> frozenset[int]:
        return closing_ids(self.tokenizer)


def ending_ids(given: int | Sequence[int] | None, tokenizer: "PreTrainedTokenizerBase") -> frozenset[int]:
    """The ends of sequence of a generation config and of the tokenizer."""
    ids = [] if given is None else [given] if isinstance(given, int) else list(given)
    own = tokenizer.eos_token_id
    return frozenset([*ids, *([] if own is None else [own])])


def weights_hash(model: torch.nn.Module) -> str:
    """16 hex digits of blake2b over name, shape, type and bytes of every weight, in name order."""
    tensors = {
        re.sub(r"(\.base_layer)+\.", ".", name): tensor  # the same names with an adapter of peft on the model
        for name, tensor in model.named_parameters()
        if ".lora_" not in name
    }
    names = sorted(tensors)
    with ThreadPoolExecutor(4) as threads:  # hashing leaves Python's lock
        digests = list(threads.map(lambda name: tensor_hash(tensors[name]), names))
    digest_of_all = hashlib.blake2b(digest_size=8)
    for name, digest in zip(names, digests, strict=True):
        digest_of_all.update(name.encode() + b"\0" + digest)
    return digest_of_all.hexdigest()


def check_finite(model: torch.nn.Module, name: str) -> None:
    """Raise ModelError where a weight is NaN or infinite: everything such a model says is noise."""
    for key, weight in model.named_parameters():
        if weight.is_floating_point() and not bool(torch.isfinite(weight).all()):
            raise ModelError(f"{name} has NaN or infinite numbers in {key}; the file is damaged, or training diverged")


def tensor_hash(tensor: torch.Tensor) -> bytes:
    """blake2b over a tensor's shape, type and bytes."""
    plain = tensor.detach().to("cpu").contiguous()
    digest = hashlib.blake2b(f"{plain.dtype}{list(plain.shape)}".encode())
    digest.update(plain.view(-1).view(torch.uint8).numpy().data if plain.numel() else b"")
    return digest.digest()
