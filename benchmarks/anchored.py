"""KL-anchored fine-tuning, to compare pack with: the new facts' own tokens hold the model, instead of replay.

    L = mean over answer tokens of  w CE + weight KL(base || adapted),   w = 1, or the token's own probability

w = 1 is fine-tuning with a KL anchor; w = p (no gradient through it) is anchored supervised fine-tuning, ASFT (Zhu et
al. 2025, arXiv 2509.23753; LLaMA-Factory's use_asft_loss, its asft_alpha .1). Rank, layers, rate, steps and contexts
are pack's, so that what holds the base is the only thing in which they differ.
"""

from collections.abc import Iterator, Sequence

import polars as pl
import torch
from torch import Tensor, nn

from knowpack.config import KeepRecipe
from knowpack.model.loaded import Loaded
from knowpack.train.base_answers import BaseAnswer, divergence
from knowpack.train.batch import Row
from knowpack.train.certainty import wordings
from knowpack.train.contexts import Contexts
from knowpack.train.objective import Term, TermInput
from knowpack.train.shared import answer_logits, places

AT_ONCE = 128  # rows
NO_REPLAY = {"kl_weight": 0.0, "n_replay": 0, "n_made_up": 0, "n_other_forms": 0, "n_texts": 0}


def terms(
    loaded: Loaded, examples: pl.DataFrame, contexts: Contexts, recipe: KeepRecipe, weight: float, by_probability: bool
) -> Sequence[Term]:
    """The terms beside the recipe's cross-entropy; the base is asked for its distribution at every row now."""
    new, base = wordings(examples, contexts), dict[tuple[int, tuple[int, ...]], BaseAnswer]()
    for context, prefix in enumerate(contexts.prefixes):
        rows = list({row for fact in range(new.n) for row in new.rows(context, fact, falling=True)})
        base |= {(context, one.row.ids): one for one in distributions(loaded, prefix, rows, recipe.top_k)}

    def anchor(seen: TermInput) -> Tensor | None:
        if not seen.drawn.new:
            return None
        return divergence(seen.new, [base[seen.drawn.context, row.ids] for row in seen.drawn.new]).mean()

    to_base = Term("anchor", weight, anchor)
    return (to_base, Term("by_probability", 1.0, less_of_the_unlikely)) if by_probability else (to_base,)


@torch.no_grad()
def distributions(loaded: Loaded, prefix: Sequence[int], rows: Sequence[Row], top_k: int) -> Iterator[BaseAnswer]:
    """The base at each target of the rows behind the prefix: its top_k likeliest tokens."""
    for start in range(0, len(rows), AT_ONCE):
        some = rows[start : start + AT_ONCE]
        logprobs, ids = answer_logits(loaded.model, prefix, some).log_softmax(-1).topk(top_k, dim=-1)
        counts = [len(row.ids) - row.n_prompt for row in some]
        yield from map(BaseAnswer, some, torch.split(ids.int(), counts), torch.split(logprobs, counts))


def less_of_the_unlikely(seen: TermInput) -> Tensor | None:
    """Mean of (p - 1) CE: beside the recipe's mean CE it leaves p CE, p without gradient."""
    if not seen.drawn.new:
        return None
    targets = places(seen.drawn.new).targets.to(seen.new.device)
    each = nn.functional.cross_entropy(seen.new, targets, reduction="none")
    return (((-each).exp().detach() - 1) * each).mean()
