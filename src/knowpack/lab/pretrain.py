"""Pretrain the lab's model: a world -> a Llama in the transformers layout, with checkpoints that survive a kill.

The corpus of each epoch is packed into rows of 256 tokens (every fourth batch: rows of 512). Matrices are trained
by Muon (Jordan et al. 2024), the rest by AdamW; cosine decay.
"""

import json
import math
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import torch
from safetensors.torch import load_file, save_file
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from knowpack.errors import ModelError, StoreError
from knowpack.lab.corpus import BOS, END, N_EPOCHS, PAD, documents
from knowpack.lab.sizes import Size
from knowpack.lab.tokenizer import MAX_LENGTH, train_tokenizer
from knowpack.lab.world import World
from knowpack.seeds import seed_of

ROW = 256  # tokens of a row
LR_MATRICES, LR_REST = 5e-3, 4e-3
WEIGHT_DECAY = 0.05
BETAS = (0.9, 0.95)
WARMUP_STEPS = 100
FLOOR = 0.02  # of the learning rate, at the end
CHECKPOINT_SECONDS = 120.0


class Report(Protocol):
    """Called after every step."""

    def __call__(self, done: float, n_tokens: int, loss: float) -> None:
        """done: share of the build, 0..1; n_tokens so far; loss: running mean, nats a token."""


@dataclass(frozen=True, slots=True)
class Place:
    """How far a build is: what a checkpoint holds beside the tensors."""

    epoch: int
    batch: int
    """Batches of this epoch already trained on."""
    step: int
    n_tokens: int
    seconds: float


def pretrain(world: World, out: Path, *, report: Report, checkpoint_seconds: float = CHECKPOINT_SECONDS) -> Path:
    """Train from scratch, or from the checkpoint in `out`; the finished model's folder is `out`/model."""
    work = out / "checkpoint"
    tokenizer = train_tokenizer(documents(world, 0)[::2], world.size.vocab)
    torch.manual_seed(seed_of(world.seed, "init"))
    model = new_model(world.size, tokenizer)
    optimizers = make_optimizers(model)
    place = load_checkpoint(work, model, optimizers, world) if work.exists() else Place(0, 0, 0, 0, 0.0)
    started = saved = time.monotonic()
    mean_loss: float | None = None
    model.train()
    for epoch in range(place.epoch, N_EPOCHS):
        rows = packed(tokenizer, documents(world, epoch))  # (n_batches * batch, ROW)
        n_batches = len(rows) // world.size.batch
        for batch in range(place.batch if epoch == place.epoch else 0, n_batches):
            done = (epoch + batch / n_batches) / N_EPOCHS
            set_rates(optimizers, place.step, done)
            loss = train_step(model, optimizers, shaped(rows, batch, world.size.batch))
            mean_loss = loss if mean_loss is None else 0.98 * mean_loss + 0.02 * loss
            now = time.monotonic()
            place = Place(
                epoch,
                batch + 1,
                place.step + 1,
                place.n_tokens + ROW * world.size.batch,
                place.seconds + now - started,
            )
            started = now
            report(done, place.n_tokens, mean_loss)
            if now - saved > checkpoint_seconds:
                save_checkpoint(work, model, optimizers, world, place)
                saved = now
    save_model(model, tokenizer, out / "model")
    (out / "build.json").write_text(
        json.dumps(
            {
                "seed": world.seed,
                "size": world.size.name,
                "n_tokens": place.n_tokens,
                "seconds": round(place.seconds),
                "loss": mean_loss,
            }
        )
    )
    shutil.rmtree(work, ignore_errors=True)
    return out / "model"


def new_model(size: Size, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """A Llama of this size with fresh weights, float32."""
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=size.vocab, hidden_size=size.hidden, intermediate_size=size.ff, num_hidden_layers=size.layers,
            num_attention_heads=size.heads, num_key_value_heads=size.heads, max_position_embeddings=MAX_LENGTH,
            tie_word_embeddings=True, bos_token_id=tokenizer.convert_tokens_to_ids(BOS),
            eos_token_id=tokenizer.convert_tokens_to_ids(END), pad_token_id=tokenizer.convert_tokens_to_ids(PAD),
        )
    )  # fmt: skip


