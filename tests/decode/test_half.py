"""Attention of weights in half precision: scores have float32's range and bits, as torch's own attention has."""

import pytest
import torch
from torch import Tensor

from knowpack.decode.kernels import attend_dense

HALF = [torch.float16, torch.bfloat16]
SCALE = 128**-0.5


def exact(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """In float64, of the same rounded numbers."""
    q, k, v = (x.detach().double() for x in (query, key, value))
    return torch.softmax(q @ k.transpose(1, 2) * SCALE, -1) @ v


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("gradients", [False, True])
def test_scores_beyond_the_range_of_float16_are_no_nan(dtype: torch.dtype, gradients: bool) -> None:
    query = torch.full((1, 1, 128), 30.0, dtype=dtype, requires_grad=gradients)  # q.k = 128 x 900 = 115,200 > 65,504
    key = torch.stack([torch.full((128,), 30.0), torch.full((128,), -30.0)])[None].to(dtype)
    value = torch.stack([torch.full((128,), 2.0), torch.full((128,), 5.0)])[None].to(dtype)
    found = attend_dense(query, key, value, SCALE, None)
    out = found.out.detach() * found.share.detach()[..., None]
    assert torch.equal(out, torch.full((1, 1, 128), 2.0))  # all weight on the first key: e^-20,000 is 0 beside 1
    assert found.lse.item() == pytest.approx(115_200 * SCALE, rel=1e-5)


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("gradients", [False, True])
def test_rounding_is_that_of_torchs_own_attention(dtype: torch.dtype, gradients: bool) -> None:
    torch.manual_seed(0)
    query, key, value = ((2 * torch.randn(1, 64, 128)).to(dtype) for _ in range(3))
    query.requires_grad_(gradients)
    found = attend_dense(query, key, value, SCALE, None)
    out = found.out.detach().double() * found.share.detach().double()[..., None]
    theirs = torch.nn.functional.scaled_dot_product_attention(query.detach(), key, value)
    error, their_error = ((x.double() - exact(query, key, value)).square().mean().sqrt() for x in (out, theirs))
    assert error < 2 * their_error  # scores rounded to the weights' type: four to six times
