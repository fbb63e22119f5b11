"""Training: question-answer examples -> a LoRA adapter on the base in memory. Read it from top to bottom.

base + examples + a recipe + seed -> adapter folder (peft's files, README.md, train_log.jsonl). The recipes are in
plain.py (the paper's, section 4.2) and keep.py (pack's); a training that was killed goes on where it was.
"""

import math
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import torch

from knowpack import store
from knowpack.config import NOT_A_RESULT, KeepRecipe, PlainRecipe
from knowpack.errors import ModelError
from knowpack.model.adapter import write_made_on
from knowpack.model.loaded import Loaded
from knowpack.model.locations import WEIGHTS
from knowpack.model.memory import give_back, ran_out
from knowpack.probe.prompts import Prompter
from knowpack.probe.turns import Shot
from knowpack.progress import SILENT, Progress
from knowpack.records import Kind
from knowpack.train import card, keep, lora, objective, plain, target_modules, track
from knowpack.train.base_answers import Replay, build
from knowpack.train.batch import encode
from knowpack.train.contexts import Contexts
from knowpack.train.resume import Checkpoints, Run, epochs


@dataclass(frozen=True, slots=True)
class TrainResult:
    """An adapter on disk and how it came about."""

    adapter_dir: Path
    log: list[track.Line]
    seconds: float
    """Training, and with the keep recipe the base's answers to the replay prompts; without saving and checking."""
    effect: float
    """Largest change of a logit that the adapter makes on the first examples."""


def train(
    loaded: Loaded,
    examples: pl.DataFrame,
    config: PlainRecipe | KeepRecipe,
    seed: int,
    out: Path,
    *,
    prompter: Prompter,
    progress: Progress = SILENT,
    contexts: Sequence[Sequence[Shot]] = ((),),
    replay: Replay | None = None,
    more_terms: Sequence[objective.Term] = (),
    resume_in: Path | None = None,
    command: str | None = None,
    start: Path | None = None,
) -> TrainResult:
    """Examples -> adapter in `out`. The base comes back bit for bit.

    Of the keep recipe alone: contexts, the few-shot prompts to train under, () being the bare question; replay, the
    base's answers to the replay examples, where they are there from an earlier call with the same examples and
    contexts; more_terms, beside the recipe's own objective. resume_in: a folder for the state of a training that is
    killed; the same call goes on from there, to the same bytes. Whoever calls removes it once the adapter is where it
    belongs: until then it is all that a kill leaves. command: for the card.
    start: the folder of an adapter that this one begins as; None = a fresh one.
    """
    if loaded.model.dtype == torch.float16:
        warnings.warn(
            "training in float16 rounds small gradients to 0 (no loss is scaled here); use --dtype bfloat16 or float32",
            stacklevel=2,
        )
    replayed = examples["kind"] == str(Kind.REPLAY)
    to_replay, examples = examples.filter(replayed), examples.filter(~replayed)
    if examples.is_empty():
        raise ModelError("there is nothing to train on: the example table has no facts to learn")
    if isinstance(config, KeepRecipe) and replay is None:
        questions = to_replay["question"].to_list()
        replay = build(loaded, questions, Contexts(prompter, contexts), config, seed, progress=progress)
    first = prompter.example(*examples.select("question", "answer").row(0)).ids
    prefixes = replay.contexts.prefixes if replay is not None else []
    _check_window(loaded, examples, prompter, prefixes)
    settings = config.model_dump(mode="json", exclude=NOT_A_RESULT["train"])
    key = [
        loaded.weights_hash,
        store.hash_table(examples),
        store.hash_table(to_replay),
        first,
        prefixes,
        settings,
        seed,
        *([] if start is None else [store.hash_file(start / WEIGHTS)]),
    ]
    checkpoints = Checkpoints(resume_in, store.hash_of(key), config.checkpoint_seconds)
    placement = target_modules.summary(loaded.model, config)
    give_back()
    with (
        lora.adapted(loaded.model, config, seed, start, loaded.revision) as model,
        track.Log(out, config, seed) as log,
    ):
        n_weights = sum(weight.numel() for weight in lora.weights(model))
        with progress.stage(placement, n_weights) as advance:  # what target_modules=auto has chosen
            advance(n_weights)
        run = Run(model, examples, seed, log, checkpoints, progress)
        with _within_memory(config):
            match config:
                case PlainRecipe():
                    epochs_in = (resume_in or out) if config.checkpoint_each_epoch else None
                    plain.fit(run, config, encode(examples, prompter, config.loss), epochs_in)
                case KeepRecipe():
                    assert replay is not None, "built above"
                    keep.fit(run, config, replay, (*objective.terms(config), *more_terms))
        seconds = checkpoints.seconds()
        ids = torch.tensor([first], device=model.device)
        effect = lora.effect(model, ids)
        lora.save(model, out)
    give_back()
    _check_saved(loaded, out, ids, effect)
    # an adapter that begins as another one has learned already: its first loss is not the base's
    if start is None and (warning := track.ended_worse(log.lines)) is not None:
        warnings.warn(warning, stacklevel=2)
    card.write(out, loaded.name, loaded.weights_hash, examples, config, seed, command=command)
    write_made_on(out, loaded)
    if resume_in is not None:
        for epoch in epochs(resume_in):
            shutil.copytree(epoch, out / epoch.name, dirs_exist_ok=True)
    return TrainResult(out, log.lines, seconds, effect)


def _check_window(
    loaded: Loaded, examples: pl.DataFrame, prompter: Prompter, prefixes: Sequence[Sequence[int]]
) -> None:
    """Raise ModelError where an example under the longest context is longer than the model can take."""
    longest = max(len(prompter.example(*row).ids) for row in examples.select("question", "answer").iter_rows())
    lengths = [len(prefix) for prefix in prefixes] or [0]
    loaded.check_fits(longest + max(lengths) - min(lengths))  # the shortest context is part of the example


def _check_saved(loaded: Loaded, out: Path, ids: torch.Tensor, effect: float) -> None:
    """Raise ModelError where the adapter on disk does not move the logits as the trained one does."""
    with lora.reloaded(loaded.model, out) as model:
        again = lora.effect(model, ids)
    if not math.isclose(effect, again, rel_tol=1e-2, abs_tol=1e-4):
        raise ModelError(f"the saved adapter is not the trained one: logits move by {again:.4g}, not {effect:.4g}")


@contextmanager
def _within_memory(config: PlainRecipe | KeepRecipe) -> Iterator[None]:
    """A step that does not fit into memory is one line that names what to make smaller: results depend on the size of a
    batch, so that none is cut up here."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not ran_out(error):
            raise
        names = ["batch_size"] if isinstance(config, PlainRecipe) else ["batch_size", "replay_batch"]
        sizes = " or ".join(f"train.{name} ({getattr(config, name)})" for name in names)
        raise ModelError(
            f"a step of training does not fit into memory: lower {sizes}, or train on another device"
        ) from None
