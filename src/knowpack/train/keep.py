"""Training that keeps the rest: new facts beside replay, retirement of what is certain, a tail.

Examples + replay + TrainConfig (its `keep` section) -> the adapter trained on the model, in place. After the paper's
recipe fails on harm (arXiv 2502.14502, section 5); every part is a switch of KeepConfig.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from peft import PeftModel
from torch import Tensor, nn
from transformers import PreTrainedModel

from knowpack.config import KeepConfig, TrainConfig
from knowpack.progress import SILENT, Progress
from knowpack.seeds import stream
from knowpack.train import lora, track
from knowpack.train.base_answers import Chooser, Replay, divergence
from knowpack.train.batch import Row
from knowpack.train.contexts import Contexts
from knowpack.train.frozen import fast_training
from knowpack.train.lower import Logits
from knowpack.train.retire import Roll
from knowpack.train.shared import places

TEXTS_AT_ONCE = 8
TEXTS_EVERY = 4  # steps
CHECKED_AT_ONCE = 128  # rows
SCALES = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@dataclass(frozen=True)
class New:
    """The facts to pack: wordings to train on and one to check with, behind every context."""

    trained: tuple[tuple[tuple[Row, ...], ...], ...]
    """[context][fact] -> one row a wording."""
    checked: tuple[tuple[Row, ...], ...]
    """[context][fact] -> a wording that is not trained on (the question itself where there is one wording)."""

    @property
    def n(self) -> int:
        return len(self.checked[0])


def wordings(examples: pl.DataFrame, contexts: Contexts) -> New:
    """Examples of the same fact are its wordings; from three on, the last is kept for checking."""
    grouped = examples.group_by("fact_id", maintain_order=True).agg("question", pl.col("answer").first())
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
    return New(tuple(trained), tuple(checked))


def fit(
    model: PeftModel,
    examples: pl.DataFrame,
    replay: Replay,
    config: TrainConfig,
    seed: int,
    *,
    log: track.Log,
    progress: Progress = SILENT,
) -> None:
    """Steps of new facts and replay until every fact is certain and stays so; then the tail; where asked, the scale."""
    keep = config.keep
    assert keep is not None, "train.keep is what this loop is for"
    new = wordings(examples, replay.contexts)
    weights = lora.weights(model)
    optimizer = torch.optim.AdamW(weights, lr=config.lr, weight_decay=config.weight_decay)
    roll = Roll(new.n, keep)
    logits = Logits(model, (lora.layers(cast(PreTrainedModel, model.get_base_model()), config.from_layer) or [0])[0])
    objective = Objective(logits, new, replay, Chooser(replay, keep.by_interference), keep)
    for context, prefix in enumerate(replay.contexts.prefixes):
        asked = [row for of_fact in new.trained[context] for row in of_fact] + list(new.checked[context])
        logits.prepare(prefix, asked + [one.row for one in replay.by_context[context]])
    rng = stream(seed, "order", "keep")
    n_warmup = max(1, round(config.warmup_ratio * keep.max_steps))
    model.train()
    with fast_training(model), progress.stage("training steps", keep.max_steps + keep.tail_steps) as advance:
        step, tail, ending = 0, 0, False
        while True:
            ending = ending or roll.settled or step >= keep.max_steps
            if ending and tail == keep.tail_steps:
                break
            share = 1 - tail / keep.tail_steps if ending else min(1.0, (step + 1) / n_warmup)
            lr = config.lr * share
            for group in optimizer.param_groups:
                group["lr"] = lr
            context = int(rng.integers(len(replay.contexts)))
            facts = roll.draw(config.batch_size, rng)
            n_texts = TEXTS_AT_ONCE if step % TEXTS_EVERY == 0 else 0
            loss, figures = objective.of(context, facts, n_texts, rng)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(weights, config.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad()
            step, tail = step + 1, tail + ending
            if step % keep.check_every == 0:
                model.eval()
                roll.update(certainties(logits, new, replay.contexts, rng))
                model.train()
            log.write(phase="tail" if ending else "main", lr=lr, n_active=roll.n_active, **figures)
            advance(1)
    if keep.search_scale:
        model.eval()
        factor = to_smallest_scale(model, logits, new, replay.contexts)
        log.write(phase="scale", scale=factor)


@dataclass(frozen=True)
class Objective:
    """What a step lowers: cross-entropy of new answers plus kl_weight times the divergence from the base."""

    logits: Logits
    new: New
    replay: Replay
    chooser: Chooser
    keep: KeepConfig

    def of(
        self, context: int, facts: Sequence[int], n_texts: int, rng: np.random.Generator
    ) -> tuple[Tensor, track.Line]:
        """The loss of these facts beside replay rows under a context, in one forward, and of n_texts texts."""
        rows = [worded(self.new.trained[context][fact], self.keep.by_question, rng) for fact in facts]
        drawn = self.chooser.draw(context, self.keep.replay_batch, rng) if self.keep.kl_weight > 0 else []
        held = self.chooser.rows(context, drawn)
        loss = torch.zeros(())
        figures: track.Line = {"n_new": len(rows)}
        if rows or held:
            prefix = self.replay.contexts.prefixes[context]
            logits = self.logits(prefix, [*rows, *(one.row for one in held)])
            n_new = sum(len(row.ids) - row.n_prompt for row in rows)
            if rows:
                fit_loss = nn.functional.cross_entropy(logits[:n_new], places(rows).targets.to(logits.device))
                loss, figures["loss"] = loss + fit_loss, fit_loss.item()
            if held:
                moved = divergence(logits[n_new:], held)
                loss, figures["kl"] = loss + self.keep.kl_weight * moved.mean(), float(moved.detach().mean())
                of_rows = torch.split(moved.detach(), [len(one.ids) for one in held])
                self.chooser.moved(context, drawn, [float(one.mean()) for one in of_rows])
        texts = self.replay.texts if self.keep.kl_weight > 0 else ()
        if texts and n_texts:
            some = [texts[i] for i in rng.choice(len(texts), min(n_texts, len(texts)), replace=False)]
            kl = divergence(self.logits((), [one.row for one in some]), some).mean()
            loss, figures["kl_text"] = loss + self.keep.kl_weight * kl, kl.item()
        return loss, figures


def worded(mine: Sequence[Row], by_question: float, rng: np.random.Generator) -> Row:
    """One of a fact's rows: the first, its question, with this probability, else any of them."""
    return mine[0 if rng.random() < by_question else int(rng.integers(len(mine)))]


