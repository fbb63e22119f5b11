"""Logits of rows that share a context, with gradients: the context is computed once a batch, not once a row.

context ids + rows -> logits at the places that carry a loss, # (n_targets, vocabulary). For training; `decode` is the
fast path without gradients.
"""

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import PreTrainedModel

from knowpack.model.batch import Row


class Places(NamedTuple):
    """Where in a padded batch the loss is, row by row."""

    rows: Tensor  # (n_targets,)
    columns: Tensor  # (n_targets,) the position that predicts the target
    targets: Tensor  # (n_targets,) token ids


def places(rows: Sequence[Row]) -> Places:
    """The targets of all rows, in order: ids[n_prompt:] of each, predicted one position before."""
    row = [index for index, (ids, n_prompt) in enumerate(rows) for _ in range(n_prompt, len(ids))]
    column = [place - 1 for ids, n_prompt in rows for place in range(n_prompt, len(ids))]
    target = [token for ids, n_prompt in rows for token in ids[n_prompt:]]
    return Places(torch.tensor(row), torch.tensor(column), torch.tensor(target))


def answer_logits(model: PeftModel | PreTrainedModel, context: Sequence[int], rows: Sequence[Row]) -> Tensor:
    """Logits that predict each target of `places(rows)` after context + row, # (n_targets, vocabulary), float32."""
    core = cast(PreTrainedModel, model.get_base_model() if isinstance(model, PeftModel) else model)
    cache = None
    if context:
        ids = torch.tensor([list(context)], device=core.device)
        cache = core(input_ids=ids, use_cache=True, logits_to_keep=1).past_key_values
        cache.batch_repeat_interleave(len(rows))
    width = max(len(row.ids) for row in rows)
    padded = torch.zeros((len(rows), width), dtype=torch.long)
    for index, row in enumerate(rows):
        padded[index, : len(row.ids)] = torch.tensor(row.ids)
    at = places(rows)
    row_of, column_of = at.rows.to(core.device), at.columns.to(core.device)
    if not _plain_head(core):
        whole = core(input_ids=padded.to(core.device), past_key_values=cache, use_cache=cache is not None).logits
        return cast(Tensor, whole[row_of, column_of].float())
    body = core.base_model(input_ids=padded.to(core.device), past_key_values=cache, use_cache=cache is not None)
    hidden = body.last_hidden_state[row_of, column_of]  # (n_targets, hidden)
    head = core.get_output_embeddings()  # type: ignore[no-untyped-call]
    assert isinstance(head, nn.Module)
    logits: Tensor = head(hidden)
    return logits.float()


def _plain_head(core: PreTrainedModel) -> bool:
    """Whether logits are the output layer on the last hidden states, and nothing more (no cap, no scale)."""
    config = core.config
    shaped = ("final_logit_softcapping", "logit_scale", "logits_scaling")
    return all(getattr(config, name, None) in (None, 1, 1.0) for name in shaped) and core.base_model is not core
