"""How often the "95%" intervals of measure/stats.py and measure/calibration.py hold the true value, simulated.

    python benchmarks/coverage.py [--draws 4000] [--only "calibrated"]

Prints a line a case: the true value, the share of simulated data sets whose interval holds it, the mean width. Clusters
are beta-binomial: each has its own p, drawn from Beta(p (1-r)/r, (1-p) (1-r)/r), so that two facts of one cluster
correlate with r (the intraclass correlation). The worlds of calibration_cases.py come first, with a quarter of the
draws, since each takes 200 redraws. The bar is .93 in every case; exits with 1 below it.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import calibration_cases
from knowpack.measure import stats
from knowpack.records import Estimate

BAR = 0.93
Floats = NDArray[np.float64]


class Case(NamedTuple):
    """A way to draw data, and the true value of what is estimated."""

    name: str
    truth: float
    draw: Callable[[np.random.Generator], Estimate]


class Result(NamedTuple):
    """What came of one case."""

    case: Case
    coverage: float
    width: float


def cases() -> Iterator[Case]:
    """Those of the audit, and each way in which the program uses an interval."""
    for n, p in ((50, 0.98), (7, 0.03), (200, 0.5), (2000, 0.001), (50, 0.999)):
        yield Case(f"share: {n} facts", p, lambda rng, n=n, p=p: stats.share(rng.random(n) < p))
    for n_clusters, size, p, r in (
        (21, 20, 0.02, 0.02),
        (21, 20, 0.03, 0.02),
        (21, 50, 0.02, 0.05),
        (21, 50, 0.03, 0.05),
        (21, 50, 0.5, 0.2),
        (5, 40, 0.1, 0.05),
        (3, 100, 0.3, 0.05),
        (2, 100, 0.3, 0.05),
    ):
        yield Case(
            f"share: {n_clusters} relations of {size}, ICC {r}",
            p,
            lambda rng, n_clusters=n_clusters, size=size, p=p, r=r: stats.share(
                *clustered(rng, p, [size] * n_clusters, r)
            ),
        )
    sizes = [200, 150, 100, 80, 60, 40, 30, 20, *[10] * 8, *[3] * 5]
    yield Case(
        "share: 21 relations of 3 to 200, ICC 0.02", 0.03, lambda rng: stats.share(*clustered(rng, 0.03, sizes, 0.02))
    )
    yield Case("share: 100 facts of one relation", 0.05, lambda rng: stats.share(rng.random(100) < 0.05, ["r"] * 100))
    for n, p in ((50, 0.97), (300, 0.6)):
        yield Case(f"share: {n} facts, 10 answers each", p, lambda rng, n=n, p=p: answers(rng, n, p))
    yield Case("share: 400 facts under 2 draws of prompts", 0.02, lambda rng: two_draws(rng, 400, 0.02))
    for n, up, down in ((50, 0.02, 0.0), (50, 0.1, 0.06), (400, 0.02, 0.005), (2000, 0.05, 0.05), (30, 0.6, 0.1)):
        yield Case(
            f"difference: {n} facts, {up:g} lost, {down:g} won",
            up - down,
            lambda rng, n=n, up=up, down=down: stats.difference(flips(rng, np.full(n, up), np.full(n, down))),
        )
    for n_clusters, size in ((21, 20), (21, 50), (5, 40)):
        yield Case(
            f"difference: {n_clusters} relations of {size}, ICC 0.03",
            0.02,
            lambda rng, n_clusters=n_clusters, size=size: clustered_flips(rng, [size] * n_clusters, 0.03, 0.01, 0.03),
        )
    yield Case("difference: 400 facts, mean of 2 draws of prompts", 0.02, lambda rng: net_of_two(rng, 400))
    yield Case("mean: 21 relations, no bounds", 1.0, unbounded)
    for n_seeds in (2, 3, 5):
        yield Case(f"{n_seeds} seeds on the same 300 facts", 0.1, lambda rng, n_seeds=n_seeds: seeds(rng, 300, n_seeds))


def clustered(rng: np.random.Generator, p: float, sizes: list[int], icc: float) -> tuple[Floats, Floats]:
    """0/1 values and their cluster's number."""
    scale = (1 - icc) / icc
    own = rng.beta(p * scale, (1 - p) * scale, size=len(sizes)).repeat(sizes)
    return (rng.random(len(own)) < own).astype(np.float64), np.arange(len(sizes)).repeat(sizes).astype(np.float64)


