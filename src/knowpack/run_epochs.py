"""Reliability after each epoch of a plain training (the paper's Figure 2).

The epochs' adapters + the trained facts -> lines at the end of the training log. The answers are kept beside the state
of the training, epoch by epoch, until the adapter is in its place: a kill repeats neither training nor asking.
"""

import json
from pathlib import Path

import polars as pl

from knowpack import store
from knowpack.base import Base
from knowpack.config import RunConfig
from knowpack.probe.probe import probe
from knowpack.progress import Progress
from knowpack.records import Response


def measure_epochs(
    adapter: Path, state: Path, config: RunConfig, base: Base, new_ids: set[str], progress: Progress
) -> None:
    """Append each epoch's reliability to the training log; the trained facts only, under all prompts.

    state: the folder of the training's state, where an epoch's answers are kept.
    """
    new_facts = base.facts.filter(pl.col("fact_id").is_in(list(new_ids)))
    lines = []
    checkpoints = sorted(adapter.glob("epoch-*"))
    with progress.stage("reliability after each epoch", len(checkpoints)) as advance:
        for checkpoint in checkpoints:
            responses = _responses(checkpoint, state / f"{checkpoint.name}.parquet", config, base, new_facts)
            matched = responses[f"matched_{config.grader}"].is_not_null()
            epoch = int(checkpoint.name.removeprefix("epoch-"))
            lines.append({"epoch": epoch, "reliability": matched.mean(), "n": new_facts.height})
            advance(1)
    with (adapter / "train_log.jsonl").open("a", encoding="utf-8") as log:
        log.writelines(json.dumps(line, sort_keys=True) + "\n" for line in lines)


def _responses(checkpoint: Path, kept: Path, config: RunConfig, base: Base, facts: pl.DataFrame) -> pl.DataFrame:
    """What the base answers greedily with an epoch's adapter; not asked again where it is kept."""
    if not kept.is_file():
        greedy = config.probe.model_copy(update={"logprob": False, "n_samples": 0})
        with base.tuned(checkpoint) as tuned:
            probe(tuned, facts, base.shots, base.prompter, greedy, chunks=store.Chunks(kept))
    return store.read_table(kept, Response)
