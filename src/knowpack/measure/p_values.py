"""p-values: McNemar's exact test, and corrections where there are many (Holm 1979; Benjamini and Hochberg 1995)."""

from collections.abc import Sequence

import numpy as np


def mcnemar(n_lost: int, n_won: int) -> float:
    """Exact two-sided p of McNemar's test: flips 1->0 against flips 0->1. 1.0 where nothing flipped."""
    from scipy.stats import binomtest

    if n_lost + n_won == 0:
        return 1.0
    return float(binomtest(n_lost, n_lost + n_won, 0.5).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the order given."""
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(p_values))
    worst = 0.0
    for rank, index in enumerate(order):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = worst
    return [float(p) for p in adjusted]


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Benjamini and Hochberg's adjusted p-values (1995), in the order given: min over j >= i of p_j n/j."""
    n = len(p_values)
    order = np.argsort(p_values, kind="stable")[::-1]
    adjusted = np.empty(n)
    least = 1.0
    for back, index in enumerate(order):
        least = min(least, p_values[index] * n / (n - back))
        adjusted[index] = least
    return [float(p) for p in adjusted]
