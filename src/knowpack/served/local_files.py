"""What of a served model lies on this machine: its tokenizer, which a model asked by token ids needs, and its weights.

ModelConfig + the folder that the server names -> Local, or None where there is nothing.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from knowpack.config import ModelConfig
from knowpack.errors import ModelError, one_line
from knowpack.model.chat import closing_ids
from knowpack.model.load import load, tokenizer_of
from knowpack.model.loaded import Loaded, ending_ids

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Local:
    """Files of a served model."""

    config: ModelConfig
    """Of the model as it would be loaded here."""

    @cached_property
    def tokenizer(self) -> "PreTrainedTokenizerBase":
        """Raises ModelError in one line."""
        return tokenizer_of(_source(self.config.name), self.config)

    @cached_property
    def stop_ids(self) -> frozenset[int]:
        """As of a model in memory (Loaded.stop_ids)."""
        from transformers import GenerationConfig

        try:
            ids = GenerationConfig.from_pretrained(_source(self.config.name)).eos_token_id
        except (OSError, ValueError):
            ids = None
        return ending_ids(ids, self.tokenizer) | closing_ids(self.tokenizer)

    @cached_property
    def n_vocabulary(self) -> int:
        """Tokens that the model knows, by its config; the tokenizer's where there is none."""
        from transformers import AutoConfig

        try:
            config = AutoConfig.from_pretrained(
                _source(self.config.name), trust_remote_code=self.config.trust_remote_code
            )
        except (OSError, ValueError) as error:
            raise ModelError(f"{self.config.name} has no config.json that can be read: {one_line(error)}") from None
        return int(config.get_text_config().vocab_size)

    @cached_property
    def window(self) -> int | None:
        """Tokens that the model has places for, by its config; None where that names no limit."""
        from transformers import AutoConfig

        config = AutoConfig.from_pretrained(_source(self.config.name), trust_remote_code=self.config.trust_remote_code)
        longest = getattr(config.get_text_config(), "max_position_embeddings", None)
        return longest if isinstance(longest, int) and longest > 0 else None

    @property
    def has_weights(self) -> bool:
        """Whether the model itself can be loaded here."""
        folder = Path(_source(self.config.name))
        return not folder.is_dir() or any(folder.glob("*.safetensors"))

    @cached_property
    def loaded(self) -> Loaded:
        """The model in memory. Raises ModelError in one line."""
        return load(self.config)


def find(config: ModelConfig, root: str | None) -> Local | None:
    """The folder that the user names, else the one that the server was started with, where it is on this machine."""
    name = config.served.weights
    if name is None and root is not None and (Path(root) / "config.json").is_file():
        name = root
    if name is None:
        return None
    unserved = {"name": name, "adapter": None, "revision": None, "served": type(config.served)()}
    return Local(config.model_copy(update=unserved))


def _source(name: str) -> str:
    if name == "lab":
        from knowpack.lab import files

        return str(files.model_dir())
    return name
