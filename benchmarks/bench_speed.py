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
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import torch
import transformers
from lm_eval.models.huggingface import HFLM
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from bench_agreement import requests_of
from knowpack.bench import tasks
from knowpack.bench.lm import KnowpackLM
from knowpack.model.loaded import Loaded, weights_hash

SHAPE = {
    "hidden_size": 576,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "intermediate_size": 1536,
    "vocab_size": 49152,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": True,
}
BATCH_SIZES = (1, 4, 16)
BARS = {"mmlu": 4.0, "truthfulqa": 5.0, "arc_challenge": 1.5}
SUBJECTS = ("anatomy", "world_religions", "high_school_physics", "moral_disputes")


def texts(data: Path) -> Iterator[str]:
    """All text of the prepared benchmarks."""
    for file in sorted(data.rglob("*.parquet")):
        yield from (line for line in pl.read_parquet(file).write_ndjson().split("\n") if line)


def model_of(data: Path) -> Loaded:
    """The random Llama with a tokenizer of its own size."""
    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=SHAPE["vocab_size"], special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    bare.train_from_iterator(texts(data), trainer)
    bare.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    words = transformers.PreTrainedTokenizerFast(tokenizer_object=bare, bos_token="<s>", eos_token="</s>")
    torch.manual_seed(0)
    config = transformers.LlamaConfig(**SHAPE, bos_token_id=0, eos_token_id=1)
    model = transformers.LlamaForCausalLM(config).float().eval()
    return Loaded(model, words, "random-llama-135M", torch.device("cpu"), weights_hash(model))


def blocks_of(name: str, data: str, n_items: int) -> list[list]:
    """Requests in four blocks: of MMLU four subjects, else a quarter of the items each."""
    if name == "mmlu":
        return [requests_of(f"mmlu_{subject}", data, n_items // 4) for subject in SUBJECTS]
    names = ("truthfulqa_mc1", "truthfulqa_mc2") if name == "truthfulqa" else (name,)
    found = [request for each in names for request in requests_of(each, data, n_items)]
    return [[request for request in found if request.doc_id * 4 // n_items == quarter] for quarter in range(4)]


def timed(lm: HFLM, requests: list) -> tuple[float, float, list[tuple[float, bool]]]:
    """CPU seconds, wall seconds, answers."""
    cpu, wall = time.process_time(), time.perf_counter()
    found = lm.loglikelihood(requests, disable_tqdm=True)
    return time.process_time() - cpu, time.perf_counter() - wall, found


def compared(name: str, loaded: Loaded, data: str, n_items: int) -> dict[str, object]:
    """Both backends on one benchmark, block by block."""
    blocks = blocks_of(name, data, n_items)
    theirs = HFLM(pretrained=loaded.model, tokenizer=loaded.tokenizer, batch_size=1)
    first = blocks[0][: max(8, len(blocks[0]) // 4)]
    tried = {}
    for size in BATCH_SIZES:
        theirs.batch_size_per_gpu = size
        tried[size] = timed(theirs, first)[0]
    theirs.batch_size_per_gpu = best = min(tried, key=tried.__getitem__)
    cpu, wall, gap = [0.0, 0.0], [0.0, 0.0], 0.0
    for block in blocks:
        answers = []
        for i, lm in enumerate((KnowpackLM(loaded), theirs)):
            used, passed, found = timed(lm, block)
            cpu[i] += used
            wall[i] += passed
            answers.append(found)
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
        loaded = model_of(Path(options.data))
        rows = []
        for name in options.benchmarks.split(","):
            rows.append(compared(name, loaded, options.data, options.items))
            print(json.dumps(rows[-1]), flush=True)
    if options.out:
        options.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
