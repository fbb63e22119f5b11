"""The learning rate by what one step at it does to this model's answers.

Adam's first step moves each weight of B by the learning rate, whatever the loss was; how far that moves the answers is
the model's own. To second order KL(base || stepped) = c lr^2, and c differs: by a trial step of .006 nats
Qwen2.5-Coder-0.5B takes a rate 4.3 times lower than SmolLM2-135M (docs/LOG.md). A trial step measures c, and the rate
is what moves this model by as much as the recipe wants, at most the recipe's. Far out KL grows more slowly than lr^2,
so that the rate found is tried again. It also depends on the few-shot context (SmolLM2: .006 to .15 nats at 2e-3), so
that only moves by this very trial compare, not the first steps of two trainings.
"""

import math


def for_move(lr: float, moved: float, wanted: float) -> float:
    """The rate, at most lr, whose first step moves the answers by `wanted` nats; a step of lr moved them by `moved`.

    Where nothing moved lr stays; a step so long that `moved` is no number is a tenth as long.
    """
    if not math.isfinite(moved):
        return lr / 10
    return lr * math.sqrt(wanted / moved) if moved > wanted else lr
