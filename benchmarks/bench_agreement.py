"""Agreement with lm-eval's own `hf` backend, request by request, in float32.

    python benchmarks/bench_agreement.py --model FOLDER|lab|random-llama|random-neox --data DATA_DIR [--out FILE.json]

Both backends get the very same requests: TruthfulQA MC1 and MC2 (all 817 questions), ARC-Challenge (all), MMLU 5-shot
(--mmlu-items, an equal share of each subject), LogiQA (all), and --generations TruthfulQA generations. Prints, for
each task, the largest difference of a log-likelihood in nats, the share of items with the same choice (by
log-likelihood, and by log-likelihood per character), the share of equal texts, and how many requests were longer than
the model's window. The random models (seed 0, a window of 2,048) are small: agreement is asked of them, not speed.
"""

import argparse
import json
import logging
import time
from pathlib import Path

from lm_eval.models.huggingface import HFLM

import models
from knowpack.bench import tasks
from knowpack.bench.lm import KnowpackLM
from knowpack.config import BenchConfig


def requests_of(name: str, data: str, limit: int | None) -> list:
    """The requests that lm-eval builds for a task, and for MMLU an equal share of each subject."""
    (benchmark,) = tasks.load([name], BenchConfig(tasks=(name,), data=data))
    built = []
    with tasks.quiet():
        for task in benchmark.tasks():
            if task.config.num_fewshot is None:
                task.set_config(key="num_fewshot", value=0)
            task.set_fewshot_seed(1234)
            n = limit if len(benchmark.leaves) == 1 or limit is None else -(-limit // len(benchmark.leaves))
            task.build_all_requests(limit=n, rank=0, world_size=1)
            built += task.instances
    return built


def choices(requests: list, values: list[tuple[float, bool]], *, norm: bool) -> dict[tuple[str, int], int]:
    """The chosen answer of each item."""
    best: dict[tuple[str, int], tuple[float, int]] = {}
    for request, (value, _) in zip(requests, values, strict=True):
        score = value / max(1, len(request.args[1].strip())) if norm else value
        key = (request.task_name, request.doc_id)
        if key not in best or score > best[key][0]:
            best[key] = (score, request.idx)
    return {key: index for key, (_, index) in best.items()}


def agreement(name: str, requests: list, ours: KnowpackLM, theirs: HFLM) -> dict[str, object]:
    """One task under both backends."""
    ours.cut.clear()
    started = time.process_time()
    if requests[0].request_type == "generate_until":
        ours_scored, middle = ours.generate_until(requests), time.process_time()
        expected = theirs.generate_until(requests, disable_tqdm=True)
        same = sum(a == b for a, b in zip(ours_scored, expected, strict=True))
        row: dict[str, object] = {"task": name, "n": len(requests), "same_text": same / len(requests)}
        row["n_distinct_texts"] = len(set(expected))
    else:
        ours_scored, middle = ours.loglikelihood(requests), time.process_time()
        expected = theirs.loglikelihood(requests, disable_tqdm=True)
        row = {"task": name, "n_requests": len(requests)}
        row["max_difference"] = max(abs(a[0] - b[0]) for a, b in zip(ours_scored, expected, strict=True))
        row["same_greedy"] = sum(a[1] == b[1] for a, b in zip(ours_scored, expected, strict=True)) / len(ours_scored)
        for norm in (False, True):
            mine, other = (choices(requests, values, norm=norm) for values in (ours_scored, expected))
            row["n"] = len(mine)
            row["same_choice" + "_norm" * norm] = sum(mine[key] == other[key] for key in mine) / len(mine)
    row["n_requests_cut"] = sum(ours.cut.values())
    row["cpu_seconds"] = round(middle - started, 1)
    row["cpu_seconds_hf"] = round(time.process_time() - middle, 1)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="lab")
    parser.add_argument("--tokenizer-of", default="lab", help="for the random models")
    parser.add_argument("--data", required=True)
    parser.add_argument("--tasks", default="truthfulqa_mc1,truthfulqa_mc2,arc_challenge,logiqa,mmlu,truthfulqa_gen")
    parser.add_argument("--limit", type=int, help="fewer items, to try it out")
    parser.add_argument("--mmlu-items", type=int, default=2000)
    parser.add_argument("--generations", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=16, help="of the hf backend")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    loaded = models.named(options.model, options.tokenizer_of)
    with tasks.quiet():
        ours = KnowpackLM(loaded)
        theirs = HFLM(pretrained=loaded.model, tokenizer=loaded.tokenizer, batch_size=options.batch_size)
    rows = []
    for name in options.tasks.split(","):
        limit = {"mmlu": options.mmlu_items, "truthfulqa_gen": options.generations}.get(name)
        requests = requests_of(
            name, options.data, min(limit or options.limit, options.limit) if options.limit else limit
        )
        with tasks.quiet():
            row = {"model": options.model, **agreement(name, requests, ours, theirs)}
        rows.append(row)
        print(json.dumps(row), flush=True)
        if options.out:
            options.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
