"""Losses at a large vocabulary in few passes, some tokens at a time.

batch + the adapted model -> mean cross-entropy, nats; logits + tokens -> their log-probabilities; with gradients.

The logits of all tokens of a batch in float32, their softmax and its gradient are the largest tensors of a training
step: 16 rows of 60 tokens at 152,000 words take 600 MB each. Beside a frozen output layer nothing of them is needed
later: with h (n, hidden) what enters it, z = h W^T (n, vocabulary), p = softmax(z) and y the targets,
    L    = 1/m  sum over the m targets of  log sum exp z - z_y
    dL/dh = 1/m  (p - 1_y) W,         rows without a target 0,
so both are computed together, a block of tokens after the other, and only dL/dh is kept for the way back.

Where the logits are there anyway and the log-probabilities l of k tokens j of each are wanted (`logprobs_at`),
    l_j  = z_j - log sum exp z
    dL/dz = scatter(dL/dl) - p sum over j of dL/dl_j,
which needs nothing as large as z but z and its gradient.
"""

from typing import cast
from weakref import WeakKeyDictionary

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import PreTrainedModel

from knowpack.decode.products import product, replaced
from knowpack.model.memory import ran_out
from knowpack.train.batch import NO_LOSS, Batch, logits
from knowpack.train.frozen import DTYPES, transposed_weight

NUMBERS_AT_ONCE = 1 << 24  # logits in one block of products: 64 MB
IN_CACHE = 1 << 19  # logits in one block of passes: 2 MB
_splits: WeakKeyDictionary[PreTrainedModel, bool] = WeakKeyDictionary()


def cross_entropy(model: PeftModel, batch: Batch) -> Tensor:
    """The mean over the batch's targets, nats, float32."""
    core = cast(PreTrainedModel, model.get_base_model())
    if not can_split(core):
        predicted = logits(model, batch).flatten(0, 1).float()
        return nn.functional.cross_entropy(predicted, batch.targets.flatten(), ignore_index=NO_LOSS)
    head = _head(core)
    assert head is not None, "it can be split"
    transposed = transposed_weight(head)
    with replaced({head: _nothing}):
        # of a model that makes its logits float32 (Mamba) it comes so, too: the weight's own dtype holds it exactly
        entering = logits(model, batch).flatten(0, 1).to(head.weight.dtype)
    targets = batch.targets.flatten()
    wanted = (targets != NO_LOSS).nonzero()[:, 0]
    loss: Tensor = _CrossEntropy.apply(  # type: ignore[no-untyped-call]
        entering.index_select(0, wanted), head.weight, transposed, targets[wanted]
    )
    return loss


def logprobs_at(logits: Tensor, ids: Tensor) -> Tensor:
    """log softmax(logits) at these tokens: logits (n, vocabulary) float32, ids (n, k) -> (n, k)."""
    out: Tensor = _LogProbs.apply(logits, ids)  # type: ignore[no-untyped-call]
    return out


def can_split(core: PreTrainedModel) -> bool:
    """Whether the logits are a frozen layer's product and nothing after it; asked once a model."""
    head = _head(core)
    if head is None or head.bias is not None or head.weight.requires_grad:
        return False
    if head.weight.device.type != "cpu" or head.weight.dtype not in DTYPES:
        return False
    if core not in _splits:
        _splits[core] = _is_last(core, head)
    return _splits[core]


def _head(core: PreTrainedModel) -> nn.Linear | None:
    head = core.get_output_embeddings()  # type: ignore[no-untyped-call]
    return head if type(head) is nn.Linear else None


@torch.no_grad()
def _is_last(core: PreTrainedModel, head: nn.Linear) -> bool:
    """Whether what the layer gives leaves the model as it is: numbers from -100 to 100 in its place, which a cap or a
    scale would change, however small the logits are; an error is a no."""
    given = torch.linspace(-100, 100, head.weight.shape[0], dtype=head.weight.dtype)
    training = core.training
    core.train(False)
    try:
        with replaced({head: lambda x: given.expand(*x.shape[:-1], -1)}):
            out = core(input_ids=torch.tensor([[0, 1]]), use_cache=False).logits
    except (TypeError, ValueError, AttributeError, IndexError, KeyError, RuntimeError) as error:
        if ran_out(error):
            raise
        return False
    finally:
        core.train(training)
    return torch.equal(out.float(), given.float().expand(1, 2, -1))


def _nothing(x: Tensor) -> Tensor:
    return x


class _CrossEntropy(torch.autograd.Function):
    """entering (n, hidden), weight (vocabulary, hidden), targets (n,) -> the mean; the weight gets no gradient."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx, entering: Tensor, weight: Tensor, transposed: Tensor, targets: Tensor
    ) -> Tensor:
        n = len(targets)
        of_entering = torch.empty_like(entering)
        total = torch.zeros((), dtype=torch.float64)
        at_once = max(1, NUMBERS_AT_ONCE // weight.shape[0])
        for start in range(0, n, at_once):
            block = slice(start, start + at_once)
            at = targets[block, None]
            z = product(entering[block], weight).float()
            z.sub_(z.amax(-1, keepdim=True))
            of_target = z.gather(1, at)
            sums = z.exp_().sum(-1, keepdim=True)  # z is the exponentials from here on
            total += (sums.log() - of_target).sum(dtype=torch.float64)
            z.mul_((sums * n).reciprocal_()).scatter_add_(1, at, z.new_full(at.shape, -1 / n))
            of_entering[block] = product(z.to(weight.dtype), transposed)
        ctx.save_for_backward(of_entering)
        return (total / n).float()

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        (of_entering,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return of_entering * grads[0].to(of_entering.dtype), None, None, None


class _LogProbs(torch.autograd.Function):
    """logits (n, vocabulary), ids (n, k) -> their log-probabilities (n, k), with the gradient of the logits."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, logits: Tensor, ids: Tensor) -> Tensor:
        sums = [block.logsumexp(-1, keepdim=True) for block in torch.split(logits, _rows_in_cache(logits))]
        of_all = torch.cat(sums) if sums else logits.new_zeros(0, 1)
        ctx.save_for_backward(logits, ids, of_all)
        return logits.gather(1, ids) - of_all

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> tuple[Tensor, None]:
        logits, ids, of_all = ctx.saved_tensors  # type: ignore[attr-defined]
        of_logits = torch.empty_like(logits)
        n = _rows_in_cache(logits)
        blocks = (torch.split(x, n) for x in (of_logits, logits, of_all, ids, grads[0]))
        for out, z, sums, at, given in zip(*blocks, strict=True):
            torch.sub(z, sums, out=out)
            out.exp_().mul_(-given.sum(-1, keepdim=True)).scatter_add_(1, at, given)
        return of_logits, None


def _rows_in_cache(logits: Tensor) -> int:
    return max(1, IN_CACHE // logits.shape[1])
