"""The answers that the adapted model is to keep: the base's own, with its distribution over each of their tokens.

replay prompts + contexts + base -> rows with the base's log-probabilities. Computed once: the base never changes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from knowpack.config import KeepRecipe
from knowpack.decode.decoder import Decoder
from knowpack.decode.products import fast_products
from knowpack.decode.scoring import LOGITS_AT_ONCE
from knowpack.model.memory import within_memory
from knowpack.probe.askers import check_logprobs
from knowpack.progress import SILENT, Progress
from knowpack.seeds import seed_of, stream
from knowpack.train.batch import Row
from knowpack.train.contexts import Contexts
from knowpack.train.shared import answer_logits

if TYPE_CHECKING:
    from knowpack.model.loaded import Loaded

TEXT_TOKENS = 48
WHOLE_ANSWER = 16  # tokens
SCORED_AT_ONCE = 128  # rows, or fewer where their logits would be more than LOGITS_AT_ONCE


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
                tails = contexts.tails(index, some) if some else []
                answers = decoder.generate(prefix, tails, max_new_tokens=n_tokens) if some else []
                # one place more than the answer: what the base says where it stops; the token there is never read
                rows = [Row((*tail, *answer, 0), len(tail)) for tail, answer in zip(tails, answers, strict=True)]
                base_answers += _scored(loaded, prefix, rows, recipe, decoder.forget)
                advance(len(some))
            by_context.append(tuple(base_answers))
        texts = _scored(loaded, (), _texts(loaded, decoder, recipe, seed), recipe, decoder.forget)
        advance(recipe.n_texts)
    return Replay(contexts, tuple(by_context), tuple(texts))


def divergence(logits: Tensor, answers: Sequence[BaseAnswer]) -> Tensor:
    """KL(base || adapted) at each target, nats, # (n_targets,); beyond the k kept tokens the rest counts as one token.

    logits: (n_targets, vocabulary) of the adapted model, targets of all rows in order.
    """
    ids = torch.cat([one.ids for one in answers]).to(logits.device).long()  # (n_targets, k)
    base = torch.cat([one.logprobs for one in answers]).to(logits.device)
    adapted = nn.functional.log_softmax(logits, dim=-1).gather(1, ids)
    kept = (base.exp() * (base - adapted)).sum(-1)
    if ids.shape[1] == logits.shape[1]:
        return kept
    rest, rest_adapted = _log_rest(base), _log_rest(adapted)
    return kept + rest.exp() * (rest - rest_adapted)


def _log_rest(logprobs: Tensor) -> Tensor:
    """log(1 - sum of the probabilities), floored at 1e-6: float32 has no more in the sum."""
    return (1 - logprobs.exp().sum(-1)).clamp_min(1e-6).log()


@torch.no_grad()
def _scored(
    loaded: "Loaded", prefix: Sequence[int], rows: Sequence[Row], recipe: KeepRecipe, free: Callable[[], None]
) -> list[BaseAnswer]:
    longest = max((len(row.ids) - row.n_prompt for row in rows), default=1)
    at_once = max(1, min(SCORED_AT_ONCE, LOGITS_AT_ONCE // (longest * loaded.n_vocabulary)))
    batches = (list(rows[start : start + at_once]) for start in range(0, len(rows), at_once))
    each = within_memory(batches, lambda some: _score(loaded, prefix, some, recipe.top_k), free)
    return [answer for answers in each for answer in answers]


def _score(loaded: "Loaded", prefix: Sequence[int], rows: list[Row], top_k: int | None) -> list[BaseAnswer]:
    with fast_products(loaded.model):
        logprobs = nn.functional.log_softmax(answer_logits(loaded.model, prefix, rows), dim=-1)
    k = min(top_k or logprobs.shape[1], logprobs.shape[1])
    values, ids = logprobs.topk(k, dim=-1)
    check_logprobs(values[:, 0].tolist(), loaded.name)
    counts = [len(row.ids) - row.n_prompt for row in rows]
    split = zip(rows, torch.split(ids.int().cpu(), counts), torch.split(values.float().cpu(), counts), strict=True)
    return [BaseAnswer(*one) for one in split]


def _texts(loaded: "Loaded", decoder: Decoder, recipe: KeepRecipe, seed: int) -> list[Row]:
    """Texts sampled from the base at temperature 1, from its beginning of text (or end, where it has none)."""
    tokenizer = loaded.tokenizer
    first = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    if recipe.n_texts == 0 or first is None:
        return []
    written = decoder.generate(
        [],
        [[first]] * recipe.n_texts,
        max_new_tokens=TEXT_TOKENS,
        stop_ids=[],
        temperature=1.0,
        seed=seed_of(seed, "replay", "texts"),
    )
    return [Row((first, *ids), 1) for ids in written if ids]
