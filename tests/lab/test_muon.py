"""The lab's Muon: singular values by hand in float64, steps as torch's own (which computes in bfloat16)."""

import numpy as np
import pytest
import torch

from knowpack.lab.muon import Muon, orthogonal

SHAPES = [(6, 6), (5, 12), (12, 5)]


@pytest.mark.parametrize("shape", SHAPES)
def test_each_singular_value_goes_through_the_polynomial_five_times(shape: tuple[int, int]) -> None:
    given = np.random.default_rng(0).normal(size=shape)
    u, values, v = np.linalg.svd(given, full_matrices=False)
    values /= np.sqrt((values**2).sum())
    for _ in range(5):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5  # Jordan et al. 2024
    assert values.max() < 1.3
    found = orthogonal(torch.tensor(given, dtype=torch.float32)).numpy()
    np.testing.assert_allclose(found, (u * values) @ v, atol=2e-5)


def test_a_matrix_of_zeros_stays_one() -> None:
    assert torch.equal(orthogonal(torch.zeros(3, 4)), torch.zeros(3, 4))


@pytest.mark.parametrize("shape", SHAPES)
def test_four_steps_are_torch_s_within_bfloat16(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    start, gradients = torch.randn(shape), torch.randn(4, *shape)
    ours, theirs = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    steps = [
        Muon([ours], lr=0.1, weight_decay=0.5),
        torch.optim.Muon([theirs], lr=0.1, weight_decay=0.5, adjust_lr_fn="match_rms_adamw"),
    ]
    for gradient in gradients:
        for parameter, optimizer in zip((ours, theirs), steps, strict=True):
            parameter.grad = gradient.clone()
            optimizer.step()
    moved = (theirs - start).norm()
    assert (ours - theirs).norm() < 0.02 * moved  # eight bits of a number: .4% each
