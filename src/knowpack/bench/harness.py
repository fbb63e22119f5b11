"""lm-eval's own evaluation of given tasks on a given model, with its seeds, and its own files of the results.

(KnowpackLM, tasks, BenchConfig) -> lm-eval's results. What `lm_eval.simple_evaluate` does, without asking the
machine for its compilers and packages each time, and with the caller's random state left as it was.
"""

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from lm_eval.defaults import DEFAULT_OTHER_SEED, DEFAULT_RANDOM_SEED
from lm_eval.evaluator import evaluate
from lm_eval.loggers import EvaluationTracker

from knowpack.bench import tasks
from knowpack.config import BenchConfig
from knowpack.errors import BenchError, StoreError

if TYPE_CHECKING:
    from knowpack.bench.asker_lm import AskerLM
    from knowpack.bench.lm import KnowpackLM
    from knowpack.bench.tasks import Benchmark

SEEDS = {
    "random_seed": DEFAULT_RANDOM_SEED,
    "numpy_seed": DEFAULT_OTHER_SEED,
    "torch_seed": DEFAULT_OTHER_SEED,
    "fewshot_seed": DEFAULT_OTHER_SEED,
}


def run(lm: "KnowpackLM | AskerLM", benchmarks: Sequence["Benchmark"], config: BenchConfig) -> dict[str, Any]:
    """Evaluate all tasks together, so that equal requests are computed once; results as lm-eval gives them."""
    started = time.time()
    try:
        built = tasks.bare_manager().load([part for benchmark in benchmarks for part in benchmark.objects])
    except ValueError as error:
        raise BenchError(f"{error}; name the group or its task, not both") from None
    for task in built["tasks"].values():
        if task.config.num_fewshot is None:
            task.set_config(key="num_fewshot", value=0)
        task.set_fewshot_seed(seed=SEEDS["fewshot_seed"])
    with _seeded():
        results: dict[str, Any] = evaluate(
            lm=lm,
            task_dict=built,
            limit=config.limit,
            apply_chat_template=config.apply_chat_template,
            fewshot_as_multiturn=config.fewshot_as_multiturn,
        )
    results["config"] = {
        "model": "knowpack",
        "model_args": {"pretrained": lm.model_name},
        **lm.get_model_info(),
        "batch_size": lm.n_tokens,
        "device": str(lm.device),
        "limit": config.limit,
        **SEEDS,
    }
    results["date"] = started
    return results


def save(results: dict[str, Any], lm: "KnowpackLM | AskerLM", config: BenchConfig, folder: Path) -> None:
    """Write results_*.json and samples_*.jsonl where and as lm-eval does; takes the samples out of `results`."""
    tracker = EvaluationTracker(output_path=str(folder))
    tracker.general_config_tracker.log_experiment_args(
        model_source="knowpack",
        model_args={"pretrained": lm.model_name},
        system_instruction=None,
        chat_template=lm.chat_template(True) if config.apply_chat_template else None,
        fewshot_as_multiturn=config.fewshot_as_multiturn,
    )
    samples = results.pop("samples")
    tracker.save_results_aggregated(results=results, samples=samples)
    for name, rows in samples.items():
        tracker.save_results_samples(task_name=name, samples=rows)
    expected = 1 + len(samples)  # lm-eval logs a failed write and goes on
    if len(list(folder.rglob(f"*_{tracker.date_id}.json*"))) != expected:
        raise StoreError(f"lm-eval could not write its {expected} result files into {folder}; is the disk full?")


@contextmanager
def _seeded() -> Iterator[None]:
    """lm-eval's default seeds within, the caller's random state after."""
    before = random.getstate(), np.random.get_state(), torch.random.get_rng_state()
    random.seed(SEEDS["random_seed"])
    np.random.seed(SEEDS["numpy_seed"])
    torch.manual_seed(SEEDS["torch_seed"])
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.random.set_rng_state(before[2])
