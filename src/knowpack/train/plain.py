"""The plain recipe: epochs of shuffled batches, AdamW, clipped gradients, a schedule over all steps.

rows + PlainRecipe + seed -> the adapter trained on the model, in place. Paper: section 4.2. Same settings, dropout 0,
float32: the weights that transformers' Trainer with peft gives.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import get_scheduler

from knowpack.config import PlainRecipe, TrainConfig
from knowpack.train import lora, order, resume
from knowpack.train.batch import Batch, Row, collate
from knowpack.train.frozen import fast_training
from knowpack.train.head import cross_entropy
from knowpack.train.resume import Run, State

SCHEDULES = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}  # names in transformers


def fit(run: Run, config: PlainRecipe, rows: Sequence[Row], epochs_in: Path | None) -> None:
    """The loop. epochs_in: where each epoch's adapter is kept (epoch-01, ...); None = nowhere."""
    model = run.model
    loop = Loop(run, rows, config)
    loop.go_on_from(run.checkpoints.load())
    model.train()
    with fast_training(model), run.progress.stage("training steps", loop.n_steps - loop.step) as advance:
        while loop.step < loop.n_steps:
            epoch, place = divmod(loop.step, loop.steps_an_epoch)
            numbers = order.of_epoch([len(row.ids) for row in rows], config, run.seed, epoch)
            for begin in range(place * config.batch_size, len(rows), config.batch_size):
                loop.one_step(
                    epoch, collate([rows[i] for i in numbers[begin : begin + config.batch_size]], model.device)
                )
                if epochs_in is not None and loop.step % loop.steps_an_epoch == 0:
                    lora.save(model, epochs_in / f"epoch-{epoch + 1:02d}")
                run.checkpoints.offer(loop.state)
                advance(1)
    run.checkpoints.keep(loop.state)


class Loop:
    """What changes from step to step."""

    def __init__(self, run: Run, rows: Sequence[Row], config: PlainRecipe) -> None:
        self.step = 0
        self.steps_an_epoch = math.ceil(len(rows) / config.batch_size)
        self.n_steps = config.epochs * self.steps_an_epoch
        self._model, self._config, self._log = run.model, config, run.log
        self._weights = lora.weights(run.model)
        self._optimizer = optimiser(self._weights, config)
        n_warmup = math.ceil(self.n_steps * config.warmup_ratio)
        self._schedule = get_scheduler(SCHEDULES[config.schedule], self._optimizer, n_warmup, self.n_steps)

    def one_step(self, epoch: int, batch: Batch) -> None:
        """Forward, backward, one step of the optimizer and of the schedule; a line in the log."""
        loss = cross_entropy(self._model, batch)
        value = loss.item()
        lora.check_loss(value)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self._weights, self._config.max_grad_norm)
        lr = self._schedule.get_last_lr()[0]
        self._optimizer.step()
        self._schedule.step()
        self._optimizer.zero_grad()
        self.step += 1
        self._log.write(epoch=epoch + 1, lr=lr, loss=value, grad_norm=norm.item())

    def state(self) -> State:
        """All that the next steps depend on; the order of an epoch is drawn from the seed alone."""
        tensors = resume.of_weights(self._weights, self._optimizer) | resume.of_torch(self._model.device)
        schedule: dict[str, Any] = self._schedule.state_dict()
        return State(tensors, {"step": self.step, "schedule": schedule, "log": self._log.lines})

    def go_on_from(self, state: State | None) -> None:
        """Stand where the state was taken; None = at the beginning."""
        if state is None:
            return
        resume.set_weights(state.tensors, self._weights, self._optimizer)
        resume.set_torch(state.tensors, self._model.device)
        self._schedule.load_state_dict(state.values["schedule"])
        for group, lr in zip(self._optimizer.param_groups, self._schedule.get_last_lr(), strict=True):
            group["lr"] = lr
        self._log.again(state.values["log"])
        self.step = state.values["step"]


def optimiser(weights: Sequence[nn.Parameter], config: TrainConfig) -> torch.optim.AdamW:
    """AdamW as the Trainer makes it: fused, betas .9 and .999."""
    fused = weights[0].device.type in ("cpu", "cuda")
    return torch.optim.AdamW(weights, lr=config.lr, weight_decay=config.weight_decay, fused=fused)
