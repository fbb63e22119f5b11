"""Speed beside lm-eval's own `hf` backend, on a 135M-parameter random Llama, in one run.

    OMP_NUM_THREADS=1 python benchmarks/bench_speed.py --data DATA_DIR [--items 40] [--out FILE.json]

Each benchmark is cut into blocks; each block goes through both backends, one right after the other. hf runs at the
batch size that was fastest on a first block. Ratios are of CPU seconds of this process (with one thread: work done,
whatever else the machine does) and of wall seconds. Tokens come from a BPE that is trained on the benchmarks' text.
Peak memory: bench_memory.py.
"""

import argparse
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import torch
from lm_eval.models.huggingface import HFLM

import models
from bench_agreement import requests_of
from knowpack.bench import tasks
from knowpack.bench.lm import KnowpackLM
from knowpack.model.loaded import Loaded
from timing import Both, timed_both

BATCH_SIZES = (1, 4, 16)
BARS = {"mmlu": 4.0, "truthfulqa": 5.0, "arc_challenge": 1.5}
SUBJECTS = ("anatomy", "world_religions", "high_school_physics", "moral_disputes")


def texts(data: Path) -> Iterator[str]:
    """All text of the prepared benchmarks."""
    for file in sorted(data.rglob("*.parquet")):
        yield from (line for line in pl.read_parquet(file).write_ndjson().split("\n") if line)


def blocks_of(name: str, data: str, n_items: int) -> list[list]:
    """Requests in four blocks: of MMLU four subjects, else a quarter of the items each."""
    if name == "mmlu":
        return [requests_of(f"mmlu_{subject}", data, n_items // 4) for subject in SUBJECTS]
    names = ("truthfulqa_mc1", "truthfulqa_mc2") if name == "truthfulqa" else (name,)
    all_requests = [request for each in names for request in requests_of(each, data, n_items)]
    return [[request for request in all_requests if request.doc_id * 4 // n_items == quarter] for quarter in range(4)]


def scored(lm: HFLM, requests: list) -> tuple[Both, list[tuple[float, bool]]]:
    return timed_both(lambda: lm.loglikelihood(requests, disable_tqdm=True))


def compared(name: str, loaded: Loaded, data: str, n_items: int) -> dict[str, object]:
    """Both backends on one benchmark, block by block."""
    blocks = blocks_of(name, data, n_items)
    theirs = HFLM(pretrained=loaded.model, tokenizer=loaded.tokenizer, batch_size=1)
    first = blocks[0][: max(8, len(blocks[0]) // 4)]
    tried = {}
    for size in BATCH_SIZES:
        theirs.batch_size_per_gpu = size
        tried[size] = scored(theirs, first)[0].processor
    theirs.batch_size_per_gpu = best = min(tried, key=tried.__getitem__)
    cpu, wall, gap = [0.0, 0.0], [0.0, 0.0], 0.0
    for block in blocks:
        answers = []
        for i, lm in enumerate((KnowpackLM(loaded), theirs)):
            used, scores = scored(lm, block)
            cpu[i] += used.processor
            wall[i] += used.wall
            answers.append(scores)
        gap = max(gap, *(abs(a[0] - b[0]) for a, b in zip(*answers, strict=True)))
    return {
        "benchmark": name,
        "n_items": n_items,
        "n_requests": sum(map(len, blocks)),
        "hf_batch_size": best,
        "hf_first_block_cpu_seconds": {size: round(value, 1) for size, value in tried.items()},
        "cpu_seconds": round(cpu[0], 1),
        "cpu_seconds_hf": round(cpu[1], 1),
        "ratio_cpu": round(cpu[1] / cpu[0], 2),
        "wall_seconds": round(wall[0], 1),
        "wall_seconds_hf": round(wall[1], 1),
        "ratio_wall": round(wall[1] / wall[0], 2),
        "bar": BARS[name],
        "max_difference_nats": gap,
        "n_threads": torch.get_num_threads(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--items", type=int, default=40)
    parser.add_argument("--benchmarks", default="arc_challenge,truthfulqa,mmlu")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    with tasks.quiet():
        loaded = models.smollm_sized(texts(Path(options.data)))
        rows = []
        for name in options.benchmarks.split(","):
            rows.append(compared(name, loaded, options.data, options.items))
            print(json.dumps(rows[-1]), flush=True)
    if options.out:
        options.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
