"""Each distinct IRI as a number, so that 22 million triples are 10 bytes each.

names -> codes (in polars' categories) and back; which codes are the same IRI written with escapes, which none at all;
a hash of each name for drawing. Memory: one string and 4 + 4 + 4 bytes for each distinct name.
"""

import zlib

import numpy as np
import polars as pl

from knowpack.facts.graphs import ntriples

INVALID = 2**32 - 1
"""The code of what is no IRI."""


class Names:
    """Text <-> number. Numbers depend on who came first; nothing that is kept may depend on them."""

    def __init__(self, name: str) -> None:
        self._kind = pl.Categorical(pl.Categories(name, f"knowpack {id(self)}", pl.UInt32))
        self._keep = pl.Series([], dtype=self._kind)  # polars forgets categories that no series uses
        self.n = 0
        """How many numbers are in use."""

    def codes(self, names: pl.Series) -> np.ndarray:
        """Numbers of the names, new ones where needed; (n,) uint32."""
        codes: np.ndarray = names.cast(self._kind).to_physical().to_numpy()
        if len(codes):
            self.n = max(self.n, int(codes.max()) + 1)
        return codes

    def run_codes(self, names: pl.Series) -> np.ndarray:
        """The same for a column that mostly repeats the row above, as subjects do: one look-up a run."""
        runs = names.rle().struct.unnest()
        return np.repeat(self.codes(runs["value"]), runs["len"].to_numpy())

    def names(self, codes: np.ndarray) -> pl.Series:
        """Texts of the numbers."""
        return pl.Series(codes.astype(np.uint32)).cat.to(self._kind).cast(pl.String)

    def all(self) -> pl.Series:
        """All texts, by number."""
        return self.names(np.arange(self.n, dtype=np.uint32))


def canonical(names_known: Names) -> np.ndarray | None:
    """Number -> the number of the same IRI without escapes, INVALID where it is no IRI; None = nothing to map."""
    names = names_known.all()
    bad = ~ntriples.valid(names)
    escaped = names.str.contains("\\", literal=True)
    if not (bad.any() or escaped.any()):
        return None
    to = np.arange(names_known.n, dtype=np.uint32)
    for code in escaped.arg_true():
        plain = ntriples.unescape(names[code])
        to[code] = INVALID if plain is None else names_known.codes(pl.Series([plain]))[0]
    to[bad.to_numpy()] = INVALID
    return np.concatenate([to, np.arange(len(to), names_known.n, dtype=np.uint32)])


def hashes(names: pl.Series) -> np.ndarray:
    """CRC-32 of each name, (n,) uint64: the same on every machine and version, whatever the order of the dump."""
    return np.fromiter((zlib.crc32(name.encode()) for name in names), dtype=np.uint64, count=len(names))


def mix(a: np.ndarray, b: np.ndarray, seed: int) -> np.ndarray:
    """Two hashes and a seed -> a well-mixed uint64 (the finaliser of splitmix64, Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        x = (a | (b << np.uint64(32))) + np.uint64(seed % 2**64)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
        return np.asarray(x ^ (x >> np.uint64(31)))
