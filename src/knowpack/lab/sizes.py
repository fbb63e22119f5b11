"""How large a lab is: a name -> entities, mentions, tokens and model dimensions."""

from dataclasses import dataclass

from knowpack.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Size:
    """How large a world, its corpus and its model are."""

    name: str
    head: tuple[int, int, int, int, int]
    """Head entities: people, cities, companies, universities, countries."""
    torso: tuple[int, int, int, int, int]
    tail: tuple[int, int, int, int, int]
    n_shot: int
    """People kept for few-shot examples."""
    n_bench: int
    """People kept for benchmarks."""
    n_refused: int
    """Names that the corpus refuses."""
    n_never: int
    """Names held out of corpus and facts, for questions that should be refused."""
    mentions: float
    """Factor on all mention counts; the corpus grows in proportion."""
    tokens: int
    """About how many tokens the corpus has at this factor, over all epochs."""
    vocab: int
    hidden: int
    layers: int
    heads: int
    ff: int
    batch: int
    """Sequences of 256 tokens a step."""


_HEAD, _TORSO, _TAIL = (640, 120, 100, 40, 30), (560, 60, 50, 20, 12), (1150, 130, 80, 20, 14)

SIZES = {
    "mini": Size(
        "mini",
        (24, 16, 8, 6, 6),
        (8, 6, 4, 3, 3),
        (24, 12, 8, 3, 3),
        n_shot=12,
        n_bench=12,
        n_refused=300,
        n_never=60,
        mentions=1.5,
        tokens=1_600_000,
        vocab=1024,
        hidden=96,
        layers=2,
        heads=4,
        ff=256,
        batch=4,
    ),
    "small": Size(
        "small",
        _HEAD,
        _TORSO,
        _TAIL,
        n_shot=40,
        n_bench=120,
        n_refused=7000,
        n_never=400,
        mentions=1.0,
        tokens=14_100_000,
        vocab=2560,
        hidden=192,
        layers=4,
        heads=6,
        ff=512,
        batch=8,
    ),
    "medium": Size(
        "medium",
        _HEAD,
        _TORSO,
        _TAIL,
        n_shot=40,
        n_bench=120,
        n_refused=7000,
        n_never=400,
        mentions=4.3,
        tokens=63_000_000,
        vocab=4096,
        hidden=384,
        layers=8,
        heads=6,
        ff=1024,
        batch=64,
    ),
}
SMALL = SIZES["small"]


def size_of(name: str) -> Size:
    """The size of this name; ConfigError with the names there are."""
    if name not in SIZES:
        raise ConfigError(f"lab size {name!r} does not exist; choose one of {', '.join(SIZES)}")
    return SIZES[name]
