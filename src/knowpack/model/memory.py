"""Memory: what the C library does with what is freed, and when an error says that there is too little."""

import ctypes
import gc
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import torch

from knowpack.errors import ModelError

Item = TypeVar("Item")
Result = TypeVar("Result")


def keep_freed() -> None:
    """Let the C library keep what is freed, for the next forward, instead of giving it back page by page.

    glibc sets its thresholds by the largest block it has seen freed, up to 32 MiB (mallopt(3), M_MMAP_THRESHOLD): one
    such block, never written to, and up to 64 MiB of free memory stay with the process. Fetching the pages of every
    tensor anew took 8% of a probe of the lab. Other C libraries do as they do.
    """
    torch.empty((32 << 20) - (16 << 10), dtype=torch.uint8)


def give_back() -> None:
    """Give free memory back to the system, before work of another shape: training after a probe, a probe after it.

    Blocks of one shape leave holes that those of another do not fit: after a probe of SmolLM2 1.3 of 3.9 GB were free
    and stayed. malloc_trim(3) is glibc's; elsewhere nothing happens.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def ran_out(error: Exception) -> bool:
    """Whether an error says that memory ran out: a GPU's, or this machine's by Python or by torch."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error)


def within_memory(
    batches: Iterable[list[Item]],
    compute: Callable[[list[Item]], Result],
    free: Callable[[], None] | None = None,
    *,
    what: str = "prompt",
) -> Iterator[Result]:
    """compute(batch) of each; where memory runs out half as many at once from there on, and nothing is lost.

    free: called then, to drop what can be computed again; after it one alone is tried again too. Raises ModelError
    where there is no room for one. what: the items, for the message.
    """
    most: int | None = None
    freed = free is None
    for batch in batches:
        waiting = batch
        while waiting:
            some = waiting[:most]
            try:
                result = compute(some)
            except (RuntimeError, MemoryError) as error:
                most = halved(error, len(some), what, again=not freed)
            else:
                yield result
                waiting, freed = waiting[len(some) :], free is None
                continue
            let_go(free)
            freed = True


def alone(compute: Callable[[], Result], free: Callable[[], None]) -> Result:
    """compute(); once more where memory runs out, when what can be computed again is dropped. Raises ModelError."""
    (result,) = within_memory([[None]], lambda _: compute(), free)
    return result


def halved(error: Exception, n: int, what: str, *, again: bool) -> int:
    """How many to try after an error with n at once: half. An error that is not of memory is raised as it is.

    Raises ModelError for one alone. again: it may be tried again, for something can be dropped. To be called where the
    error is caught, and `let_go` after that: until then the error holds what the failed step had computed.
    """
    if not ran_out(error):
        raise error
    if n == 1 and not again:
        raise ModelError(f"out of memory with one {what} at a time; use a smaller model or shorter prompts") from None
    return max(1, n // 2)


def let_go(free: Callable[[], None] | None) -> None:
    """Drop what can be computed again, and give a GPU's freed blocks back."""
    if free is not None:
        free()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
