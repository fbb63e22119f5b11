"""Training alone: knowpack's loop against transformers' Trainer with peft, same cell, same process.

    python benchmarks/train_speed.py [--model lab] [--examples 550] [--epochs 3] [--rounds 3]

Prints seconds a step of each and their ratio (bar: knowpack no slower). Rounds alternate, the fastest counts.
--cpu-time counts processor time, for a machine that does other work (with OMP_NUM_THREADS=1).
--model random: a random Llama of the lab's size, synthetic ids.
"""

import argparse
import math
import tempfile
from pathlib import Path

import numpy as np
import peft
import torch
import transformers

import models
from knowpack import records
from knowpack.config import PlainRecipe
from knowpack.progress import SILENT
from knowpack.records import Example
from knowpack.train import lora, plain, track
from knowpack.train.batch import NO_LOSS, Row
from knowpack.train.resume import Checkpoints, Run
from timing import Clock, clock_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="random")
    parser.add_argument("--examples", type=int, default=550)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cpu-time", action="store_true")
    args = parser.parse_args()
    clock = clock_of(cpu_time=args.cpu_time)
    model = models.lab_sized() if args.model == "random" else models.named(args.model).model
    config = PlainRecipe(rank=1, alpha=2, lr=1e-3, epochs=args.epochs, loss="all")
    rows = synthetic(args.examples, model.config.vocab_size)
    n_steps = config.epochs * math.ceil(len(rows) / config.batch_size)
    ours, theirs = [], []
    for _ in range(args.rounds):
        theirs.append(by_trainer(model, rows, config, clock) / n_steps)
        ours.append(by_knowpack(model, rows, config, clock) / n_steps)
    print(f"model {args.model}, {len(rows)} examples, {n_steps} steps of {config.batch_size}, all-token loss")
    print(f"Trainer + peft  {min(theirs) * 1e3:7.1f} ms a step")
    print(f"knowpack        {min(ours) * 1e3:7.1f} ms a step")
    print(f"ratio           {min(theirs) / min(ours):7.2f} (bar: at least 1)")


def synthetic(n: int, vocabulary: int) -> list[Row]:
    """Rows of 20-32 tokens, as the lab's questions have."""
    rng = np.random.default_rng(0)
    return [Row(tuple(rng.integers(5, vocabulary, rng.integers(20, 33)).tolist()), 1) for _ in range(n)]


def by_knowpack(model: transformers.PreTrainedModel, rows: list[Row], config: PlainRecipe, clock: Clock) -> float:
    started = clock()
    losses_by_knowpack(model, rows, config)
    return clock() - started


def losses_by_knowpack(model: transformers.PreTrainedModel, rows: list[Row], config: PlainRecipe) -> list[float]:
    """The loss of each step of the plain recipe."""
    with (
        tempfile.TemporaryDirectory() as out,
        lora.adapted(model, config, 0) as adapted,
        track.Log(Path(out), config, 0) as log,
    ):
        run = Run(adapted, records.table([], Example), 0, log, Checkpoints(None, "", 0.0), SILENT)
        plain.fit(run, config, rows, None)
        return [float(step["loss"]) for step in log.lines]


def by_trainer(model: transformers.PreTrainedModel, rows: list[Row], config: PlainRecipe, clock: Clock) -> float:
    with tempfile.TemporaryDirectory() as out, lora.adapted(model, config, 0) as adapted:
        arguments = transformers.TrainingArguments(
            output_dir=out,
            use_cpu=True,
            num_train_epochs=config.epochs,
            learning_rate=config.lr,
            per_device_train_batch_size=config.batch_size,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=False,
            remove_unused_columns=False,
            logging_strategy="no",
        )
        dataset = [{"row": row} for row in rows]
        trainer = transformers.Trainer(adapted, arguments, data_collator=pad, train_dataset=dataset)
        assert isinstance(adapted, peft.PeftModel)
        started = clock()
        trainer.train()
        return clock() - started


def pad(items: list[dict[str, Row]]) -> dict[str, torch.Tensor]:
    width = max(len(item["row"].ids) for item in items)
    ids = torch.zeros(len(items), width, dtype=torch.long)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, NO_LOSS)
    for index, item in enumerate(items):
        row = torch.tensor(item["row"].ids)
        ids[index, : len(row)], mask[index, : len(row)], labels[index, : len(row)] = row, 1, row
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


if __name__ == "__main__":
    main()
