"""Training an adapter in whitened coordinates: directions that the base's inputs use a lot are moved little.

replay + model -> the covariance of each adapted layer's inputs -> while training, A = A' (C + ridge)^(-1/2). What an
update of A' does to a usual input is then as small along common directions as along rare ones, so that facts are told
apart by what is rare in them. The covariance of the inputs as what an edit must spare: ROME and MEMIT (Meng et al.
2022, 2023); its null space: AlphaEdit (Fang et al. 2024, arXiv 2410.02355). Afterwards A is an ordinary LoRA matrix.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from peft import PeftModel
from torch import Tensor, nn
from torch.nn.utils import parametrize

from knowpack.model.replay import Replay
from knowpack.model.shared import answer_logits

N_ROWS = 2048  # replay rows whose inputs are seen
ROWS_AT_ONCE = 128
WIDEST = 8192  # inputs wider than this (the down_proj of an 8B Llama) are left as they are: O(width^3)


class Whitening(nn.Module):
    """A' -> A' P, # (rank, in) times (in, in)."""

    factor: Tensor

    def __init__(self, factor: Tensor) -> None:
        """factor: P, symmetric."""
        super().__init__()
        self.register_buffer("factor", factor)

    def forward(self, weight: Tensor) -> Tensor:
        """The matrix that the layer multiplies with."""
        return weight @ self.factor


@contextmanager
def whitened(model: PeftModel, replay: Replay, ridge: float | None) -> Iterator[None]:
    """Within, the adapter's A matrices are trained in whitened coordinates; after, they are plain again.

    ridge: in units of the mean variance of an input; None changes nothing.
    """
    if ridge is None:
        yield
        return
    found = covariances(model, replay)
    layers = []
    for name, covariance in found.items():
        layer = _inner(model.get_submodule(name))
        factor = inverse_root(covariance, ridge).to(layer.weight)
        parametrize.register_parametrization(layer, "weight", Whitening(factor), unsafe=True)
        layers.append(layer)
    try:
        yield
    finally:
        for layer in layers:
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)


@torch.no_grad()
def covariances(model: PeftModel, replay: Replay) -> Mapping[str, Tensor]:
    """Adapted layer -> the sum of x x^T over its inputs under replay, # (in, in) float32; without too wide layers.

    Inputs: of the replay rows' own tokens, behind their contexts; neither the contexts' nor padding.
    """
    sums: dict[str, Tensor] = {}
    real = torch.zeros(0)  # (rows, width) where the batch under way has tokens

    def adding(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def add(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            if inputs[0].shape[:2] == real.shape:  # else: the context, computed before the rows
                x = inputs[0][real.to(inputs[0].device)].float()
                sums[name] = sums[name] + x.T @ x if name in sums else x.T @ x

        return add

    hooks = [
        layer.register_forward_pre_hook(adding(name))
        for name, layer in model.named_modules()
        if "lora_A" in dict(layer.named_children()) and _inner(layer).in_features <= WIDEST
    ]
    training, seen = model.training, -(-N_ROWS // len(replay.contexts))
    model.eval()
    try:
        for prefix, held in zip(replay.contexts.prefixes, replay.by_context, strict=True):
            rows = [one.row for one in held[:seen]]
            for start in range(0, len(rows), ROWS_AT_ONCE):
                some = rows[start : start + ROWS_AT_ONCE]
                lengths = torch.tensor([len(row.ids) for row in some])
                real = torch.arange(int(lengths.max())) < lengths[:, None]
                answer_logits(model, prefix, some)
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    return sums


def inverse_root(covariance: Tensor, ridge: float) -> Tensor:
    """(C / mean variance + ridge)^(-1/2), scaled so that its mean eigenvalue is 1, # (in, in)."""
    scaled = covariance.double() / covariance.diagonal().double().mean()
    values, vectors = torch.linalg.eigh(scaled)
    roots = (values.clamp_min(0) + ridge).rsqrt()
    factor: Tensor = (vectors * (roots / roots.mean())) @ vectors.T
    return factor


def _inner(layer: nn.Module) -> nn.Linear:
    """The A matrix of an adapted layer, # (rank, in)."""
    found = layer.get_submodule("lora_A.default")
    assert isinstance(found, nn.Linear)
    return found
