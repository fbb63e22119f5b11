"""In which order an epoch goes through its rows: shuffled, or rows of about one length together.

n token ids a row -> indices. `train.group_by_length` is transformers' group_by_length, which the authors' code of
Pletenev et al. 2025 turns on; less padding, and batches that are no longer drawn at random.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from knowpack.config import PlainRecipe
from knowpack.seeds import stream

MEGA_BATCHES = 50  # batches that are sorted together, as in transformers


def of_epoch(lengths: Sequence[int], config: PlainRecipe, seed: int, epoch: int) -> list[int]:
    """The order of all rows in one epoch; another for each epoch and seed."""
    shuffled = stream(seed, "order", epoch).permutation(len(lengths))
    if config.group_by_length:
        return grouped(shuffled, lengths, config.batch_size)
    return [int(i) for i in shuffled]


def grouped(shuffled: NDArray[np.int64], lengths: Sequence[int], batch_size: int) -> list[int]:
    """Shuffled indices, cut into pieces of up to 50 batches, each piece sorted by length, longest first.

    Small sets get smaller pieces, four at least, so that some chance remains. The longest row of all comes into the
    first batch (in exchange with the first one): if memory is too small, that is seen at once.
    """
    n_batches = max(1, min(len(lengths) // (batch_size * 4), MEGA_BATCHES))
    size = n_batches * batch_size
    pieces = [
        sorted((int(i) for i in shuffled[start : start + size]), key=lambda i: lengths[i], reverse=True)
        for start in range(0, len(shuffled), size)
    ]
    longest = max(range(len(pieces)), key=lambda k: lengths[pieces[k][0]])
    pieces[0][0], pieces[longest][0] = pieces[longest][0], pieces[0][0]
    return [i for piece in pieces for i in piece]
