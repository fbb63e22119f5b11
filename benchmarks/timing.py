"""Clocks of the benchmarks: by the wall or by the processor, and how fast this machine multiplies."""

import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import torch

T = TypeVar("T")
Clock = Callable[[], float]


class Both(NamedTuple):
    """What a piece of work took."""

    processor: float
    wall: float


def clock_of(*, cpu_time: bool) -> Clock:
    """process_time counts all threads: for a machine that does other work."""
    return time.process_time if cpu_time else time.perf_counter


def timed(clock: Clock, work: Callable[[], T]) -> tuple[float, T]:
    """Seconds, and what the work gave."""
    started = clock()
    result = work()
    return clock() - started, result


def timed_both(work: Callable[[], T]) -> tuple[Both, T]:
    """By both clocks."""
    processor, wall = time.process_time(), time.perf_counter()
    result = work()
    return Both(time.process_time() - processor, time.perf_counter() - wall), result


def matrix_speed(clock: Clock, dtype: torch.dtype = torch.float32) -> tuple[float, float]:
    """Floating-point operations a second of 2048 x 2048 products, the best of twelve: torch's own, and oneDNN's."""
    a, b = (torch.randn(2048, 2048).to(dtype) for _ in range(2))
    sides: list[Callable[[], object]] = [lambda: a @ b]
    if hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        sides.append(lambda: torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], ""))
    with torch.inference_mode():
        speeds = [2 * 2048**3 / min(timed(clock, side)[0] for _ in range(12)) for side in sides]
    return speeds[0], speeds[-1]
