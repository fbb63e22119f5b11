"""Examples -> padded batches of token ids, and the logits where a loss is wanted.

Example table -> rows (ids, where the loss begins) -> batches (batch, seq).
"""

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import polars as pl
import torch
from peft import PeftModel
from torch import Tensor

if TYPE_CHECKING:
    from knowpack.probe.prompts import Prompter

NO_LOSS = -100  # what cross_entropy ignores


class Row(NamedTuple):
    """One example as token ids; ids[n_prompt:] carry the loss."""

    ids: tuple[int, ...]
    n_prompt: int


class Batch(NamedTuple):
    """Rows padded on the right. A causal model never sees the padding, so there is no mask."""

    ids: Tensor  # (batch, seq)
    targets: Tensor  # (batch, n_keep) the token after each kept position, NO_LOSS where none is wanted
    n_keep: int  # the last positions whose logits are needed


def encode(examples: pl.DataFrame, prompter: "Prompter", loss: str) -> list[Row]:
    """Examples -> rows, in order: the zero-shot conversation; the loss on the answer, or on every token."""
    rows = []
    for question, answer in examples.select("question", "answer").iter_rows():
        encoded = prompter.example(question, answer)
        rows.append(Row(tuple(encoded.ids), encoded.n_prompt if loss == "answer" else 1))
    return rows


def collate(rows: Sequence[Row], device: torch.device) -> Batch:
    """Rows -> one batch. Only positions from the first that has a loss get logits."""
    width = max(len(row.ids) for row in rows)
    first = min(row.n_prompt for row in rows)  # the token at n_prompt is predicted one position before
    ids = torch.zeros((len(rows), width), dtype=torch.long)
    targets = torch.full((len(rows), width), NO_LOSS)
    for index, row in enumerate(rows):
        ids[index, : len(row.ids)] = torch.tensor(row.ids)
        targets[index, row.n_prompt - 1 : len(row.ids) - 1] = torch.tensor(row.ids[row.n_prompt :])
    return Batch(ids.to(device), targets[:, first - 1 :].to(device), width - first + 1)


def logits(model: PeftModel, batch: Batch) -> Tensor:
    """The logits of the last n_keep positions, # (batch, n_keep, vocabulary)."""
    if "logits_to_keep" in inspect.signature(model.get_base_model().forward).parameters:
        kept = model(input_ids=batch.ids, use_cache=False, logits_to_keep=batch.n_keep).logits
    else:
        kept = model(input_ids=batch.ids, use_cache=False).logits[:, -batch.n_keep :]
    assert isinstance(kept, Tensor)
    return kept
