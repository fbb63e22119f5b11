"""oneDNN's products are the layers' own, up to the order of summation, and only inside the block."""

import pytest
import torch
from torch import nn

from knowpack.decode import products


@pytest.mark.parametrize("shape", [(1, 40, 24), (40, 24), (2, 24), (2, 3, 5, 24)])
@pytest.mark.parametrize("bias", [True, False])
def test_products_equal_float64_and_layers_come_back(shape: tuple[int, ...], bias: bool, library: str) -> None:
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(24, 16, bias=bias)), torch.randn(shape)
    exact = nn.Linear(24, 16, bias=bias).double()
    exact.load_state_dict(model[0].state_dict())
    with torch.inference_mode(), products.fast_products(model):
        assert torch.allclose(model(x).double(), exact(x.double()), atol=1e-5)
        assert ("forward" in model[0].__dict__) == (library == "onednn")
    assert "forward" not in model[0].__dict__


@pytest.mark.usefixtures("library")
def test_gradients_and_other_types_go_the_ordinary_way() -> None:
    model, half = nn.Linear(24, 16), nn.Linear(24, 16).to(torch.bfloat16)
    with products.fast_products(nn.ModuleList([model, half])):
        model(torch.randn(40, 24)).sum().backward()
        assert "forward" not in half.__dict__
    assert model.weight.grad is not None


@pytest.mark.parametrize(
    ("processor", "faster"), [("vendor_id : GenuineIntel", False), ("vendor_id : AuthenticAMD", True)]
)
def test_onednn_multiplies_where_mkl_is_slow(processor: str, faster: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "has_onednn", lambda: True)
    monkeypatch.setattr(products, "_processor", lambda: processor)
    assert products.onednn_is_faster.__wrapped__() == faster


@pytest.mark.usefixtures("library")
def test_layers_with_a_forward_of_their_own_are_left_alone() -> None:
    model = nn.Linear(24, 16)
    own = model.forward
    model.forward = own  # type: ignore[method-assign]  # as accelerate's hooks do
    with products.fast_products(model):
        assert model.__dict__["forward"] is own
    assert model.__dict__["forward"] is own