def answers(rng: np.random.Generator, n: int, p: float) -> Estimate:
    """Facts with a chance of their own (Beta, a + b = 2), each answered under 10 prompts."""
    own = rng.beta(2 * p, 2 * (1 - p), size=n)
    return stats.share(rng.binomial(10, own) / 10)


def two_draws(rng: np.random.Generator, n: int, p: float) -> Estimate:
    """Each draw of prompts has a chance of its own, p * (.7 or 1.3), of facts to lose."""
    harder = p * np.where(rng.random(2) < 0.5, 0.7, 1.3)
    return stats.share(rng.random((n, 2)) < harder)


def flips(rng: np.random.Generator, up: Floats, down: Floats) -> Floats:
    u = rng.random(up.shape)
    return (u < up).astype(np.float64) - ((u >= up) & (u < up + down))


def clustered_flips(rng: np.random.Generator, sizes: list[int], up: float, down: float, icc: float) -> Estimate:
    scale = (1 - icc) / icc
    own = rng.beta(up * scale, (1 - up) * scale, size=len(sizes)).repeat(sizes)
    return stats.difference(flips(rng, own, np.full(len(own), down)), np.arange(len(sizes)).repeat(sizes))


def net_of_two(rng: np.random.Generator, n: int) -> Estimate:
    """Facts on the border flip under either draw: 3% up and 1% down, half of it the fact's own."""
    border = rng.random((n, 1)) < 0.1
    up, down = np.where(border, 0.165, 0.015), np.where(border, 0.055, 0.005)
    u = rng.random((n, 2))
    return stats.difference((u < up).astype(np.float64) - ((u >= up) & (u < up + down)))


def unbounded(rng: np.random.Generator) -> Estimate:
    own = rng.normal(1, 1, size=21).repeat(20)
    return stats.mean(own + rng.normal(0, 2, size=len(own)), np.arange(21).repeat(20))


def seeds(rng: np.random.Generator, n: int, n_seeds: int) -> Estimate:
    """A logit for each fact and for each seed; the mean chance is set to .1 by numbers (_level)."""
    facts, own = rng.normal(0, 1, size=n), rng.normal(0, 0.3, size=n_seeds)
    chance = 1 / (1 + np.exp(-(_level() + facts[:, None] + own)))
    lost = rng.random((n, n_seeds)) < chance
    return stats.over_seeds([stats.share(lost[:, i]) for i in range(n_seeds)])


_LEVELS: list[float] = []


def _level() -> float:
    """The constant for which the mean of logistic(constant + N(0, 1 + .3^2)) is .1."""
    if not _LEVELS:
        from scipy.optimize import brentq

        nodes, weights = np.polynomial.hermite_e.hermegauss(60)
        spread = np.sqrt(1.09)
        share = lambda c: float((weights / (1 + np.exp(-(c + spread * nodes)))).sum() / weights.sum())  # noqa: E731
        _LEVELS.append(float(brentq(lambda c: share(c) - 0.1, -6, 0)))
    return _LEVELS[0]


def simulate(case: Case, n_draws: int, seed: int = 0) -> Result:
    """The share of n_draws simulated data sets whose interval holds the truth."""
    rng = np.random.default_rng(seed)
    n_covered, width = 0, 0.0
    for _ in range(n_draws):
        estimate = case.draw(rng)
        assert estimate.low is not None
        assert estimate.high is not None
        n_covered += estimate.low <= case.truth <= estimate.high
        width += estimate.high - estimate.low
    return Result(case, n_covered / n_draws, width / n_draws)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=4000)
    parser.add_argument("--only", default="", help="only cases whose name holds this")
    args = parser.parse_args()
    print("| case | true value | coverage | mean width |\n|---|---:|---:|---:|")
    worst = 1.0
    for world in calibration_cases.WORLDS:
        if args.only in world.name:
            for one in calibration_cases.simulate(world, max(1, args.draws // 4)):
                worst = min(worst, one.coverage)
                print(f"| {one.name} | {one.truth:.4f} | {one.coverage:.3f} | {one.width:.4f} |", flush=True)
    for case in cases():
        if args.only in case.name:
            result = simulate(case, args.draws)
            worst = min(worst, result.coverage)
            print(f"| {case.name} | {case.truth:g} | {result.coverage:.3f} | {result.width:.4f} |", flush=True)
    print(f"\nlowest coverage {worst:.3f}, bar {BAR}: {'met' if worst >= BAR else 'missed'}")
    return 0 if worst >= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
