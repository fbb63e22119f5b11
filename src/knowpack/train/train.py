"""Training: question-answer examples -> a LoRA adapter on the base in memory. Read it from top to bottom.

base + examples + TrainConfig + seed -> adapter folder (peft's files, README.md, train_log.jsonl).
Paper: section 4.2. Same settings, dropout 0, float32: the weights that transformers' Trainer with peft gives.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import torch
from peft import PeftModel
from torch import nn
from transformers import get_scheduler

from knowpack.config import TrainConfig
from knowpack.errors import ModelError
from knowpack.model.loaded import Loaded
from knowpack.probe.prompts import Prompter, Shot
from knowpack.progress import SILENT, Progress
from knowpack.records import Kind
from knowpack.seeds import stream
from knowpack.train import card, keep, lora, track
from knowpack.train.base_answers import Replay, build
from knowpack.train.batch import NO_LOSS, Row, batches, encode, logits
from knowpack.train.contexts import Contexts
from knowpack.train.frozen import fast_training

SCHEDULES = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}  # names in transformers


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What `on_epoch` gets; the adapter is on the base while it runs."""

    epoch: int
    """From 1."""
    model: PeftModel
    adapter_dir: Path | None
    """Where this epoch's adapter was saved; None = train.checkpoint_each_epoch is off."""


@dataclass(frozen=True, slots=True)
class TrainResult:
    """An adapter on disk and how it came about."""

    adapter_dir: Path
    log: list[track.Line]
    seconds: float
    """Training, and with config.keep the base's answers to the replay prompts; without saving and checking."""
    effect: float
    """Largest change of a logit that the adapter makes on the first examples."""


def train(
    loaded: Loaded,
    examples: pl.DataFrame,
    config: TrainConfig,
    seed: int,
    out: Path,
    *,
    prompter: Prompter,
    on_epoch: Callable[[Checkpoint], None] | None = None,
    progress: Progress = SILENT,
    contexts: Sequence[Sequence[Shot]] = ((),),
    replay: Replay | None = None,
) -> TrainResult:
    """Examples -> adapter in `out`. The base comes back bit for bit.

    contexts: with config.keep, the few-shot prompts to train under; () is the bare question. replay: the base's
    answers to the replay examples, where they are there from an earlier call with the same examples and contexts.
    """
    replayed = examples["kind"] == str(Kind.REPLAY)
    asked, examples = examples.filter(replayed), examples.filter(~replayed)
    if examples.is_empty():
        raise ModelError("there is nothing to train on: the example table has no facts to learn")
    started = time.perf_counter()
    if config.keep is not None and replay is None:
        replay = build(loaded, asked["question"].to_list(), Contexts(prompter, contexts), config.keep, seed)
    with lora.adapted(loaded.model, config, seed) as model, track.Log(out, config, seed) as log:
        if replay is None:
            rows = encode(examples, prompter, config.loss)
            fit(model, rows, config, seed, log=log, on_epoch=_saving(out, config, on_epoch), progress=progress)
        else:
            keep.fit(model, examples, replay, config, seed, log=log, progress=progress)
        seconds = time.perf_counter() - started
        sample = encode(examples[:1], prompter, config.loss)[0]
        probe_ids = torch.tensor([sample.ids], device=model.device)
        effect = lora.effect(model, probe_ids)
        lora.save(model, out)
    with lora.reloaded(loaded.model, out) as model:
        again = lora.effect(model, probe_ids)
    if not math.isclose(effect, again, rel_tol=1e-2, abs_tol=1e-4):
        raise ModelError(f"the saved adapter is not the trained one: logits move by {again:.4g}, not {effect:.4g}")
    card.write(out, loaded.name, loaded.weights_hash, examples, config, seed)
    return TrainResult(out, log.lines, seconds, effect)


def fit(
    model: PeftModel,
    rows: Sequence[Row],
    config: TrainConfig,
    seed: int,
    *,
    log: track.Log,
    on_epoch: Callable[[int, PeftModel], None] | None = None,
    progress: Progress = SILENT,
) -> None:
    """The loop: epochs of shuffled batches, AdamW, clipped gradients, a schedule over all steps."""
    weights = lora.weights(model)
    optimizer = optimiser(weights, config)
    n_steps = config.epochs * math.ceil(len(rows) / config.batch_size)
    schedule = get_scheduler(SCHEDULES[config.schedule], optimizer, math.ceil(n_steps * config.warmup_ratio), n_steps)
    model.train()
    with fast_training(model), progress.stage("training steps", n_steps) as advance:
        for epoch in range(config.epochs):
            order = stream(seed, "order", epoch).permutation(len(rows))
            for batch in batches([rows[i] for i in order], config.batch_size, model.device):
                loss = nn.functional.cross_entropy(
                    logits(model, batch).flatten(0, 1).float(), batch.targets.flatten(), ignore_index=NO_LOSS
                )
                loss.backward()  # type: ignore[no-untyped-call]
                norm = nn.utils.clip_grad_norm_(weights, config.max_grad_norm)
                lr = schedule.get_last_lr()[0]
                optimizer.step()
                schedule.step()
                optimizer.zero_grad()
                log.write(epoch=epoch + 1, lr=lr, loss=loss.item(), grad_norm=norm.item())
                advance(1)
            if on_epoch is not None:
                on_epoch(epoch + 1, model)
                model.train()


def optimiser(weights: Sequence[nn.Parameter], config: TrainConfig) -> torch.optim.AdamW:
    """AdamW as the Trainer makes it: fused, betas .9 and .999."""
    fused = weights[0].device.type in ("cpu", "cuda")
    return torch.optim.AdamW(weights, lr=config.lr, weight_decay=config.weight_decay, fused=fused)


def _saving(
    out: Path, config: TrainConfig, on_epoch: Callable[[Checkpoint], None] | None
) -> Callable[[int, PeftModel], None] | None:
    """After each epoch: save where asked, then call back."""
    if on_epoch is None and not config.checkpoint_each_epoch:
        return None

    def after(epoch: int, model: PeftModel) -> None:
        folder = out / f"epoch-{epoch:02d}" if config.checkpoint_each_epoch else None
        if folder is not None:
            lora.save(model, folder)
        if on_epoch is not None:
            on_epoch(Checkpoint(epoch, model, folder))

    return after
