"""Packed dumps that are made to fill the memory end in one line."""

from pathlib import Path

import pytest
import zstandard

from knowpack.errors import FactsError
from knowpack.facts.graphs import lines


def test_a_line_without_end_in_a_small_file_is_one_line(tmp_path: Path) -> None:
    """200 MiB of one letter in 20 kB."""
    path = tmp_path / "d.nt.zst"
    path.write_bytes(zstandard.ZstdCompressor(level=1).compress(b"a" * (200 << 20)))
    assert path.stat().st_size < 1 << 16
    with pytest.raises(FactsError, match=r"d\.nt\.zst: a line of over 64 MiB"):
        list(lines.blocks(path))


def test_long_lines_within_the_limit_come_whole(tmp_path: Path) -> None:
    text = b"b" * 300_000 + b"\n" + b"c" * 5
    path = tmp_path / "d.nt"
    path.write_bytes(text)
    assert b"".join(lines.blocks(path, size=1 << 10)) == text + b"\n"
