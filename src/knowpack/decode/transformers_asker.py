"""The TokenAsker of transformers: a model in memory, asked through the shared-prefix decoder.

Loaded -> TransformersAsker. An adapter is put into the weights (or beside them) while it is asked for, and the base
comes back bit for bit. Whoever needs the weights themselves (training, benchmarks) takes `weights_of`.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from knowpack import store
from knowpack.decode.decoder import Decoder, ScoredContinuation
from knowpack.errors import ModelError
from knowpack.model import generation
from knowpack.model.loaded import Loaded, weights_hash
from knowpack.model.merge import put_on
from knowpack.probe.askers import Asker, Finished, Generated, Identity, Prompted, Until

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

NO_SETTINGS = {"_name_or_path", "transformers_version", "dtype", "torch_dtype", "architectures"}
BATCH_ROWS = 128


@runtime_checkable
class HasWeights(Protocol):
    """An asker whose weights are, or can be loaded, here."""

    def weights(self) -> Loaded:
        """The model in memory. Raises ModelError in one line where it cannot be loaded after all."""
        ...


class TransformersAsker:
    """A TokenAsker over weights in memory."""

    def __init__(self, loaded: Loaded, batch_size: int = BATCH_ROWS) -> None:
        """batch_size: rows computed at once; halved where memory runs out."""
        self.loaded = loaded
        self._batch_size = batch_size
        self._decoder = Decoder(loaded, batch_size=batch_size)

    @property
    def name(self) -> str:
        """As the config names it, and the adapter."""
        return self.loaded.name

    @cached_property
    def identity(self) -> Identity:
        """Hashes of the weights, of the settings that are no weights, of the tokenizer with its template."""
        settings = json.loads(self.loaded.model.config.to_json_string(use_diff=False))
        tokenizer = self.loaded.tokenizer
        return Identity(
            self.loaded.weights_hash,
            store.hash_of({name: value for name, value in settings.items() if name not in NO_SETTINGS}),
            store.hash_of([_written(tokenizer), str(tokenizer.chat_template)]),
        )

    @property
    def tokenizer(self) -> "PreTrainedTokenizerBase":
        """The model's own."""
        return self.loaded.tokenizer

    @property
    def n_vocabulary(self) -> int:
        """Rows of the embeddings."""
        return self.loaded.n_vocabulary

    @property
    def device(self) -> str:
        """A device of torch."""
        return str(self.loaded.device)

    @property
    def answers_a_minute(self) -> int:
        """By the size of the model: SmolLM2's 135M parameters gave 9 answers a second on two cores."""
        speed = 7.5e10 if self.loaded.device.type == "cpu" else 7.5e12
        return max(1, int(speed / self.loaded.model.num_parameters()))

    def generate(
        self,
        prefix: Sequence[int],
        tails: Sequence[Sequence[int]],
        *,
        max_new_tokens: int,
        drafts: Sequence[Sequence[int] | None] | None = None,
        temperature: float = 0.0,
        seed: int | None = None,
        until: Until | None = None,
        finished: Finished | None = None,
    ) -> list[list[int]]:
        """See Decoder.generate."""
        return self._decoder.generate(
            prefix,
            tails,
            max_new_tokens=max_new_tokens,
            drafts=drafts,
            temperature=temperature,
            seed=seed,
            until=until,
            finished=finished,
        )

    def generate_each(
        self,
        prompts: Sequence[Prompted],
        *,
        max_new_tokens: int,
        until: Until | None = None,
        finished: Finished | None = None,
    ) -> list[list[Generated]]:
        """See Decoder.generate_each."""
        return self._decoder.generate_each(prompts, max_new_tokens=max_new_tokens, until=until, finished=finished)

    def logprobs(
        self, prefix: Sequence[int], tails: Sequence[Sequence[int]], continuations: Sequence[Sequence[int]]
    ) -> list[ScoredContinuation]:
        """See Decoder.logprobs."""
        return self._decoder.logprobs(prefix, tails, continuations)

    @contextmanager
    def with_adapter(self, adapter: str | Path) -> Iterator["TransformersAsker"]:
        """The adapter in the weights (of half precision beside them); after the block all is bit for bit as before."""
        self._decoder.forget()
        with put_on(self.loaded, adapter) as tuned:
            yield TransformersAsker(tuned, self._batch_size)

    def weights(self) -> Loaded:
        """The model in memory. Keys and values are dropped: whoever takes the weights needs room of their own."""
        self._decoder.forget()
        return self.loaded

    def check_unchanged(self) -> None:
        """The weights are bit for bit what they were at loading; anything else is a bug."""
        now = weights_hash(self.loaded.model)
        if now != self.loaded.weights_hash:
            raise RuntimeError(f"the base's weights changed: {self.loaded.weights_hash} before, {now} now")


def _written(tokenizer: "PreTrainedTokenizerBase") -> object:
    """All that decides which ids a tokenizer gives: its file; of one that is Python only, its class and vocabulary."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        return backend.to_str()
    added = {str(id_): token.content for id_, token in tokenizer.added_tokens_decoder.items()}
    return [type(tokenizer).__name__, tokenizer.get_vocab(), added]


def left_out(asker: Asker) -> dict[str, object]:
    """What the model's generation config asks for and is not done; nothing where that is not known."""
    return generation.left_out(asker.loaded.model) if isinstance(asker, TransformersAsker) else {}


def live_change(asker: Asker) -> float | None:
    """The largest change of a logit that the asker's adapter makes; None where it has none, or is served elsewhere."""
    return asker.loaded.largest_logit_change if isinstance(asker, TransformersAsker) else None


def doubts_of(asker: Asker) -> tuple[str, ...]:
    """What is doubtful about the asker's adapter, a line each."""
    return asker.loaded.doubts if isinstance(asker, TransformersAsker) else ()


def weights_of(asker: Asker, use: str) -> Loaded:
    """The weights in memory. Raises ModelError where the model is somewhere else. use: what they are needed for."""
    if not isinstance(asker, HasWeights):
        raise ModelError(f"{use} needs the weights of {asker.name} in memory; give --model a folder or a hub name")
    return asker.weights()
