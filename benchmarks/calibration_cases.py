"""How often the intervals of measure/calibration.py hold the true value: data sets for benchmarks/coverage.py.

A relation has a level u ~ N(0, .7) and a miscalibration v; an answer's confidence is p = logistic(u + N(0, 1)), and it
is right with the chance logistic(slope x logit p + shift + v). The true values come from 20,000 relations; of ece from
the chances themselves, since the figure of a sample lies above it by chance alone.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from knowpack.measure import calibration
from knowpack.measure.calibration import Confidences

Floats = NDArray[np.float64]
N_TRUTH = 20_000  # relations
FIGURES = tuple(f"{name}{end}" for name in calibration.STATISTICS for end in ("", "_change"))


class World(NamedTuple):
    """Where the answers of a base and a tuned model come from."""

    name: str
    sizes: tuple[int, ...]
    """Answers a relation."""
    slope: float
    """Of the tuned model; the base's is 1: calibrated."""
    shift: float
    spread: float
    """Standard deviation of v, for the tuned model; the base's is half of it."""


WORLDS = (
    World("30 relations of 10, calibrated", (10,) * 30, 1.0, 0.0, 0.0),
    World("30 relations of 10, too sure", (10,) * 30, 0.5, -0.7, 0.5),
    World("20 relations of 100, calibrated", (100,) * 20, 1.0, 0.0, 0.0),
    World("20 relations of 100, too sure", (100,) * 20, 0.5, -0.7, 0.5),
    World(
        "21 relations of 3 to 200, too sure", (200, 150, 100, 80, 60, 40, 30, 20, *[10] * 8, *[3] * 5), 0.5, -0.7, 0.5
    ),
    World("8 relations of 50, too sure", (50,) * 8, 0.5, -0.7, 0.5),
    World("200 facts of their own, 10 answers each, too sure", (10,) * 200, 0.5, -0.7, 0.5),
)


class Answers(NamedTuple):
    """Of one model."""

    p: Floats
    chance: Floats
    """That each is right."""
    cluster: NDArray[np.int64]


def draw(rng: np.random.Generator, world: World, sizes: NDArray[np.int64]) -> tuple[Answers, Answers]:
    """Base and tuned model on the same questions: the levels are shared, half of each answer's own part too."""
    cluster = np.repeat(np.arange(len(sizes)), sizes)
    level, shared = rng.normal(0, 0.7, len(sizes))[cluster], rng.normal(0, np.sqrt(0.5), len(cluster))
    v = rng.normal(0, 1, len(sizes))[cluster]
    sides = []
    for slope, shift, spread in ((1.0, 0.0, world.spread / 2), (world.slope, world.shift, world.spread)):
        logit = level + shared + rng.normal(0, np.sqrt(0.5), len(cluster))
        chance = 1 / (1 + np.exp(-(slope * logit + shift + spread * v)))
        sides.append(Answers(1 / (1 + np.exp(-logit)), chance, cluster))
    return sides[0], sides[1]


def truths(world: World) -> dict[str, float]:
    """The figures of the population."""
    rng = np.random.default_rng(12345)
    sides = draw(rng, world, rng.choice(world.sizes, N_TRUTH))
    result = {}
    for name, (statistic, _) in calibration.STATISTICS.items():
        values = [_population(name, statistic, rng, one) for one in sides]
        result |= {name: values[1], f"{name}_change": values[1] - values[0]}
    return result


def _population(name: str, statistic: calibration.Statistic, rng: np.random.Generator, one: Answers) -> float:
    if name == "ece":
        place = np.minimum((one.p * calibration.N_BINS).astype(np.int64), calibration.N_BINS - 1)
        return float(np.abs(np.bincount(place, weights=one.chance - one.p)).sum() / len(one.p))
    value = statistic(one.p, rng.random(len(one.p)) < one.chance, None)
    assert value is not None
    return value


class Covered(NamedTuple):
    """One figure of one world."""

    name: str
    truth: float
    coverage: float
    width: float


def simulate(world: World, n_draws: int, seed: int = 0) -> Iterator[Covered]:
    """The share of n_draws data sets whose interval holds the truth, of every figure."""
    rng, true = np.random.default_rng(seed), truths(world)
    n_covered, width = dict.fromkeys(FIGURES, 0), dict.fromkeys(FIGURES, 0.0)
    for _ in range(n_draws):
        base, tuned = (_confidences(rng, one) for one in draw(rng, world, np.asarray(world.sizes)))
        for figure in calibration.calibration("default", base, tuned):
            if figure.name in n_covered:
                assert figure.low is not None
                assert figure.high is not None
                n_covered[figure.name] += figure.low <= true[figure.name] <= figure.high
                width[figure.name] += figure.high - figure.low
    for name in FIGURES:
        yield Covered(f"{name}: {world.name}", true[name], n_covered[name] / n_draws, width[name] / n_draws)


def _confidences(rng: np.random.Generator, one: Answers) -> Confidences:
    n = len(one.p)
    return Confidences(one.p, one.p, rng.random(n) < one.chance, np.zeros(n, bool), np.arange(n), one.cluster)
