"""Whoever answers: the one seam to models. A new backend is a class with these methods, and nothing above it changes.

TokenAsker   ids in; ids and log-probabilities out (transformers: decode/transformers_asker.py; vLLM: served/)
TextAsker    chat messages in, text out: any API; probes and grades only (served/)

`identity` says what answers: it goes into the hash of the base's folder, so that two that answer differently never
share one. `with_adapter` gives the same model with a LoRA adapter on it, for as long as the block lasts.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from knowpack.errors import ModelError
from knowpack.probe.turns import Message

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

Ids = Sequence[int]
Until = Callable[[Ids], bool]
Finished = Callable[[], None]


class Identity(NamedTuple):
    """What answers, by content: equal identities give equal answers."""

    weights: str
    """Hash of the weights, an adapter's share included; of a served model, what its server says of them."""
    architecture: str
    """Hash of settings that change answers and are no weights (a rope base, a window)."""
    tokenizer: str
    """Hash of the tokenizer with its chat template."""


class Scored(Protocol):
    """What is said of one continuation."""

    @property
    def logprob(self) -> float:
        """Nats, summed over the tokens."""
        ...

    @property
    def greedy(self) -> bool:
        """Whether greedy decoding would give it."""
        ...


class Prompted(NamedTuple):
    """Questions behind one prefix."""

    prefix: Ids
    tails: Sequence[Ids]
    drafts: Sequence[Ids | None] | None = None
    """What each may be answered; changes the speed, not the ids."""


class Likeliest(NamedTuple):
    """The likeliest tokens of one place, the first being the likeliest."""

    ids: "Tensor"  # (k,) int32
    logprobs: "Tensor"  # (k,) nats, float32


class Generated(NamedTuple):
    """A greedy answer."""

    ids: list[int]
    """Without the stop token."""
    logprobs: tuple[float, ...] | None
    """Nats of each of its tokens, and of the stop token where one ended it; None = the asker does not say."""
    likeliest: tuple[Likeliest, ...] | None = None
    """At the same places; None = not asked for."""


class Answers(Protocol):
    """Rows of ids in, rows of ids out: what the probe needs. A log-probability that is no number is refused where it is
    read (check_logprobs)."""

    def generate_each(
        self,
        prompts: Sequence[Prompted],
        *,
        max_new_tokens: int,
        until: Until | None = None,
        finished: Finished | None = None,
    ) -> list[list[Generated]]:
        """Greedy ids after prefix + each tail, prompt by prompt, with their log-probabilities.

        until: whether an answer has ended, told its ids so far. finished: called at the end of each answer, or never.
        """
        ...

    def generate(
        self,
        prefix: Ids,
        tails: Sequence[Ids],
        *,
        max_new_tokens: int,
        drafts: Sequence[Ids | None] | None = None,
        temperature: float = 0.0,
        seed: int | None = None,
        until: Until | None = None,
        finished: Finished | None = None,
    ) -> list[list[int]]:
        """Ids after prefix + each tail, without the stop token; greedy at temperature 0. Drafts change speed only."""
        ...

    def logprobs(self, prefix: Ids, tails: Sequence[Ids], continuations: Sequence[Ids]) -> Sequence[Scored]:
        """How likely each continuation is after prefix + its tail."""
        ...


@runtime_checkable
class TextAnswers(Protocol):
    """Chat messages in, text out: what the probe needs of a model whose ids nobody sees."""

    def answer(
        self,
        chats: Sequence[Sequence[Message]],
        *,
        max_new_tokens: int,
        temperature: float = 0.0,
        seed: int | None = None,
    ) -> list[str]:
        """The assistant's next turn of each chat; greedy at temperature 0. Raises where one cannot be had."""
        ...


@runtime_checkable
class Paced(Protocol):
    """An asker that knows about how fast it is: decides how often answers are written to disk, never what they are."""

    @property
    def answers_a_minute(self) -> int:
        """Answers of about 30 new tokens, at least 1."""
        ...


@runtime_checkable
class Windowed(Protocol):
    """An asker that knows how long a prompt with its answer may be."""

    @property
    def window(self) -> int | None:
        """Tokens; None where nothing says it."""
        ...


@runtime_checkable
class Keeps(Protocol):
    """An asker far away, whose answers are worth keeping one by one until they are part of a table."""

    def keeping(self, path: Path) -> AbstractContextManager[None]:
        """Within, every answer is appended to this file, and what stands in it already is not asked again."""
        ...


class HasIdentity(Protocol):
    """What every asker says of itself."""

    @property
    def name(self) -> str:
        """For a person: a hub name, a folder, a server's name for it."""
        ...

    @property
    def identity(self) -> Identity:
        """What answers, by content."""
        ...

    @property
    def device(self) -> str:
        """Where it is computed: cpu, cuda:0, a server."""
        ...


class TokenAsker(Answers, HasIdentity, Protocol):
    """A model that is asked by token ids."""

    @property
    def tokenizer(self) -> "PreTrainedTokenizerBase":
        """Whose ids are meant."""
        ...

    @property
    def n_vocabulary(self) -> int:
        """Tokens that the model knows."""
        ...

    def with_adapter(self, adapter: str | Path) -> "AbstractContextManager[TokenAsker]":
        """The model with this adapter, inside the block. The plain model must not be asked until the block ends."""
        ...


class TextAsker(TextAnswers, HasIdentity, Protocol):
    """A model that is asked by chat messages."""

    def with_adapter(self, adapter: str | Path) -> "AbstractContextManager[TextAsker]":
        """The model with this adapter, inside the block; adapters are what its server knows by that name."""
        ...


Asker = TokenAsker | TextAsker
"""Whoever answers."""


def check_logprobs(logprobs: Iterable[float], name: str = "the model") -> None:
    """Raise ModelError where one is NaN or infinite: graded or compared, it would be an answer like any other."""
    if not all(map(math.isfinite, logprobs)):
        raise ModelError(
            f"{name} gives no number (NaN or infinite) as a log-likelihood; its weights are broken, or too large for "
            "half precision (--dtype float32)"
        )


def by_ids(asker: Asker, use: str) -> TokenAsker:
    """The same asker, where it is asked by token ids; ModelError where it is asked by text. use: what needs the ids."""
    if isinstance(asker, TextAnswers):
        raise ModelError(
            f"{use} needs token ids and log-likelihoods, and {asker.name} is asked by text; probe and diff do not"
        )
    return asker
