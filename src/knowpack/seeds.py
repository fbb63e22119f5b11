"""Named random streams from one seed, so that one can vary while the others hold.

(seed, name) -> numpy Generator, or an integer seed for torch. Names in use: world, corpus, facts, mix, init,
order, dropout, sampling, shots, bootstrap, replay.
"""

import hashlib

import numpy as np


def seed_of(seed: int, *names: str | int) -> int:
    """A 63-bit integer that depends on the seed and on every name (blake2b; stable over machines and versions)."""
    text = "\x1f".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """The random stream of this seed and these names, independent of all others."""
    return np.random.Generator(np.random.PCG64(seed_of(seed, *names)))
