"""Head, torso and tail entities by the number of their triples (Sun et al. 2024, Head-to-Tail, section 2.1).

Triple counts -> class of each entity. The definition, exactly: an entity's count is the number of distinct triples
in which it stands, as subject or object (both, in a triple about itself, counts twice). Entities are ordered by
count, least first, and their counts summed up; the tail ends at the count at which the sum reaches a third of all,
the torso where it reaches two thirds, the rest is head. Entities with the same count share a class, so the masses
are thirds up to the size of one such group.
"""

from typing import NamedTuple

import numpy as np

NAMES = ("head", "torso", "tail")
HEAD, TORSO, TAIL = range(3)


class Cuts(NamedTuple):
    """Where the classes end."""

    tail: int
    """Largest count of a tail entity."""
    torso: int
    """Largest count of a torso entity."""


def cuts(counts: np.ndarray) -> Cuts:
    """counts: triples of each entity, (n_entities,) integers; those with 0 do not matter."""
    values, entities = np.unique(counts[counts > 0], return_counts=True)
    if not len(values):
        raise ValueError("no entity has a triple")
    mass = np.cumsum(values.astype(np.int64) * entities)
    # sum >= total/3 in integers, so that no rounding moves a cut
    tail, torso = (int(values[np.argmax(3 * mass >= part * mass[-1])]) for part in (1, 2))
    return Cuts(tail, torso)


def classes(counts: np.ndarray, at: Cuts) -> np.ndarray:
    """Class of each entity, (n_entities,) uint8: HEAD, TORSO or TAIL."""
    result = np.full(len(counts), HEAD, dtype=np.uint8)
    result[counts <= at.torso] = TORSO
    result[counts <= at.tail] = TAIL
    return result
