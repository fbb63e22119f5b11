"""Attention of weights in half precision: scores have float32's range and bits, as torch's own attention has."""

import pytest
import torch
from torch import Tensor

from knowpack.decode.kernels import attend_dense
from knowpack.decode.ways import differ

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


def test_one_logit_that_rounds_far_is_rounding() -> None:
    """As bfloat16 gives it on SmolLM2 in rows of 181 tokens: one logit of 49,152 off by .061 of the largest."""
    torch.manual_seed(0)
    expected = (4 * torch.randn(2, 49_152)).to(torch.bfloat16)
    actual = (expected.float() * (1 + 0.03 * torch.randn(2, 49_152))).to(torch.bfloat16)
    actual[0, 0] = expected[0, 0] + 0.061 * expected.abs().max()
    assert differ(actual.float(), expected.float(), half=True) is None
    assert differ(actual.float() + 1, expected.float(), half=True) is None  # what all gain alike changes no answer
    assert differ(actual.float(), expected.float(), half=False) is not None  # float32 rounds by far less


def test_a_token_left_out_is_no_rounding() -> None:
    """The least that it moved a real model's row by was .14 of its spread; here in one of two rows."""
    torch.manual_seed(0)
    expected = 4 * torch.randn(2, 49_152)
    actual = expected.clone()
    actual[1] += 0.14 * 4 * torch.randn(49_152)
    found = differ(actual.to(torch.bfloat16).float(), expected.to(torch.bfloat16).float(), half=True)
    assert found is not None
    assert "of their size" in found
    assert differ(torch.full_like(expected, torch.nan), expected, half=True) is not None
