"""Pretrain the lab's model: a world -> a Llama in the transformers layout, with checkpoints that survive a kill.

The corpus of each epoch is packed into rows of 256 tokens (every fourth batch: rows of 512). Matrices are trained
by Muon (Jordan et al. 2024), the rest by AdamW; cosine decay.
"""

import math
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, cast

import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from knowpack.lab import checkpoint
from knowpack.lab.checkpoint import Place
from knowpack.lab.corpus import N_EPOCHS, documents
from knowpack.lab.forms import BOS, END, PAD, SPECIAL
from knowpack.lab.muon import Muon
from knowpack.lab.sizes import Size
from knowpack.lab.tokenizer import MAX_LENGTH, train_tokenizer
from knowpack.lab.world import World
from knowpack.progress import SILENT, Progress
from knowpack.seeds import seed_of
from knowpack.store import write_json

ROW = 256  # tokens of a row
LR_MATRICES, LR_REST = 5e-3, 4e-3
WEIGHT_DECAY = 0.05
BETAS = (0.9, 0.95)
WARMUP_STEPS = 100
FLOOR = 0.02  # of the learning rate, at the end
CLIP = 1.0
CHECKPOINT_SECONDS = 120.0
PAD_ID, BOS_ID, END_ID = (SPECIAL.index(token) for token in (PAD, BOS, END))  # a trained tokenizer starts with these

Optimizers = list[torch.optim.Optimizer]


class Batch(NamedTuple):
    """One batch, and where in the build it stands."""

    ids: torch.Tensor
    epoch: int
    number: int
    done: float
    """Share of the build before it, 0..1."""


def pretrain(
    world: World, out: Path, *, checkpoint_seconds: float = CHECKPOINT_SECONDS, progress: Progress = SILENT
) -> Path:
    """Train from scratch, or on from the checkpoint in `out`; the finished model's folder is `out`/model."""
    work = out / "checkpoint"
    place = checkpoint.find(work) or Place(world.seed, world.size.name, world.size.tokens)
    tokenizer = train_tokenizer(documents(world, 0)[::2], world.size.vocab)
    torch.manual_seed(seed_of(world.seed, "init"))
    model = placed(new_model(world.size), device())
    optimizers = make_optimizers(model)
    if place.step:
        checkpoint.restore(work, model, optimizers)
    started, saved, loss = time.monotonic() - place.seconds, time.monotonic(), 0.0
    with progress.stage("pretraining, tokens", world.size.tokens) as advance:
        advance(place.n_tokens)
        for ids, epoch, number, done in batches(world, tokenizer, place.epoch, place.batch):
            set_rates(optimizers, place.step, done)
            loss = train_step(model, optimizers, ids.to(device()))
            advance(ids.numel())
            now = time.monotonic()
            place = replace(
                place,
                epoch=epoch,
                batch=number + 1,
                step=place.step + 1,
                n_tokens=place.n_tokens + ids.numel(),
                seconds=now - started,
            )
            if now - saved > checkpoint_seconds:
                checkpoint.save(work, model, optimizers, place)
                saved = now
    save_model(model, tokenizer, out / "model")
    write_json(out / "build.json", {**_summary(place), "last_loss": loss})
    shutil.rmtree(work, ignore_errors=True)
    return out / "model"


def batches(world: World, tokenizer: PreTrainedTokenizerFast, epoch: int = 0, skip: int = 0) -> Iterator[Batch]:
    """The batches of the build in order, from batch `skip` of this epoch on."""
    for number in range(epoch, N_EPOCHS):
        rows = packed(tokenizer, documents(world, number))  # (batches * batch, ROW)
        n_batches = len(rows) // world.size.batch
        for i in range(skip if number == epoch else 0, n_batches):
            yield Batch(shaped(rows, i, world.size.batch), number, i, (number + i / n_batches) / N_EPOCHS)


