"""The slowest way, and the measure of the others: each prompt whole, by transformers' own `generate`.

For architectures that cannot go on from a cache of ours (Mamba's many tokens behind a state), and for positions that
scale with the length (longrope, dynamic NTK), where what a prefix gives depends on how much will stand behind it.
Rows of equal length go together, so nothing is padded.
"""

from collections.abc import Sequence
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from knowpack.decode.copied_cache import equal, forward_copied
from knowpack.decode.scoring import Request, ScoredContinuation, ScoredToken, scored
from knowpack.decode.task import Row, Task
from knowpack.errors import ModelError, one_line
from knowpack.model import generation
from knowpack.model.loaded import Loaded
from knowpack.model.memory import within_memory

TOLERANCE = 1e-2
"""Nats of a token: rows in a batch against rows alone."""
_together: WeakKeyDictionary[torch.nn.Module, bool] = WeakKeyDictionary()


def generate_whole(loaded: Loaded, rows: Sequence[Row], task: Task, batch_size: int) -> None:
    """Fill in the answers of rows; drafts are not used. Raises ModelError where generate cannot do it."""
    if batch_size > 1 and not _go_together(loaded):
        batch_size = 1
    _generate(loaded, rows, task, batch_size)


def _go_together(loaded: Loaded) -> bool:
    """Whether two rows at once are answered as each alone (RWKV of transformers mixes them up after one token)."""
    if loaded.model not in _together:
        first = [(7 * i * i + 3) % loaded.n_vocabulary for i in range(12)]
        alone, both = ([Row((), tail, (), None) for tail in (first[:6], first[6:])] for _ in range(2))
        task = Task(4, frozenset(), 0.0, name=loaded.name)
        _generate(loaded, alone, task, 1)
        _generate(loaded, both, task, 2)
        pairs = [
            pair
            for one, other in zip(alone, both, strict=True)
            for pair in zip(one.logprobs, other.logprobs, strict=True)
        ]
        _together[loaded.model] = all(abs(one - other) < TOLERANCE for one, other in pairs)
    return _together[loaded.model]


def _generate(loaded: Loaded, rows: Sequence[Row], task: Task, batch_size: int) -> None:
    for batch in equal(rows, [len(row.prefix) + len(row.tail) for row in rows], batch_size):
        prompts = torch.tensor([[*row.prefix, *row.tail] for row in batch], device=loaded.device)
        fresh_positions(loaded.model)
        try:
            with torch.inference_mode(), generation.put_aside(loaded.model, pad=0):
                loaded.model.generate(  # type: ignore[operator]
                    prompts,
                    attention_mask=torch.ones_like(prompts),
                    max_new_tokens=task.max_new_tokens,
                    do_sample=False,
                    logits_processor=[_Chooser(batch, task)],
                    stopping_criteria=[_AnswerEnded(batch)],
                )
        except torch.OutOfMemoryError:
            raise
        except (NotImplementedError, TypeError, ValueError, AttributeError, IndexError, KeyError) as error:
            kind = type(loaded.model).__name__
            raise ModelError(
                f"{loaded.name} ({kind}) cannot be asked by generate: {type(error).__name__}: {one_line(error)}"
            ) from None
        finally:
            fresh_positions(loaded.model)


def score_whole(loaded: Loaded, requests: Sequence[Request], batch_size: int = 32) -> list[ScoredContinuation]:
    """Log-probabilities of continuations, each request computed whole, beside others of its length."""
    scores: list[list[ScoredToken]] = [[] for _ in requests]
    numbered = [(i, request) for i, request in enumerate(requests) if request[1]]
    lengths = [len(context) + len(continuation) for _, (context, continuation) in numbered]
    with torch.inference_mode():
        for answers in within_memory(equal(numbered, lengths, batch_size), lambda batch: _score(loaded, batch)):
            for i, tokens in answers:
                scores[i] = tokens
    fresh_positions(loaded.model)
    return [scored(tokens, loaded.name) for tokens in scores]


def _score(loaded: Loaded, batch: list[tuple[int, Request]]) -> list[tuple[int, list[ScoredToken]]]:
    """Numbered requests of one length -> each one's tokens."""
    ids = [[*context, *continuation][:-1] for _, (context, continuation) in batch]
    fresh_positions(loaded.model)
    logits: Tensor = forward_copied(loaded, ids, None, n_logits=0).logits
    answers = []
    for (i, (context, continuation)), row in zip(batch, logits, strict=True):
        places = row[len(context) - 1 :].float().log_softmax(-1)  # (tokens, vocabulary)
        target = torch.tensor(continuation, device=places.device)
        chosen = places.gather(1, target[:, None])[:, 0].tolist()
        best = (places.argmax(-1) == target).tolist()
        answers.append((i, list(map(ScoredToken, chosen, best))))
    return answers


class _Chooser:
    """Logits -> logits that leave one token each: the task's choice, which its row has taken."""

    def __init__(self, batch: Sequence[Row], task: Task) -> None:
        self._batch, self._task = batch, task

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:  # (rows, ids), (rows, vocabulary)
        active = [i for i, row in enumerate(self._batch) if not row.done]
        places = [(self._batch[i], len(self._batch[i].out)) for i in active]
        only = torch.full_like(scores, -torch.inf)
        only[:, 0] = 0.0  # what rows that are done go on with: nobody reads it
        for i, chosen in zip(active, self._task.choose(scores[active], places), strict=True):
            self._task.accept(self._batch[i], chosen)
            only[i, 0] = -torch.inf
            only[i, chosen.token] = 0.0
        return only


class _AnswerEnded:
    """Which rows are done; generate ends when all are."""

    def __init__(self, batch: Sequence[Row]) -> None:
        self._batch = batch

    def __call__(self, input_ids: Tensor, scores: object, **_: object) -> Tensor:
        return torch.tensor([row.done for row in self._batch], device=input_ids.device)


def fresh_positions(model: torch.nn.Module) -> None:
    """Rotary frequencies as they were loaded.

    Dynamic NTK remembers the longest row that it has seen, so that answers would depend on what was asked before
    (transformers resets it at the next row that is shorter than the original length, and at no other).
    """
    for module in model.modules():
        for name in [name for name in vars(module) | module._buffers if name.endswith("original_inv_freq")]:
            prefix = name.removesuffix("original_inv_freq")
            frequencies, original = getattr(module, f"{prefix}inv_freq"), getattr(module, name)
            if not hasattr(module, f"{prefix}max_seq_len_cached"):
                continue
            module.register_buffer(
                f"{prefix}inv_freq", original.detach().clone().to(frequencies.device), persistent=False
            )
            setattr(module, f"{prefix}max_seq_len_cached", module.original_max_seq_len)
