"""Freed memory is given back where the C library can; where it runs out less is tried, and then one line is said."""

import ctypes

import pytest

from knowpack.errors import ModelError
from knowpack.model import memory


def test_it_is_given_back_through_the_c_library_that_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    class Library:
        malloc_trim = staticmethod(asked.append)

    monkeypatch.setattr(memory.sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Library())
    memory.give_back()
    assert asked == [0]


def test_without_glibc_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory.sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())  # musl has no malloc_trim
    memory.give_back()
    monkeypatch.setattr(memory.sys, "platform", "win32")
    monkeypatch.delattr(ctypes, "CDLL")  # CDLL(None) is an error there
    memory.give_back()


def test_one_alone_is_tried_again_when_what_was_kept_is_dropped() -> None:
    """A long prompt alone in its batch ended in an error while old prefixes filled the memory."""
    kept, tried = ["keys of an old prefix"], []

    def compute(batch: list[int]) -> int:
        tried.append(len(batch))
        if kept:
            raise MemoryError
        return batch[0]

    assert list(memory.within_memory([[7]], compute, kept.clear)) == [7]
    assert tried == [1, 1]


def test_with_all_dropped_there_is_one_more_try_and_one_line() -> None:
    tried = []

    def compute(batch: list[int]) -> int:
        tried.append(len(batch))
        raise MemoryError

    with pytest.raises(ModelError, match="out of memory with one prompt at a time"):
        list(memory.within_memory([[7, 8, 9]], compute, lambda: None))
    assert tried == [3, 1], "half of three is one; all was dropped before it"
    with pytest.raises(ModelError, match="out of memory with one prompt at a time"):
        list(memory.within_memory([[7]], compute, lambda: None))
    assert tried == [3, 1, 1, 1]
