"""The order of an epoch, held against transformers' own sampler."""

import numpy as np
import pytest
import torch
from transformers.trainer_pt_utils import get_length_grouped_indices

from knowpack.config import PlainRecipe
from knowpack.train import order


@pytest.mark.parametrize(("n", "batch_size"), [(1000, 2), (37, 4), (5, 8), (3000, 8)])
def test_grouped_by_length_as_transformers_groups(n: int, batch_size: int) -> None:
    lengths = [int(x) for x in np.random.default_rng(1).integers(5, 60, n)]
    theirs = get_length_grouped_indices(lengths, batch_size, generator=torch.Generator().manual_seed(7))
    shuffled = torch.randperm(n, generator=torch.Generator().manual_seed(7)).numpy()
    assert order.grouped(shuffled, lengths, batch_size) == [int(i) for i in theirs]


def test_each_epoch_holds_every_row_once_in_an_order_of_its_own() -> None:
    lengths = list(range(50))
    plain, by_length = PlainRecipe(batch_size=4), PlainRecipe(batch_size=4, group_by_length=True)
    orders = [order.of_epoch(lengths, config, 1, epoch) for config in (plain, by_length) for epoch in (0, 1)]
    assert all(sorted(one) == lengths for one in orders)
    assert len({tuple(one) for one in orders}) == 4
    # Shuffled, the four rows of a batch lie far apart; grouped, next to each other.
    spread = [max(max(one[i : i + 4]) - min(one[i : i + 4]) for i in range(0, 48, 4)) for one in orders]
    assert max(spread[2:]) < min(spread[:2])
