"""How a model can be asked, by what it gives: prefixes shared, caches copied, or each prompt whole.

Forward + the tokens of the longest row -> the fastest way whose logits are the model's own at that length. A few tokens
do not tell: windows, chunks and positions that scale with the length (longrope, dynamic NTK) show only in long rows,
so each new length is tried before it is asked for. (DESIGN.md, "an architecture: the self-check decides".)
"""

import copy
import warnings
from collections.abc import Callable, Sequence
from enum import Enum

import torch
from torch import Tensor

from knowpack.decode.copied_cache import cache_in, forward_copied, last_logits
from knowpack.decode.forward import Forward
from knowpack.decode.rows import Tree
from knowpack.decode.whole_prompts import fresh_positions
from knowpack.model.loaded import Loaded
from knowpack.model.memory import alone

SHORTEST = 12
"""Tokens of the first trial."""
N_BEFORE = 4
"""Tokens of the trial's prefix: short, so that what changes with the length lies behind it."""
ERRORS = (NotImplementedError, TypeError, ValueError, AttributeError, IndexError, KeyError, RuntimeError)
"""What an architecture raises that cannot be asked in a way."""


class Way(Enum):
    """From the fastest to the slowest; the value is what is said of it."""

    SHARED = "prefixes are shared"
    COPIED = "its cache is copied for each row: same answers, slower"
    WHOLE = "each prompt is computed whole, by transformers' generate: same answers, slowest"


CANNOT = {Way.SHARED: "cannot share a prefix", Way.COPIED: "cannot go on from a copied cache"}


class Ways:
    """Which way holds for one model at which length; found out once, when first needed."""

    def __init__(self, forward: Forward) -> None:
        self._forward = forward
        self._holds_to: dict[Way, int] = {}
        self._fails_from: dict[Way, int] = {}

    def at(self, n_tokens: int = 0) -> Way:
        """The fastest way that holds for rows of up to n_tokens, their prefixes and new tokens counted in."""
        failed: list[str] = []
        way = next((way for way in (Way.SHARED, Way.COPIED) if self._holds(way, n_tokens, failed)), Way.WHOLE)
        if failed:
            loaded = self._forward.loaded
            warnings.warn(f"{loaded.name} ({type(loaded.model).__name__}) {failed[0]}; {way.value}", stacklevel=3)
        return way

    def _holds(self, way: Way, n_tokens: int, failed: list[str]) -> bool:
        """Whether a way holds at this length; what has just been found not to is said in `failed`."""
        n_tokens = max(n_tokens, SHORTEST)
        if n_tokens <= self._holds_to.get(way, 0):
            return True
        if n_tokens >= self._fails_from.get(way, n_tokens + 1):
            return False
        if n_tokens > SHORTEST and not self._holds(way, SHORTEST, failed):
            return False
        reason = self._differs(n_tokens, self._shared if way is Way.SHARED else self._copied)
        if reason is None:
            self._holds_to[way] = n_tokens
            return True
        self._fails_from[way] = n_tokens
        length = "" if n_tokens == SHORTEST else f" in rows of {n_tokens:,} tokens"
        failed.append(f"{CANNOT[way]}{length} ({' '.join(reason.split())[:200]})")
        return False

    def _differs(self, n_tokens: int, logits: Callable[[list[list[int]]], Tensor]) -> str | None:
        """Why logits are not the model's own on two rows of ids, one of them n_tokens long; None where they are."""
        loaded = self._forward.loaded
        ids = [(7 * i * i + 3) % loaded.n_vocabulary for i in range(n_tokens)]
        rows = [ids, [*ids[:N_BEFORE], *ids[-N_BEFORE:]]]
        expected = alone(lambda: torch.cat([plain_logits(loaded, row) for row in rows]), self._forward.forget)
        if not bool(torch.isfinite(expected).all()):
            return None  # nothing to compare with: the answers will show it
        try:
            actual = alone(lambda: logits(rows), self._forward.forget)  # no memory is no reason against a way
        except ERRORS as error:
            return f"{type(error).__name__}: {error}"
        finally:
            self._forward.forget()
            fresh_positions(loaded.model)
        half = not expected.dtype == actual.dtype == torch.float32
        return differ(actual.float(), expected.float(), half=half)

    def _shared(self, rows: list[list[int]]) -> Tensor:
        with self._forward.session():
            prefix = self._forward.prefix(rows[0][:N_BEFORE])
            trees = [Tree(row[N_BEFORE:]) for row in rows]
            return self._forward.rows(prefix, trees, [[len(tree.ids) - 1] for tree in trees]).logits

    def _copied(self, rows: list[list[int]]) -> Tensor:
        """Prefix, then two equal tails at once, then the last token of one of them alone: all that decoding does."""
        loaded, outputs = self._forward.loaded, []
        with torch.inference_mode():
            before = cache_in(loaded.model, forward_copied(loaded, [rows[0][:N_BEFORE]], None))
            for row in rows:
                own = copy.deepcopy(before)
                own.batch_repeat_interleave(2)
                own = cache_in(loaded.model, forward_copied(loaded, [row[N_BEFORE:-1]] * 2, own))
                own.batch_select_indices(torch.tensor([1], device=loaded.device))
                outputs.append(forward_copied(loaded, [row[-1:]], own).logits[:, -1])
        return torch.cat(outputs)


def differ(actual: Tensor, expected: Tensor, *, half: bool) -> str | None:
    """Why two float32 (rows, vocabulary) logits are not the same but for rounding; None where they are.

    half: whether they were computed in half precision.

    In float32 no logit may be off by 1e-4 of the largest. In half precision single logits round by a twentieth of that
    and more, so that a whole row counts: the root mean square of what is off, by that of the row, each about its mean.
    Between two arrangements of real models it is .01 to .055 in bfloat16; a token left out or misplaced moves it to .14
    and more (SmolLM2-135M, Gemma 3 270M, Qwen2.5-Coder-0.5B; 12 to 600 tokens).
    """
    off = actual - expected
    if half:
        gap, limit = (_spread(off) / _spread(expected).clamp_min(1e-6)).max(), 0.1
    else:
        gap, limit = off.abs().max() / expected.abs().max().clamp_min(1e-6), 1e-4
    return None if float(gap) <= limit else f"logits differ by {float(gap):.1e} of their size"


def _spread(logits: Tensor) -> Tensor:
    """(rows,) root mean square about the row's mean: what all logits gain alike changes no answer."""
    return logits.std(-1, correction=0)


def plain_logits(loaded: Loaded, ids: Sequence[int]) -> Tensor:
    """(1, vocabulary) logits after ids, by the model's own forward without a cache."""
    model = loaded.model
    fresh_positions(model)
    training = model.training
    model.train(False)
    try:
        with torch.inference_mode():
            input_ids = torch.tensor([list(ids)], device=loaded.device)
            logits: Tensor = model(input_ids=input_ids, use_cache=False, **last_logits(model, 1)).logits[:, -1]
    finally:
        model.train(training)
    return logits
