"""Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon) in float32: matrices with gradients -> one step of each.

torch.optim.Muon orthogonalizes in bfloat16. On a processor without instructions for it those products took nine tenths
of a build's time (docs/LOG.md); float32 costs nothing there, and no more than they do elsewhere at the lab's sizes.
"""

import math
from collections.abc import Iterable

import torch

MOMENTUM = 0.95
N_STEPS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # Jordan's: the steepest at 0 that stay near 1 from there on
EPS = 1e-7
RMS = 0.2  # of a step, as AdamW's are (Liu et al. 2025, Muon is scalable for LLM training, section 2.2)


class Muon(torch.optim.Optimizer):
    """Of matrices: Nesterov's momentum, then its nearest (about) orthogonal matrix in place of it; decoupled decay."""

    def __init__(self, matrices: Iterable[torch.Tensor], lr: float, weight_decay: float) -> None:
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """m <- .95 m + .05 g;  W <- (1 - lr decay) W - lr .2 sqrt(max(rows, columns)) orthogonal(.05 g + .95 m)."""
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                momentum = self.state[matrix].setdefault("momentum_buffer", torch.zeros_like(matrix))
                momentum.lerp_(matrix.grad, 1 - MOMENTUM)
                ahead = matrix.grad.lerp(momentum, MOMENTUM)
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.add_(orthogonal(ahead), alpha=-group["lr"] * RMS * math.sqrt(max(matrix.shape)))


def orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """About U V' of a matrix U S V' # (rows, columns): its directions kept, each about as long as the others.

    X <- a X + (b X X' + c (X X')^2) X changes the singular values alone, s <- a s + b s^3 + c s^5. From U S V' / |S|,
    whose values are at most 1, five rounds bring all but the smallest into .68 to 1.13. The short side's X X' is the
    smaller product.
    """
    a, b, c = COEFFICIENTS
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T  # (short, long)
    wide = wide / wide.norm().clamp(min=EPS)
    for _ in range(N_STEPS):
        gram = wide @ wide.T  # (short, short)
        wide = torch.addmm(wide, torch.addmm(gram, gram, gram, beta=b, alpha=c), wide, beta=a)
    return wide if matrix.shape[0] <= matrix.shape[1] else wide.T
