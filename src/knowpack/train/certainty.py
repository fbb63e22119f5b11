"""How sure the adapted model is of the facts that it learns.

Examples + contexts -> the rows of each fact, to train on and to check with; rows -> the probability of each answer's
least probable token, which greedy decoding must not miss.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch
from torch import nn

from knowpack.records import Kind
from knowpack.train.batch import Row
from knowpack.train.contexts import Contexts
from knowpack.train.lower import Logits
from knowpack.train.shared import places

CHECKED_AT_ONCE = 128  # rows


@dataclass(frozen=True)
class NewFacts:
    """The facts to learn: wordings to train on and one to check with, behind every context."""

    trained: tuple[tuple[tuple[Row, ...], ...], ...]
    """[context][fact] -> one row a wording."""
    checked: tuple[tuple[Row, ...], ...]
    """[context][fact] -> a wording trained on only while the rate falls (of one or two the last)."""

    def rows(self, context: int, fact: int, *, falling: bool) -> tuple[Row, ...]:
        """What is drawn from: while the rate falls the checked wording too, since no more depends on it than a visit.

        Up to then it says whether a fact is known beyond the wordings that are trained.
        """
        mine, checked = self.trained[context][fact], self.checked[context][fact]
        return (*mine, checked) if falling and checked not in mine else mine

    @property
    def n(self) -> int:
        """How many facts."""
        return len(self.checked[0])


def wordings(examples: pl.DataFrame, contexts: Contexts) -> NewFacts:
    """Examples of the same fact are its wordings; from three on, the last is kept for checking.

    Short forms stand behind the question, so that what checks is another question wherever there is one.
    """
    is_question = pl.int_range(pl.len()).over("fact_id") == 0
    ordered = examples.sort(~is_question, pl.col("kind") != str(Kind.SHORT_FORM), maintain_order=True)
    grouped = ordered.group_by("fact_id", maintain_order=True).agg("question", pl.col("answer").first())
    facts = [(questions, answer) for questions, answer in grouped.select("question", "answer").iter_rows()]
    answers = [contexts.answer(questions[0], answer) for questions, answer in facts]
    flat = [question for questions, _ in facts for question in questions]
    repeated = [ids for (questions, _), ids in zip(facts, answers, strict=True) for _ in questions]
    trained, checked = [], []
    for context in range(len(contexts)):
        rows = iter(contexts.rows(context, flat, repeated))
        of_fact = [tuple(next(rows) for _ in questions) for questions, _ in facts]
        trained.append(tuple(mine[:-1] if len(mine) > 2 else mine for mine in of_fact))
        checked.append(tuple(mine[-1] for mine in of_fact))
    return NewFacts(tuple(trained), tuple(checked))


@torch.no_grad()
def least_probable(logits: Logits, context: Sequence[int], rows: Sequence[Row]) -> list[float]:
    """The probability of each row's least probable answer token."""
    least: list[float] = []
    for start in range(0, len(rows), CHECKED_AT_ONCE):
        some = rows[start : start + CHECKED_AT_ONCE]
        logprobs = nn.functional.log_softmax(logits(context, some), dim=-1)
        targets = places(some).targets.to(logprobs.device)
        of_targets = logprobs.gather(1, targets[:, None])[:, 0].exp()
        counts = [len(row.ids) - row.n_prompt for row in some]
        least.extend(float(one.min()) for one in torch.split(of_targets, counts))
    return least


def certainties(logits: Logits, new: NewFacts, contexts: Contexts, rng: np.random.Generator) -> list[float]:
    """For each fact the lower of two: the question, and the wording for checking, each under a context drawn now.

    Of all wordings the question is the last to be learned: the replay prompts that hold the base are questions like it.
    """
    first, second = (int(rng.integers(len(contexts))) for _ in range(2))
    a = least_probable(logits, contexts.prefixes[first], [mine[0] for mine in new.trained[first]])
    b = least_probable(logits, contexts.prefixes[second], new.checked[second])
    return [min(pair) for pair in zip(a, b, strict=True)]
