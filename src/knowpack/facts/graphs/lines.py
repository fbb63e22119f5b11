"""A dump as blocks of whole lines, whatever its compression; a thread decompresses ahead of the reader.

path -> iterator of bytes, each block ending in a line end. Memory: two blocks and the decompressor's own buffers.
bz2 is read on several cores by rapidgzip where it is installed, zst by zstandard; the kind of file is
told by its first bytes, not by its name.
"""

import bz2
import gzip
import queue
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

from knowpack.errors import FactsError

BLOCK = 1 << 23
"""Decompressed bytes a block, 8 MiB: the allocator keeps such blocks, larger ones it asks of the system each time."""
LONGEST_LINE = 1 << 26
"""Bytes, 64 MiB."""
PACKED = 1 << 12
"""Bytes of a zst file that are unpacked at once: 4 of them may stand for a block of 128 KiB, so 4 KiB for 128 MiB."""
MAGIC = {
    b"BZh": "bz2",
    b"\x1f\x8b": "gz",
    b"\x28\xb5\x2f\xfd": "zst",
    b"PK\x03\x04": "zip",
    b"\xfd7zXZ": "xz",
    b"7z\xbc\xaf": "7z",
    b"PAR1": "parquet",
}


def kind_of(path: Path) -> str:
    """bz2, gz, zst or plain, by the first bytes. Raises FactsError for a missing, empty or unreadable kind of file."""
    try:
        with path.open("rb") as handle:
            start = handle.read(8)
    except OSError as error:
        raise FactsError(f"cannot read {path}: {error.strerror}") from None
    if not start:
        raise FactsError(f"{path} is empty; expected lines of N-Triples")
    kind = next((kind for magic, kind in MAGIC.items() if start.startswith(magic)), "plain")
    if kind not in ("bz2", "gz", "zst", "plain"):
        raise FactsError(f"{path} is a {kind} file; expected N-Triples, plain or packed as bz2, gz or zst")
    ending = path.suffix.lstrip(".")
    if kind == "plain" and ending in ("bz2", "gz", "zst"):
        raise FactsError(f"{path} is named .{ending} but is no {ending} file; download it again, or rename it")
    return kind


def blocks(path: Path, threads: int = 0, size: int = BLOCK) -> Iterator[bytes]:
    """Blocks of whole lines. threads: for decompression, 0 = all cores. Raises FactsError for a torn file."""
    kind = kind_of(path)
    ready: queue.Queue[bytes | BaseException | None] = queue.Queue(maxsize=2)
    stop = threading.Event()

    def put(item: bytes | BaseException | None) -> None:
        while not stop.is_set():
            with suppress(queue.Full):
                ready.put(item, timeout=0.2)
                return

    def read() -> None:
        try:
            with _opened(path, kind, threads) as handle:
                for block in _whole_lines(handle, size):
                    put(block)
                    if stop.is_set():
                        return
            put(None)
        except BaseException as error:  # handed to the reader, who raises it
            put(error)

    thread = threading.Thread(target=read, daemon=True, name="decompress")
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise _torn(path, kind, item) from None
            yield item
    finally:
        stop.set()
        thread.join()


def _whole_lines(handle: IO[bytes], size: int) -> Iterator[bytes]:
    rest = bytearray()
    while chunk := handle.read(size):
        cut = chunk.rfind(b"\n") + 1
        if cut:
            yield b"".join((rest, memoryview(chunk)[:cut]))
            rest = bytearray(memoryview(chunk)[cut:])
        else:
            rest += chunk
        if len(rest) > LONGEST_LINE:
            raise FactsError(f"a line of over {LONGEST_LINE >> 20} MiB; expected one triple a line")
    if rest:
        yield bytes(rest) + b"\n"


def _opened(path: Path, kind: str, threads: int) -> IO[bytes]:
    if kind == "plain":
        return path.open("rb")
    if kind == "zst":
        return cast(IO[bytes], _Zst(path))
    if kind == "gz":  # rapidgzip 0.16 ends a torn gz file without a word
        return cast(IO[bytes], gzip.open(path))
    try:
        import rapidgzip
    except ImportError:  # slower, on one core, but the same bytes
        return cast(IO[bytes], bz2.open(path))
    return cast(IO[bytes], rapidgzip.IndexedBzip2File(str(path), parallelization=threads))


class _Zst:
    """Reads zst frames one after the other; unlike zstandard's own stream reader, a torn one is an error."""

    def __init__(self, path: Path) -> None:
        try:
            import zstandard
        except ImportError:
            raise FactsError(f"{path}: zst needs one more package: pip install 'knowpack[graphs]'") from None
        self._new = zstandard.ZstdDecompressor().decompressobj
        self._frame = self._new()
        self._fresh = True
        self._rest = b""
        self._packed = path.open("rb")

    def __enter__(self) -> "_Zst":
        return self

    def __exit__(self, *exc: object) -> None:
        self._packed.close()

    def read(self, size: int) -> bytes:
        """At least one byte, about `size`; b"" at the end. Raises EOFError inside a frame."""
        content = bytearray()
        while len(content) < size and (packed := self._rest or self._packed.read(PACKED)):
            content += self._frame.decompress(packed)
            self._rest, self._fresh = b"", False
            if self._frame.eof:
                self._rest = self._frame.unused_data
                self._frame, self._fresh = self._new(), True
        if not content and not self._fresh:
            raise EOFError("the last frame is not complete")
        return bytes(content)


def _torn(path: Path, kind: str, error: BaseException) -> BaseException:
    if isinstance(error, FactsError):
        return error if str(path) in str(error) else FactsError(f"{path}: {error}")
    if isinstance(error, MemoryError | KeyboardInterrupt):
        return error
    what = (str(error).splitlines() or [type(error).__name__])[0][:120]
    return FactsError(f"{path}: torn or damaged {kind} file ({what}); download it again")
