"""Which cells of a study one worker of many takes, as a person writes it: 2/3 -> Shard."""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from knowpack.errors import ConfigError

T = TypeVar("T")


class Shard(NamedTuple):
    """Every n-th cell of a study."""

    number: int
    """From 1."""
    of: int

    def part(self, cells: Sequence[T]) -> Sequence[T]:
        """Its cells; none where there are fewer than its number."""
        return cells[self.number - 1 :: self.of]

    @classmethod
    def parsed(cls, text: str) -> "Shard":
        """`2/3` -> the second of three. Raises ConfigError."""
        number, _, of = text.partition("/")
        if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
            raise ConfigError(f"--shard wants i/n with i from 1 to n, for example 2/3; got {text!r}")
        return cls(int(number), int(of))
