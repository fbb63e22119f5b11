"""The training log: JSON lines beside the adapter, and a tracker's own library where the user names one.

step figures -> train_log.jsonl (+ TensorBoard, wandb or trackio). No times in it: the same run gives the same bytes.
"""

import importlib
import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TextIO

from knowpack import store
from knowpack.config import TrainConfig
from knowpack.errors import ModelError, StoreError, one_line

LAST_STEPS = 10
WORSE = 0.25  # of the base's loss, and nats where that is below one
Line = dict[str, float | int | str]


class Log:
    """Open as a context; `write` adds a line with the next step number."""

    def __init__(self, out: Path, config: TrainConfig, seed: int, name: str = "train_log.jsonl") -> None:
        self.lines: list[Line] = []
        self._path = out / name
        self._config, self._seed = config, seed
        self._file: TextIO | None = None
        self._tracker: _Tracker | None = None

    def __enter__(self) -> "Log":
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._config.track != "none":  # first: it may not be installed
            self._tracker = _Tracker(self._path.parent, self._config, self._seed)
        self._file = self._path.open("w", encoding="utf-8")
        return self

    def write(self, **figures: float | int | str) -> None:
        """One line: step (from 1) and the figures."""
        self._add({"step": len(self.lines) + 1, **figures})

    def again(self, lines: Sequence[Line]) -> None:
        """The lines of a training that was killed, before those of its rest."""
        for line in lines:
            self._add(dict(line))

    def _add(self, line: Line) -> None:
        self.lines.append(line)
        if self._file is not None:
            self._file.write(json.dumps(line) + "\n")
        if self._tracker is not None:
            self._tracker.add(line)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
        if self._tracker is not None:
            self._tracker.close()


def read(folder: Path) -> list[Line]:
    """The training log in an adapter's or a run's folder; empty where there is none. Raises StoreError for a damaged
    one."""
    path = folder / "train_log.jsonl"
    if not path.is_file():
        return []
    store.check(path)
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except ValueError as error:
        raise StoreError(f"{path} is damaged: {one_line(error)}; remove it and run the same command again") from None


def ended_worse(lines: Sequence[Line]) -> str | None:
    """What to tell where the loss ended well above that of the base; None where it did not.

    The adapter begins as no change, so that the first step's loss is the base's own. A batch is a sample of the
    examples: only a loss a quarter above it is told. Where the divergence from the base on what is to be kept is
    measured too, it counts with the loss: a model broken down to guesses has on facts that the base could only guess no
    more than the base's loss.

    A quarter of a small loss is no harm: examples that the base gives .04 nats a token, e^-.04 = .96, and a divergence
    of .06 after a loss of .002 would be .062 for .05, where all is learned and kept tokens have e^-.06 = .94 of their
    probability. So a loss below one nat has a quarter of a nat above it: e^-.25 = .78, of each token a fifth is gone.
    """
    losses = [float(line["loss"]) for line in lines if "loss" in line]
    last = losses[-min(LAST_STEPS, max(1, len(losses) // 2)) :]
    if len(losses) < 2:
        return None
    kept = [float(line["kl"]) for line in lines if "kl" in line][-len(last) :]
    ended, moved = sum(last) / len(last), sum(kept) / max(1, len(kept))
    if ended + moved <= losses[0] + WORSE * max(1.0, losses[0]):
        return None
    beside = f", {moved:.3g} from the base on what is to be kept" if kept else ""
    return (
        f"training ended worse than it began: the loss on the examples was {losses[0]:.3g} nats a token at the first "
        f"step, the base's own, and {ended:.3g} over the last {len(last)}{beside}; lower train.lr"
    )


class _Tracker:
    """TensorBoard, wandb or trackio, by their own libraries, imported here."""

    def __init__(self, out: Path, config: TrainConfig, seed: int) -> None:
        self._kind = config.track
        settings = {**config.model_dump(mode="json"), "seed": seed}
        if self._kind == "tensorboard":
            _library("tensorboard", "tensorboard")
            self._writer = _library("torch.utils.tensorboard", "tensorboard").SummaryWriter(str(out / "tensorboard"))
        else:
            with redirect_stdout(sys.stderr):  # trackio prints, and stdout may be one JSON object
                self._module = _library(self._kind, self._kind)
                self._module.init(project="knowpack", name=_name(out, seed), config=settings)

    def add(self, line: Line) -> None:
        numbers = {key: value for key, value in line.items() if not isinstance(value, str) and key != "step"}
        if self._kind == "tensorboard":
            for key, value in numbers.items():
                self._writer.add_scalar(f"train/{key}", value, line["step"])
        else:
            self._module.log(numbers, step=line["step"])

    def close(self) -> None:
        if self._kind == "tensorboard":
            self._writer.close()
        else:
            with redirect_stdout(sys.stderr):
                self._module.finish()


def _name(out: Path, seed: int) -> str:
    """By the folder around the adapter's, a run's own: the adapter's has a name for now until it is whole."""
    return f"{out.absolute().parent.name}, seed {seed}"


def _library(module: str, package: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise ModelError(f"train.track needs {package}, which is not installed: pip install {package}") from None
