"""What a step of the keep recipe lowers: a sum of terms, each a name, a weight and the loss of a batch.

batch + the adapted model's logits at its targets -> terms -> loss and log figures. To add a term, write a function
from `TermInput` to a scalar tensor and add it to `terms` (docs/extending.md).

    L = sum over terms of  weight x loss(batch)
    loss      cross-entropy of the new facts' answer tokens, in nats, mean over the tokens
    kl        KL(base || adapted) at the tokens of the base's answers to the replay prompts, mean over the tokens
    kl_text   the same at every token of texts that the base wrote, every few steps
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from knowpack.config import KeepRecipe
from knowpack.train.base_answers import BaseAnswer, divergence
from knowpack.train.batch import Row
from knowpack.train.head import logprobs_at
from knowpack.train.shared import places
from knowpack.train.track import Line


class StepBatch(NamedTuple):
    """The rows of one step, all behind one context; texts stand behind none."""

    context: int
    new: list[Row]
    replay: list[BaseAnswer]
    texts: list[BaseAnswer]


@dataclass(frozen=True)
class TermInput:
    """A batch and what the adapted model gives at its targets; logits carry gradients."""

    drawn: StepBatch
    new: Tensor  # (n_targets of the new rows, vocabulary)
    replay: Tensor  # (n_targets of the replay rows, vocabulary)
    texts: Tensor  # (n_targets of the texts, vocabulary)

    @cached_property
    def moved(self) -> Tensor:
        """KL(base || adapted) at each target of the replay rows, nats, # (n_targets,)."""
        return divergence(self.replay, self.drawn.replay)


class Term(NamedTuple):
    """One summand of the objective."""

    name: str
    """Its figure in the training log, unweighted."""
    weight: float
    loss: Callable[[TermInput], Tensor | None]
    """A scalar; None where this batch has nothing for it."""


def terms(recipe: KeepRecipe) -> tuple[Term, ...]:
    """The recipe's own objective. kl_weight=0 leaves out what holds the base."""
    learn = (Term("loss", 1.0, answer_loss),)
    if recipe.kl_weight == 0:
        return learn
    return (*learn, Term("kl", recipe.kl_weight, replay_loss), Term("kl_text", recipe.kl_weight, text_loss))


class Total(NamedTuple):
    """The objective at one batch."""

    loss: Tensor
    figures: Line
    """Each term's own value."""


def total(seen: TermInput, summands: Sequence[Term]) -> Total:
    """Add up the terms that this batch has something for."""
    loss = torch.zeros(())
    figures: Line = {}
    for term in summands:
        value = term.loss(seen)
        if value is not None:
            loss = loss + term.weight * value
            figures[term.name] = value.item()
    return Total(loss, figures)


def answer_loss(seen: TermInput) -> Tensor | None:
    """Cross-entropy of the answers of the new facts."""
    if not seen.drawn.new:
        return None
    return -logprobs_at(seen.new, places(seen.drawn.new).targets.to(seen.new.device)[:, None]).mean()


def replay_loss(seen: TermInput) -> Tensor | None:
    """How far the answers to the replay prompts are from the base's."""
    return seen.moved.mean() if seen.drawn.replay else None


def text_loss(seen: TermInput) -> Tensor | None:
    """How far the texts are from the base's."""
    return divergence(seen.texts, seen.drawn.texts).mean() if seen.drawn.texts else None
