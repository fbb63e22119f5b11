"""The answers that the adapted model is to keep: the base's own, with its distribution over each of their tokens.

replay prompts + contexts + base -> rows with the base's log-probabilities. Computed once: the base never changes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from knowpack.config import KeepRecipe
from knowpack.decode.decoder import Decoder
from knowpack.probe.askers import Generated, Prompted
from knowpack.progress import SILENT, Progress
from knowpack.seeds import seed_of, stream
from knowpack.train.batch import Row
from knowpack.train.contexts import Contexts
from knowpack.train.head import logprobs_at

if TYPE_CHECKING:
    from knowpack.model.loaded import Loaded

TEXT_TOKENS = 48
WHOLE_ANSWER = 16  # tokens


class BaseAnswer(NamedTuple):
    """One row and the base's distribution at each of its targets."""

    row: Row
    ids: Tensor  # (n_targets, k) the base's likeliest tokens, int32
    logprobs: Tensor  # (n_targets, k) nats, float32


@dataclass(frozen=True)
class Replay:
    """The base's answers, by context; texts stand behind no context."""

    contexts: Contexts
    by_context: tuple[tuple[BaseAnswer, ...], ...]
    texts: tuple[BaseAnswer, ...]


class ReplaySampler:
    """Which replay rows stand beside a batch: part at random, part those whose answers had moved most."""

    def __init__(self, replay: Replay, by_interference: float) -> None:
        self._replay, self._share = replay, by_interference
        self._moved = [np.full(len(rows), np.inf) for rows in replay.by_context]
        """Nats, when last drawn; inf: never."""

    def draw(self, context: int, n: int, rng: np.random.Generator) -> list[int]:
        """Up to n rows of a context, without repeats."""
        moved = self._moved[context]
        if n >= len(moved):
            return list(range(len(moved)))
        seen = np.flatnonzero(np.isfinite(moved) & (moved > 0))
        n_moved = min(round(self._share * n), len(seen))
        weights = moved[seen] / moved[seen].sum() if n_moved else None
        chosen = rng.choice(seen, n_moved, replace=False, p=weights) if n_moved else np.empty(0, dtype=int)
        others = np.setdiff1d(np.arange(len(moved)), chosen)
        return [int(i) for i in (*chosen, *rng.choice(others, n - n_moved, replace=False))]

    def rows(self, context: int, chosen: Sequence[int]) -> list[BaseAnswer]:
        """The rows of these numbers."""
        return [self._replay.by_context[context][i] for i in chosen]

    def moved(self, context: int, chosen: Sequence[int], by: Sequence[float]) -> None:
        """How far each of them was from the base, nats."""
        self._moved[context][list(chosen)] = by

    def state(self) -> list[Tensor]:
        """How far each row had moved, a context each, # (n_rows,) float64."""
        return [torch.from_numpy(moved) for moved in self._moved]

    def set_state(self, state: Sequence[Tensor]) -> None:
        """Put back what `state` gave."""
        self._moved = [moved.numpy().copy() for moved in state]


def build(
    loaded: "Loaded",
    questions: Sequence[str],
    contexts: Contexts,
    recipe: KeepRecipe,
    seed: int,
    *,
    everywhere: Sequence[str] = (),
    progress: Progress = SILENT,
) -> Replay:
    """Ask the base every question, each under one of the contexts, and keep its distributions.

    everywhere: questions that are asked under all contexts, and whose answers are kept to WHOLE_ANSWER tokens.
    """
    decoder = Decoder(loaded)
    order = stream(seed, "replay", "contexts").permutation(len(questions))
    by_context = []
    n_asked = len(questions) + len(everywhere) * len(contexts) + recipe.n_texts
    with progress.stage("the base answers replay prompts", n_asked) as advance:
        for index, prefix in enumerate(contexts.prefixes):
            mine = [questions[i] for i in order[index :: len(contexts)]]
            base_answers: list[BaseAnswer] = []
            for some, n_tokens in ((mine, recipe.answer_tokens), (everywhere, WHOLE_ANSWER)):
                if some:
                    base_answers += _answered(decoder, prefix, contexts.tails(index, some), n_tokens, recipe.top_k)
                advance(len(some))
            by_context.append(tuple(base_answers))
        texts = _texts(decoder, recipe, seed)
        advance(recipe.n_texts)
    return Replay(contexts, tuple(by_context), tuple(texts))


def divergence(logits: Tensor, answers: Sequence[BaseAnswer]) -> Tensor:
    """KL(base || adapted) at each target, nats, # (n_targets,); beyond the k kept tokens the rest counts as one token.

    logits: (n_targets, vocabulary) of the adapted model, targets of all rows in order.
    """
    ids = torch.cat([one.ids for one in answers]).to(logits.device).long()  # (n_targets, k)
    base = torch.cat([one.logprobs for one in answers]).to(logits.device)
    adapted = logprobs_at(logits, ids)
    kept = (base.exp() * (base - adapted)).sum(-1)
    if ids.shape[1] == logits.shape[1]:
        return kept
    rest, rest_adapted = _log_rest(base), _log_rest(adapted)
    return kept + rest.exp() * (rest - rest_adapted)


def _log_rest(logprobs: Tensor) -> Tensor:
    """log(1 - sum of the probabilities), floored at 1e-6: float32 has no more in the sum."""
    return (1 - logprobs.exp().sum(-1)).clamp_min(1e-6).log()


def _answered(
    decoder: Decoder, prefix: Sequence[int], tails: Sequence[Sequence[int]], n_tokens: int, top_k: int
) -> Iterator[BaseAnswer]:
    """The base's answers behind the tails, cut to n_tokens, and its distribution there and one place further."""
    answers = decoder.generate_each([Prompted(prefix, tails)], max_new_tokens=n_tokens + 1, top_k=top_k)[0]
    for tail, answer in zip(tails, answers, strict=True):
        kept = answer.ids[:n_tokens]
        # one place more than the answer: what the base says where it stops; the token there is never read
        yield _with_distributions(Row((*tail, *kept, 0), len(tail)), answer)


def _with_distributions(row: Row, answer: Generated) -> BaseAnswer:
    assert answer.likeliest is not None, "top_k was given"
    places = answer.likeliest[: len(row.ids) - row.n_prompt]
    return BaseAnswer(row, torch.stack([one.ids for one in places]), torch.stack([one.logprobs for one in places]))


def _texts(decoder: Decoder, recipe: KeepRecipe, seed: int) -> list[BaseAnswer]:
    """Texts sampled from the base at temperature 1, from its beginning of text (or end, where it has none)."""
    tokenizer = decoder.loaded.tokenizer
    first = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    if recipe.n_texts == 0 or first is None:
        return []
    written = decoder.generate_each(
        [Prompted([], [[first]] * recipe.n_texts)],
        max_new_tokens=TEXT_TOKENS,
        stop_ids=[],
        temperature=1.0,
        seed=seed_of(seed, "replay", "texts"),
        top_k=recipe.top_k,
    )[0]
    return [_with_distributions(Row((first, *one.ids), 1), one) for one in written if one.ids]