def make_optimizers(model: LlamaForCausalLM) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, AdamW for embeddings and norms."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    rest = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    return [
        torch.optim.Muon(matrices, lr=LR_MATRICES, weight_decay=WEIGHT_DECAY, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=LR_REST, betas=BETAS, weight_decay=WEIGHT_DECAY),
    ]


def set_rates(optimizers: list[torch.optim.Optimizer], step: int, done: float) -> None:
    """Linear warm-up, then cosine decay over the whole build."""
    scale = min(1.0, (step + 1) / WARMUP_STEPS) * (FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * done)))
    for optimizer, rate in zip(optimizers, (LR_MATRICES, LR_REST), strict=True):
        for group in optimizer.param_groups:
            group["lr"] = rate * scale


def train_step(model: LlamaForCausalLM, optimizers: list[torch.optim.Optimizer], ids: torch.Tensor) -> float:
    """One step on one batch; loss on every token, nats."""
    loss = cast(torch.Tensor, model(input_ids=ids, labels=ids, use_cache=False).loss)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return loss.item()


def packed(tokenizer: PreTrainedTokenizerFast, docs: list[str]) -> torch.Tensor:
    """Documents one after the other, each BOS ... END, cut into rows; the last, short row is dropped. # (rows, ROW)"""
    bos, end = tokenizer.convert_tokens_to_ids([BOS, END])
    stream: list[int] = []
    for encoding in tokenizer.backend_tokenizer.encode_batch(docs, add_special_tokens=False):
        stream += [bos, *encoding.ids, end]
    n_rows = len(stream) // ROW
    return torch.tensor(stream[: n_rows * ROW]).view(n_rows, ROW)


def shaped(rows: torch.Tensor, batch: int, size: int) -> torch.Tensor:
    """Batch number `batch`; every fourth as half as many rows of twice the length."""
    ids = rows[batch * size : (batch + 1) * size]
    return ids.reshape(-1, 2 * ROW) if batch % 4 == 3 and size % 2 == 0 else ids


def save_model(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """The ordinary transformers layout, the chat template inside tokenizer_config.json."""
    config = model.config
    model.generation_config = GenerationConfig(
        bos_token_id=config.bos_token_id, eos_token_id=config.eos_token_id, pad_token_id=config.pad_token_id
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder, save_jinja_files=False)


def optimizer_tensors(optimizers: list[torch.optim.Optimizer]) -> Iterator[tuple[str, torch.Tensor]]:
    """The optimizers' state as named tensors."""
    for i, optimizer in enumerate(optimizers):
        for j, state in optimizer.state_dict()["state"].items():
            for key, value in state.items():
                yield f"{i}.{j}.{key}", torch.as_tensor(value).clone()


def save_checkpoint(
    folder: Path, model: LlamaForCausalLM, optimizers: list[torch.optim.Optimizer], world: World, place: Place
) -> None:
    """Written beside, then renamed: a kill leaves the old checkpoint or the new one."""
    fresh = folder.with_name(folder.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    weights = {name: p.detach().clone() for name, p in model.named_parameters()}
    save_file(weights, fresh / "weights.safetensors")
    save_file(dict(optimizer_tensors(optimizers)), fresh / "optimizer.safetensors")
    state = {name: getattr(place, name) for name in Place.__slots__}
    (fresh / "place.json").write_text(json.dumps({"seed": world.seed, "size": world.size.name, **state}))
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)


def load_checkpoint(
    folder: Path, model: LlamaForCausalLM, optimizers: list[torch.optim.Optimizer], world: World
) -> Place:
    """Put the checkpoint's tensors in place and return how far the build was."""
    try:
        state = json.loads((folder / "place.json").read_text())
        weights = load_file(folder / "weights.safetensors")
        tensors = load_file(folder / "optimizer.safetensors")
    except Exception as error:
        raise ModelError(f"{folder} holds a half-written checkpoint ({error}); delete it and build again") from error
    if (state.pop("seed"), state.pop("size")) != (world.seed, world.size.name):
        raise StoreError(f"{folder} is of another seed or size; choose another --out or delete it")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(weights[name])
    for i, optimizer in enumerate(optimizers):
        saved: dict[int, dict[str, torch.Tensor]] = {}
        for key, tensor in tensors.items():
            k, j, name = key.split(".")
            if int(k) == i:
                saved.setdefault(int(j), {})[name] = tensor
        optimizer.load_state_dict({"state": saved, "param_groups": optimizer.state_dict()["param_groups"]})
    return Place(**state)
