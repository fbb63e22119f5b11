"""The TokenAsker of a vLLM server: token ids in, ids and log-probabilities out, by /v1/completions.

Server + Description + Local -> ServedTokenAsker. Prompts are ids (`prompt`), answers too (`return_token_ids`), so that
nothing depends on how a server renders or splits a text. Log-probabilities of a given continuation come by `echo`. Stop
tokens and sampling are sent whole, so that the server's own defaults change nothing.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from knowpack import store
from knowpack.errors import ModelError
from knowpack.model.loaded import Loaded
from knowpack.probe.askers import Finished, Generated, Identity, Ids, Prompted, Until, check_logprobs
from knowpack.served import server_adapters
from knowpack.served.checks import Checked, check_adapter
from knowpack.served.client import Ask, Body, Server, error_of, printable
from knowpack.served.kinds import Description
from knowpack.served.local_files import Local
from knowpack.served.text_asker import LARGEST_SEED, NEUTRAL

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PATH = "/completions"


class ServedScore(NamedTuple):
    """How likely a continuation is after its context."""

    logprob: float
    """Nats, summed over the tokens."""
    greedy: bool
    """Every token is the most likely one in its place."""


@dataclass(frozen=True)
class ServedTokenAsker:
    """A TokenAsker over a vLLM server."""

    server: Server
    description: Description
    local: Local
    revision: str | None
    """The user's own mark."""
    model: str
    """What the requests name: the model, or the adapter's name there."""
    checked: Checked | None = None
    """What the base gave to a few facts at the start; None while it is not checked."""
    adapter: str | Path | None = None

    @property
    def name(self) -> str:
        """As the server calls it, and the adapter."""
        return self.server.address.name + (f" + {Path(self.adapter).name}" if self.adapter else "")

    @property
    def identity(self) -> Identity:
        """What the server says of the model, and the adapter by its content; by ids; the tokenizer's hash."""
        tokenizer = self.local.tokenizer
        return Identity(
            store.hash_of(
                ["served", dict(self.description.answers), self.revision, self.model if self.adapter else None]
            ),
            store.hash_of(["tokens", sorted(self.local.stop_ids), dict(NEUTRAL["vllm"])]),
            store.hash_of([tokenizer.backend_tokenizer.to_str(), str(tokenizer.chat_template)]),
        )

    @property
    def tokenizer(self) -> "PreTrainedTokenizerBase":
        """Of the files on this machine."""
        return self.local.tokenizer

    @property
    def n_vocabulary(self) -> int:
        """By the config on this machine."""
        return self.local.n_vocabulary

    @property
    def window(self) -> int | None:
        """As the server was started, else by the config on this machine."""
        return self.description.window or self.local.window

    @property
    def device(self) -> str:
        """No device of this machine's."""
        return f"served by {self.description.kind}"

    def weights(self) -> Loaded:
        """The model in memory, for training. Raises ModelError in one line where only the tokenizer is here."""
        if not self.local.has_weights:
            raise ModelError(f"the weights of {self.name} are not in {self.local.config.name}; only its tokenizer is")
        return self.local.loaded

    def keeping(self, path: Path) -> AbstractContextManager[None]:
        """Within, every answer is appended to this file, and what stands in it already is not asked again."""
        return self.server.keeping(path)

    def generate_each(
        self,
        prompts: Sequence[Prompted],
        *,
        max_new_tokens: int,
        until: Until | None = None,
        finished: Finished | None = None,
    ) -> list[list[Generated]]:
        """Greedy ids, prompt by prompt; the drafts are not read (the server caches prefixes by itself).

        The server knows no `until`: what it says beyond is cut off.
        """
        whole = [[*one.prefix, *tail] for one in prompts for tail in one.tails]
        answers = (_ended(one, until) for one in self._generated(whole, max_new_tokens, 0.0, None))
        return [[next(answers) for _ in one.tails] for one in prompts]

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
        """Ids after prefix + each tail, without the stop token; the k-th of equal tails gives the k-th sample."""
        answers = self._generated([[*prefix, *tail] for tail in tails], max_new_tokens, temperature, seed)
        return [_ended(one, until).ids for one in answers]

    def logprobs(self, prefix: Ids, tails: Sequence[Ids], continuations: Sequence[Ids]) -> list[ServedScore]:
        """How likely each continuation is after prefix + its tail."""
        asks = [
            Ask(self._body([*prefix, *tail, *answer], 1, 0.0) | {"echo": True, "logprobs": 1}, len(answer))
            for tail, answer in zip(tails, continuations, strict=True)
        ]
        scores = iter(
            self.server.ask(PATH, [ask for ask in asks if ask.last], partial(_echoed, self.server.address.url))
        )
        return [ServedScore(*next(scores)) if ask.last else ServedScore(0.0, True) for ask in asks]

    @contextmanager
    def with_adapter(self, adapter: str | Path) -> Iterator["ServedTokenAsker"]:
        """The server loads it, and is seen to use it. ModelError where it has no effect there, or another than here."""
        with server_adapters.loaded_by_vllm(self.server, adapter) as name:
            yield self._tuned(adapter, name)

    def for_good(self, adapter: str | Path) -> "ServedTokenAsker":
        """The same without an end: the server keeps it, under its content's name."""
        return self._tuned(adapter, server_adapters.load_into_vllm(self.server, adapter))

    def _tuned(self, adapter: str | Path, name: str) -> "ServedTokenAsker":
        tuned = replace(self, model=name, adapter=adapter)
        if self.checked is not None:
            check_adapter(tuned, self.checked, adapter, self.local.loaded if self.local.has_weights else None)
        return tuned

    def _generated(
        self, prompts: Sequence[list[int]], n_new: int, temperature: float, seed: int | None
    ) -> list[Generated]:
        before: Counter[tuple[int, ...]] = Counter()
        asks = []
        for ids in prompts:
            body = self._body(ids, n_new, temperature) | {"logprobs": 0}
            if temperature > 0 and seed is not None:
                body["seed"] = (seed + before[tuple(ids)]) % LARGEST_SEED
                before[tuple(ids)] += 1
            asks.append(Ask(body))
        answers = self.server.ask(PATH, asks, partial(_answered, self.server.address.url))
        return [self._without_stop(ids, logprobs) for ids, logprobs in answers]

    def _without_stop(self, ids: list[int], logprobs: list[float]) -> Generated:
        ended = bool(ids) and ids[-1] in self.local.stop_ids
        return Generated(ids[:-1] if ended else ids, tuple(logprobs))

    def _body(self, ids: list[int], n_new: int, temperature: float) -> Body:
        return {
            "model": self.model,
            "prompt": ids,
            "max_tokens": n_new,
            "temperature": temperature,
            "ignore_eos": True,  # the stop tokens are these, whatever the server's own files say
            "stop_token_ids": sorted(self.local.stop_ids),
            "return_token_ids": True,
            "return_tokens_as_token_ids": True,
            **NEUTRAL["vllm"],
        }