@torch.no_grad()
def least_probable(logits: Logits, context: Sequence[int], rows: Sequence[Row]) -> list[float]:
    """The probability of each row's least probable answer token."""
    found: list[float] = []
    for start in range(0, len(rows), CHECKED_AT_ONCE):
        some = rows[start : start + CHECKED_AT_ONCE]
        logprobs = nn.functional.log_softmax(logits(context, some), dim=-1)
        targets = places(some).targets.to(logprobs.device)
        of_targets = logprobs.gather(1, targets[:, None])[:, 0].exp()
        counts = [len(row.ids) - row.n_prompt for row in some]
        found.extend(float(one.min()) for one in torch.split(of_targets, counts))
    return found


def certainties(logits: Logits, new: New, contexts: Contexts, rng: np.random.Generator) -> list[float]:
    """For each fact the lower of two: the question, and the wording for checking, each under a context drawn now.

    Of all wordings the question is the last to be learned: the replay prompts that hold the base are questions like it.
    """
    first, second = (int(rng.integers(len(contexts))) for _ in range(2))
    a = least_probable(logits, contexts.prefixes[first], [mine[0] for mine in new.trained[first]])
    b = least_probable(logits, contexts.prefixes[second], new.checked[second])
    return [min(pair) for pair in zip(a, b, strict=True)]


def to_smallest_scale(model: PeftModel, logits: Logits, new: New, contexts: Contexts) -> float:
    """Rescale to the smallest factor that holds every fact that 1 holds, and return it.

    A fact is held when every answer token is above one half, by its question and by its checking wording, under
    every context.
    """
    full = np.ones(new.n, dtype=bool)
    for held in _held(logits, new, contexts):
        full &= held
    applied = 1.0
    for factor in SCALES:
        lora.rescale(model, factor / applied)
        applied = factor
        if factor == 1.0 or all(held[full].all() for held in _held(logits, new, contexts)):
            break
    return applied


def _held(logits: Logits, new: New, contexts: Contexts) -> Iterator[NDArray[np.bool_]]:
    """Which facts are held, context by context and wording by wording; asked as it goes, so that one may stop."""
    for context, prefix in enumerate(contexts.prefixes):
        for rows in ([mine[0] for mine in new.trained[context]], new.checked[context]):
            yield np.array(least_probable(logits, prefix, rows)) > 0.5
