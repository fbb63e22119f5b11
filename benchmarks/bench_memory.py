"""Peak memory beside lm-eval's own `hf` backend: each backend alone in a process of its own, the same requests.

    OMP_NUM_THREADS=1 python benchmarks/bench_memory.py --data DATA_DIR [--model 135m|lab|FOLDER] [--items 12]

The model is written to a folder first and each process loads it from there, so that making it counts for neither.
One process for each benchmark and backend (hf at each of --batch-sizes). Printed: the peak of the resident set in
MiB while the requests are scored (VmHWM, set back before where the system can), and what was resident before.
Linux only.
"""

import argparse
import json
import logging
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from lm_eval.models.huggingface import HFLM

import models
from bench_agreement import requests_of
from bench_speed import SUBJECTS, texts
from knowpack.bench import tasks
from knowpack.bench.lm import KnowpackLM
from knowpack.config import ModelConfig
from knowpack.model.load import load

NAMES = {
    "arc_challenge": ("arc_challenge",),
    "truthfulqa": ("truthfulqa_mc1", "truthfulqa_mc2"),
    "mmlu": tuple(f"mmlu_{subject}" for subject in SUBJECTS),
    "logiqa": ("logiqa",),
}


def resident(which: str) -> float:
    """VmRSS or VmHWM of this process, MiB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(which))


def alone(options: argparse.Namespace) -> None:
    """One benchmark under one backend; prints both figures. Batch size 0: ours."""
    loaded = load(ModelConfig(name=options.model, dtype="float32"))
    names = NAMES[options.alone]
    requests = [each for name in names for each in requests_of(name, options.data, -(-options.items // len(names)))]
    if options.batch_size == 0:
        lm = KnowpackLM(loaded)
    else:
        lm = HFLM(pretrained=loaded.model, tokenizer=loaded.tokenizer, batch_size=options.batch_size)
    lm.loglikelihood(requests[:1], disable_tqdm=True)  # what the first product ever costs
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    lm.loglikelihood(requests, disable_tqdm=True)
    print(json.dumps({"n_requests": len(requests), "mib_before": before, "mib_peak": resident("VmHWM")}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", default="135m")
    parser.add_argument("--items", type=int, default=12)
    parser.add_argument("--benchmarks", default="arc_challenge,truthfulqa,mmlu")
    parser.add_argument("--batch-sizes", default="1,4,16", help="of hf")
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    parser.add_argument("--batch-size", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    if options.alone:
        with tasks.quiet():
            alone(options)
        return
    with TemporaryDirectory() as folder:
        if options.model == "135m":
            made = models.smollm_sized(texts(Path(options.data)))
            made.model.save_pretrained(folder)  # type: ignore[operator]
            made.tokenizer.save_pretrained(folder)
            del made
        model = folder if options.model == "135m" else options.model
        for name in options.benchmarks.split(","):
            for size in (0, *map(int, options.batch_sizes.split(","))):
                command = [sys.executable, __file__, "--data", options.data, "--model", model, "--alone", name]
                command += ["--items", str(options.items), "--batch-size", str(size)]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                row = json.loads(done.stdout.splitlines()[-1])
                head = {"benchmark": name, "backend": f"hf, batch {size}" if size else "knowpack"}
                print(json.dumps({**head, **row, "n_threads": torch.get_num_threads()}), flush=True)


if __name__ == "__main__":
    main()
