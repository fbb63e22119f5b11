"""Adapters on a server: llama.cpp has them from its start, vLLM loads them when asked.

llama.cpp  every loaded adapter is on unless its scale is sent as zero, in each request: `lora: []` leaves them on
vLLM       /v1/load_lora_adapter, under a name made of the adapter's content, since its prefix cache goes by the name
           (vllm issues 30931, 42125)
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from knowpack.errors import ModelError
from knowpack.model.adapter import read_adapter
from knowpack.model.locations import CONFIG, WEIGHTS
from knowpack.served import kinds
from knowpack.served.client import Server, printable

Scales = dict[str, list[dict[str, float]]]


class ScaledAdapter(NamedTuple):
    """One adapter of a llama.cpp server that is on while all others are off."""

    scales: Scales
    """What each request says of the adapters."""
    content: str
    """A hash of the file where it is on this machine, else its name."""


def all_off_in_llama_cpp(server: Server) -> Scales:
    """What each request says of the adapters for an answer of the base."""
    paths = _llama_cpp_paths(server)
    return {"lora": [{"id": number, "scale": 0.0} for number in paths]} if paths else {}


def one_on_in_llama_cpp(server: Server, adapter: str) -> ScaledAdapter:
    """adapter: the GGUF file as the server was started with it, or its name.

    Raises ModelError where the server lacks it.
    """
    paths = _llama_cpp_paths(server)
    names = {_last(adapter), f"{_last(adapter)}.gguf"}
    mine = [number for number, path in paths.items() if path == adapter] or [
        number for number, path in paths.items() if _last(path) in names
    ]
    if len(mine) != 1:
        has = printable(", ".join(map(_last, paths.values()))) or "none"
        raise ModelError(
            f"the server at {server.address.url} lacks the adapter {adapter}; it has {has}: "
            "start it with --lora FILE.gguf, and name that file"
        )
    scales = [{"id": number, "scale": float(number == mine[0])} for number in paths]
    return ScaledAdapter({"lora": scales}, _content(Path(paths[mine[0]])))


def load_into_vllm(server: Server, adapter: str | Path) -> str:
    """The server has this adapter from now on, under a hash of its content, its name. Raises ModelError in one line."""
    folder = read_adapter(adapter).folder.absolute()
    name = f"knowpack-{_hash(folder / CONFIG, folder / WEIGHTS)}"
    if name in kinds.names(server):
        return name
    try:
        server.command("/load_lora_adapter", {"lora_name": name, "lora_path": str(folder)})
    except ModelError as error:
        raise ModelError(
            f"the adapter {adapter} is not loaded: {error}. vLLM loads adapters with --enable-lora, "
            "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, a --max-lora-rank of at least theirs, and a path that it sees"
        ) from None
    if name not in kinds.names(server):
        raise ModelError(f"the server at {server.address.url} took the adapter {adapter} and does not list it")
    return name


@contextmanager
def loaded_by_vllm(server: Server, adapter: str | Path) -> Iterator[str]:
    """Within, the server has this adapter; yields its name there."""
    name = load_into_vllm(server, adapter)
    try:
        yield name
    finally:
        with suppress(ModelError):  # a server that is gone, or has dropped it, has nothing to free
            server.command("/unload_lora_adapter", {"lora_name": name})


def _llama_cpp_paths(server: Server) -> dict[int, str]:
    """The adapters that it was started with, by their number."""
    page = server.page("//lora-adapters")
    listed = [one for one in page if isinstance(one, dict)] if isinstance(page, list) else []
    return {int(one["id"]): str(one.get("path", "")) for one in listed if isinstance(one.get("id"), int)}


def _content(file: Path) -> str:
    """An adapter by its content where the file is on this machine, else by its name."""
    return f"{file.name} {_hash(file)}" if file.is_file() else _last(str(file))


def _hash(*files: Path) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for file in files:
        with file.open("rb") as handle:
            digest.update(hashlib.file_digest(handle, "sha256").digest())
    return digest.hexdigest()


def _last(path: str) -> str:
    return path.replace("\\", "/").rstrip("/").rpartition("/")[2]