def packed(tokenizer: PreTrainedTokenizerFast, docs: list[str]) -> torch.Tensor:
    """Documents one after the other, each BOS ... END, cut into rows; the last, short row is dropped. # (rows, ROW)"""
    stream: list[int] = []
    for encoding in tokenizer.backend_tokenizer.encode_batch(docs, add_special_tokens=False):
        stream += [BOS_ID, *encoding.ids, END_ID]
    n_rows = len(stream) // ROW
    return torch.tensor(stream[: n_rows * ROW]).view(n_rows, ROW)


def shaped(rows: torch.Tensor, number: int, size: int) -> torch.Tensor:
    """Batch `number`; every fourth as half as many rows of twice the length."""
    ids = rows[number * size : (number + 1) * size]  # (size, ROW)
    return ids.reshape(-1, 2 * ROW) if number % 4 == 3 and size % 2 == 0 else ids


def new_model(size: Size) -> LlamaForCausalLM:
    """A Llama of this size with fresh weights, float32."""
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=size.vocab,
            hidden_size=size.hidden,
            intermediate_size=size.ff,
            num_hidden_layers=size.layers,
            num_attention_heads=size.heads,
            num_key_value_heads=size.heads,
            max_position_embeddings=MAX_LENGTH,
            tie_word_embeddings=True,
            bos_token_id=BOS_ID,
            eos_token_id=END_ID,
            pad_token_id=PAD_ID,
        )
    )


def make_optimizers(model: LlamaForCausalLM) -> Optimizers:
    """Muon for the matrices of the layers, AdamW for embeddings and norms."""
    named = list(model.named_parameters())
    matrices = [p for name, p in named if p.ndim == 2 and "embed" not in name]
    rest = [p for name, p in named if p.ndim != 2 or "embed" in name]
    return [
        Muon(matrices, lr=LR_MATRICES, weight_decay=WEIGHT_DECAY),
        torch.optim.AdamW(rest, lr=LR_REST, betas=BETAS, weight_decay=WEIGHT_DECAY),
    ]


def set_rates(optimizers: Optimizers, step: int, done: float) -> None:
    """Linear warm-up, then cosine decay over the whole build."""
    cosine = FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * done))
    for optimizer, rate in zip(optimizers, (LR_MATRICES, LR_REST), strict=True):
        for group in optimizer.param_groups:
            group["lr"] = rate * cosine * min(1.0, (step + 1) / WARMUP_STEPS)


def train_step(model: LlamaForCausalLM, optimizers: Optimizers, ids: torch.Tensor) -> float:
    """One step on one batch, loss on every token. ids: (rows, length). Returns nats a token."""
    loss = cast(torch.Tensor, model(input_ids=ids, labels=ids, use_cache=False).loss)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return loss.item()


def tokens_in(minutes: float, size: Size, steps: int = 8) -> int:
    """How many tokens this machine trains on in so many minutes, by timing a few steps on random ids."""
    model = placed(new_model(size), device())
    optimizers = make_optimizers(model)
    ids = torch.arange(size.batch * ROW, device=device()).view(size.batch, ROW) % size.vocab
    train_step(model, optimizers, ids)
    started = time.monotonic()
    for _ in range(steps):
        train_step(model, optimizers, ids)
    return int(minutes * 60 * steps * ids.numel() / (time.monotonic() - started))


def save_model(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """The ordinary transformers layout, the chat template inside tokenizer_config.json."""
    make = cast("Callable[..., GenerationConfig]", GenerationConfig)
    model.generation_config = make(bos_token_id=BOS_ID, eos_token_id=END_ID, pad_token_id=PAD_ID)
    placed(model, torch.device("cpu")).save_pretrained(folder)
    tokenizer.save_pretrained(folder, save_jinja_files=False)
    settings = folder / "tokenizer_config.json"  # the name that every version of transformers knows
    settings.write_text(settings.read_text().replace("TokenizersBackend", "PreTrainedTokenizerFast"))


def placed(model: LlamaForCausalLM, where: torch.device) -> LlamaForCausalLM:
    """The model itself, moved to this device."""
    cast(torch.nn.Module, model).to(where)
    return model


def device() -> torch.device:
    """A GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _summary(place: Place) -> dict[str, object]:
    return {"seed": place.seed, "size": place.size, "n_tokens": place.n_tokens, "seconds": round(place.seconds)}
