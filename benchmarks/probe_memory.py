"""Memory of a probe against the number of facts: 100,000 facts in the memory of 10,000 (bar: within 15%).

    python benchmarks/probe_memory.py [--facts 10000 100000] [--out FILE]

Each size runs in a process of its own: a fact table of that size (the lab's facts again and again, with ids of their
own) is written, read and probed with the lab's model, one prompt of four shots, in resumable chunks as `knowpack run`
does. Prints the highest resident memory of each process, and the part of it that was there before the probe.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--facts", type=int, nargs=2, default=[10_000, 100_000])
    parser.add_argument("--new-tokens", type=int, default=8)
    parser.add_argument("--out", type=Path, help="write the figures there, as JSON")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(one(args.one, args.new_tokens)))
        return
    memory = {}
    for n in args.facts:
        command = [sys.executable, __file__, "--one", str(n), "--new-tokens", str(args.new_tokens)]
        result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        memory[n] = json.loads(result.stdout.splitlines()[-1])
        print(
            f"{n:8,} facts: highest {memory[n]['highest_mb']:7.0f} MB, before {memory[n]['before_mb']:7.0f} MB, "
            f"{memory[n]['seconds']:6.0f} s",
            flush=True,
        )
    few, many = (memory[n]["highest_mb"] for n in args.facts)
    print(f"ratio {many / few:.3f} (bar: at most 1.15)")
    if args.out:
        args.out.write_text(json.dumps(memory, indent=1) + "\n", encoding="utf-8")


def one(n_facts: int, new_tokens: int) -> dict[str, float]:
    """Probe n facts in this process."""
    from knowpack.config import ModelConfig, ProbeConfig
    from knowpack.decode.decoder import Decoder
    from knowpack.lab import files
    from knowpack.model.load import load
    from knowpack.probe.probe import probe
    from knowpack.probe.prompts import Prompter
    from knowpack.probe.shots import draw_shots
    from knowpack.store import Chunks, read_table, write_table

    with tempfile.TemporaryDirectory() as work:
        path = Path(work) / "facts.parquet"
        write_table(path, many_facts(files.facts(), n_facts))
        facts = read_table(path)
        loaded = load(ModelConfig(device="cpu"))
        prompter, config = Prompter(loaded.tokenizer), ProbeConfig(n_prompts=1, max_new_tokens=new_tokens)
        shots = draw_shots(files.shots(), config.n_prompts, config.n_shots, 0)
        before, started = highest_mb(), time.perf_counter()
        probe(Decoder(loaded), facts, shots, prompter, config, chunks=Chunks(Path(work) / "responses.parquet"))
        return {"before_mb": before, "highest_mb": highest_mb(), "seconds": time.perf_counter() - started}


def many_facts(facts: pl.DataFrame, n: int) -> pl.LazyFrame:
    """The facts again and again, ids made unique; without paraphrases, as imported tables mostly are."""
    copies = -(-n // len(facts))
    again = [facts.lazy().with_columns(fact_id=pl.format("{}-{}", "fact_id", pl.lit(k))) for k in range(copies)]
    return pl.concat(again).with_columns(paraphrases=pl.lit([], dtype=pl.List(pl.String))).head(n)


def highest_mb() -> float:
    """Highest resident memory of this process so far, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
