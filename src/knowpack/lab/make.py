"""Build a lab from nothing: out, seed, size, minutes or tokens -> world, corpus, model; goes on after a kill."""

from dataclasses import replace
from pathlib import Path

from knowpack.errors import ConfigError, StoreError
from knowpack.lab.checkpoint import find
from knowpack.lab.pretrain import pretrain, tokens_in
from knowpack.lab.sizes import Size, size_of
from knowpack.lab.world import build
from knowpack.progress import SILENT, Progress


def make(
    out: Path,
    *,
    seed: int = 0,
    size: str = "small",
    minutes: float | None = None,
    tokens: int | None = None,
    progress: Progress = SILENT,
) -> Path:
    """The finished model's folder, `out`/model. The same command goes on with a build that was killed.

    minutes or tokens change how often everything is said in the corpus. Raises ConfigError, StoreError.
    """
    if minutes is not None and tokens is not None:
        raise ConfigError("--minutes and --tokens exclude each other; give one")
    planned = size_of(size)
    _writable(out)
    if (out / "model" / "model.safetensors").exists():
        return out / "model"
    before = find(out / "checkpoint")
    if before is not None and (before.seed, before.size) != (seed, size):
        raise StoreError(
            f"{out} holds a build of seed {before.seed}, size {before.size}, not of seed {seed}, size {size}; "
            "choose another --out"
        )
    if before is not None:
        planned = scaled(planned, before.tokens)
    elif minutes is not None:
        planned = scaled(planned, tokens_in(minutes, planned))
    elif tokens is not None:
        planned = scaled(planned, tokens)
    return pretrain(build(seed, planned), out, progress=progress)


def scaled(size: Size, tokens: int) -> Size:
    """The same world, everything said more or less often, so that the corpus has about so many tokens."""
    if tokens < 1000:
        raise ConfigError(f"a build of {tokens} tokens is too short to learn anything; give at least 1,000")
    return replace(size, mentions=size.mentions * tokens / size.tokens, tokens=tokens)


def _writable(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise StoreError(f"cannot write to {out} ({error.strerror}); choose another --out") from error
