"""What a CPU computes in, where bfloat16 is asked for: bfloat16 only where that is faster.

A product in bfloat16 takes half of float32's time on processors with avx512_bf16 or AMX, and up to hundreds of times as
long on others, which go through it number by number. So it is timed, in about a tenth of a second. Once a processor and
torch, not once a process: near equal times two workers of a study would else compute in two types, each its own base.
"""

import time
import warnings
from functools import cache

import torch

from knowpack.model.hash_cache import first_number
from knowpack.model.machine import processor

_ROWS, _WIDTH = 64, 512  # 34 million operations: .6 ms in float32 on an AVX2 core
_ENOUGH = 0.05
"""Seconds after which a slow product is not timed again."""


def computed_in(dtype: str, device: torch.device) -> torch.dtype | None:
    """The dtype of the arithmetic, where it is not the weights' own; a warning says so. None: the weights' own."""
    if dtype != "bfloat16" or device.type != "cpu":
        return None
    times = bfloat16_time()
    if times <= 1:
        return None
    warnings.warn(
        f"a product in bfloat16 takes {times:.1f} times float32's time on this processor: weights are rounded to "
        "bfloat16, arithmetic is in float32",
        stacklevel=3,
    )
    return torch.float32


@cache
def bfloat16_time() -> float:
    """Processor time of a product in bfloat16, where the same in float32 takes 1. On one thread, so that other work on
    the machine does not count; as the first process that shares the cache had it."""
    capability = torch.backends.cpu.get_cpu_capability()
    return first_number(["time in bfloat16", processor(), capability, torch.__version__], _timed)


def _timed() -> float:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _best(torch.bfloat16) / _best(torch.float32)
    finally:
        torch.set_num_threads(threads)


def _best(dtype: torch.dtype) -> float:
    a, b = torch.ones(_ROWS, _WIDTH, dtype=dtype), torch.ones(_WIDTH, _WIDTH, dtype=dtype)
    took: list[float] = []
    with torch.inference_mode():
        torch.nn.functional.linear(a, b)  # the first one also sets things up
        while len(took) < 5 and sum(took) < _ENOUGH:
            begun = time.thread_time()
            torch.nn.functional.linear(a, b)
            took.append(time.thread_time() - begun)
    return min(took)
