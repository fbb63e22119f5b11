"""Keep the few facts of each relation and popularity class that a seed draws, out of a stream of millions.

Numbers of facts + hashes of their names -> the candidates. A fact's priority is a hash of its subject, its relation
and the seed, so the draw depends on neither order nor threads.
"""

from typing import NamedTuple

import numpy as np
import polars as pl

from knowpack.facts.graphs.numbers import mix
from knowpack.seeds import seed_of


class Draw(NamedTuple):
    """How many candidates to keep."""

    per_cell: int
    """For each relation and popularity class, at most."""
    seed: int


class Keeper:
    """Keeps the `per_cell` facts of least priority for each relation and popularity class."""

    def __init__(self, classes: np.ndarray, keys: np.ndarray, relation_keys: np.ndarray, draw: Draw) -> None:
        self.classes, self.keys, self.relation_keys = classes, keys, relation_keys
        self.per_cell, self.seed = draw.per_cell, seed_of(draw.seed, "facts")
        n_cells = len(relation_keys) * 3
        self.worst = np.full(n_cells, 2**64 - 1, dtype=np.uint64)
        self.n = np.zeros(n_cells, dtype=np.int64)
        self.kept = pl.DataFrame()
        """s, p, o, cell, priority, as numbers."""

    def add(self, frame: pl.DataFrame) -> None:
        """Consider more facts, columns s, p, o."""
        s, p = frame["s"].to_numpy(), frame["p"].to_numpy()
        cell = p.astype(np.int64) * 3 + self.classes[s]
        self.n += np.bincount(cell, minlength=len(self.n))
        priority = mix(self.keys[s], self.relation_keys[p], self.seed)
        low = priority <= self.worst[cell]
        frame = frame.with_columns(pl.Series("cell", cell), pl.Series("priority", priority)).filter(pl.Series(low))
        candidates = pl.concat([self.kept, frame], how="diagonal")
        rank = pl.col("priority").rank("min").over("cell")  # equal ones all stay: no number decides
        self.kept = candidates.filter(rank <= self.per_cell)
        full = self.kept.group_by("cell").agg(pl.len(), pl.col("priority").max()).filter(pl.col("len") >= self.per_cell)
        self.worst[full["cell"].to_numpy()] = full["priority"].to_numpy()

    def counts(self) -> pl.DataFrame:
        """All facts considered: cell, n."""
        used = np.flatnonzero(self.n)
        return pl.DataFrame({"cell": used, "n": self.n[used]})
