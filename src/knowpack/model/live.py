"""Is an adapter live? The largest change of a logit that it makes, on a few fixed rows of ids.

Logits of the base, of plain peft and of the merged weights on the same ids -> the change, and whether the merge says
what peft says. An adapter that changes nothing has change 0, and a merge that is not peft's is refused.
"""

import torch
from torch import Tensor

from knowpack.errors import ModelError

N_ROWS, N_IDS = 4, 12


def rows_of_ids(n_vocabulary: int, also: list[int], device: torch.device) -> Tensor:
    """(N_ROWS, N_IDS) ids spread over the vocabulary; `also` stand at the beginning of the last row."""
    flat = [(7 * i * i + 3 * i + 1) % n_vocabulary for i in range(N_ROWS * N_IDS)]
    taken = also[: N_IDS - 2]
    start = (N_ROWS - 1) * N_IDS
    flat[start : start + len(taken)] = taken
    return torch.tensor(flat, device=device).view(N_ROWS, N_IDS)


@torch.no_grad()
def logits_on(model: torch.nn.Module, ids: Tensor) -> Tensor:
    """(rows, ids, vocabulary) in float32, without dropout."""
    training = model.training
    model.train(False)
    try:
        logits: Tensor = model(input_ids=ids, use_cache=False).logits.float()
    finally:
        model.train(training)
    return logits


def largest_change(base: Tensor, tuned: Tensor, name: str) -> float:
    """Largest absolute change of a logit. Raises ModelError where the tuned model gives NaN or infinite logits."""
    if not bool(torch.isfinite(tuned).all()):
        raise ModelError(f"with the adapter {name} the model's logits are NaN or infinite; its numbers are too large")
    return float((tuned - base).abs().max())


def check_merge(peft: Tensor, merged: Tensor, base: Tensor, name: str, half: bool) -> None:
    """Raise ModelError where merged weights do not say what plain peft says.

    The gap is rounding: it may be a small part of the logits' size, or of the adapter's own effect; a merge into
    the wrong weight is off by about the effect itself. half: the weights have 8 to 11 bits, and rounding is coarse.
    """
    gap, effect, size = _compared(merged, peft, base)
    if gap > (0.5 * effect + 0.1 * size if half else 0.02 * effect + 1e-3 * size):
        raise ModelError(
            f"the adapter {name} cannot be merged: logits differ by {gap:.2g} from plain peft's "
            f"(its effect is {effect:.2g}); merge it by its own software and give the merged model"
        )


def check_loads(peft: Tensor, another: Tensor, base: Tensor, name: str) -> None:
    """Raise ModelError where two loads by plain peft do not say the same: no one has the model that was trained."""
    gap, effect, size = _compared(another, peft, base)
    if gap > 0.02 * effect + 1e-3 * size:
        raise ModelError(
            f"the adapter {name} rewrites the base by a randomised SVD (init_lora_weights): two loads by peft differ "
            f"by {gap:.2g} in a logit, where its effect is {effect:.2g}; have it saved as a plain LoRA "
            "(path_initial_model_for_weight_conversion of peft's save_pretrained)"
        )


def _compared(ours: Tensor, peft: Tensor, base: Tensor) -> tuple[float, float, float]:
    """Largest gap to plain peft, peft's own effect, size of its logits."""
    return float((ours - peft).abs().max()), float((peft - base).abs().max()), float(peft.abs().max())