def _ended(answer: Generated, until: Until | None) -> Generated:
    """The answer up to the first token with which it has ended."""
    if until is None:
        return answer
    n = next((n for n in range(1, len(answer.ids)) if until(answer.ids[:n])), None)
    if n is None:
        return answer
    return Generated(answer.ids[:n], None if answer.logprobs is None else answer.logprobs[:n])


def _answered(url: str, _: Ask, response: object) -> tuple[list[int], list[float]]:
    """Ids and log-probabilities of an answer, the stop token among them."""
    try:
        choice = response["choices"][0]  # type: ignore[index]
        ids, logprobs = choice["token_ids"], choice["logprobs"]["token_logprobs"]
        good = len(ids) == len(logprobs) and all(type(token) is int and token >= 0 for token in ids)
        numbers = [float(one) for one in logprobs]
    except (KeyError, IndexError, TypeError, ValueError):
        good = False
    if not good:
        raise ModelError(
            f"the server at {url} gave no ids with log-probabilities: {error_of(response, printable(str(response)))}; "
            "vLLM from 0.10.2 on gives them"
        )
    check_logprobs(numbers, f"the model at {url}")
    return ids, numbers


def _echoed(url: str, ask: Ask, response: object) -> tuple[float, bool]:
    """Log-probability and greediness of the last tokens of a prompt that was echoed."""
    prompt = ask.body["prompt"]
    assert isinstance(prompt, list)
    try:
        echoed = response["choices"][0]["logprobs"]  # type: ignore[index]
        places = range(len(prompt) - ask.last, len(prompt))
        logprobs = [float(echoed["token_logprobs"][place]) for place in places]
        best = [max(echoed["top_logprobs"][place].values()) for place in places]
        tokens = [echoed["tokens"][place] for place in places]
        good = tokens == [f"token_id:{prompt[place]}" for place in places]
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        good = False
    if not good:
        raise ModelError(
            f"the server at {url} does not echo a prompt with log-probabilities: "
            f"{error_of(response, printable(str(response)))}"
        )
    check_logprobs([*logprobs, *best], f"the model at {url}")
    return sum(logprobs), all(mine >= other for mine, other in zip(logprobs, best, strict=True))
