"""Does a served model answer as transformers does? Answers and their log-probabilities, the base and an adapter.

    python benchmarks/served_answers.py --served served:http://127.0.0.1:8765/v1#lab --model lab [--adapter FOLDER]

Asks both 20 facts under 2 prompts (--facts, --prompts), by the probe; prints how many greedy answers are equal and how
far the log-probabilities of the canonical answers are apart (nats; by text there are none).
"""

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl

from knowpack.base import prompter_for, sampled, shot_pool
from knowpack.config import FactsConfig, ModelConfig, ProbeConfig, RunConfig
from knowpack.facts import sources
from knowpack.probe.askers import Asker, TextAnswers
from knowpack.probe.probe import probe
from knowpack.probe.prompts import draw_shots
from knowpack.served.opening import open_asker


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--served", required=True)
    parser.add_argument("--model", default="lab")
    parser.add_argument("--adapter")
    parser.add_argument("--facts", type=int, default=20)
    parser.add_argument("--prompts", type=int, default=2)
    args = parser.parse_args()
    here, there = open_asker(ModelConfig(name=args.model)), open_asker(ModelConfig(name=args.served))
    source = sources.facts_for(args.model)
    facts = sampled(sources.load(source), FactsConfig(sample=args.facts))
    config = RunConfig(model=ModelConfig(name=args.model))
    shots = draw_shots(shot_pool(config), args.prompts, 4, 0, exclude=facts["question"].to_list())
    for adapter in [None, *([args.adapter] if args.adapter else [])]:
        with tuned(here, adapter) as ours, tuned(there, adapter) as theirs:
            compare(ours, theirs, facts, shots)


@contextmanager
def tuned(asker: Asker, adapter: str | None) -> Iterator[Asker]:
    if adapter is None:
        yield asker
        return
    with asker.with_adapter(adapter) as found:
        yield found


def compare(ours: Asker, theirs: Asker, facts: pl.DataFrame, shots: list) -> None:
    config = ProbeConfig(n_prompts=len(shots), logprob=not isinstance(theirs, TextAnswers))
    found = []
    for asker in (ours, theirs):
        prompter = prompter_for(asker, config)
        started = time.perf_counter()
        answers = probe(asker, facts, shots, prompter, config).collect()
        print(f"{asker.name} ({asker.device}): {answers.height} answers in {time.perf_counter() - started:.1f} s")
        found.append(answers)
    mine, other = found
    equal = int((mine["text"] == other["text"]).sum())
    print(f"  equal answers: {equal} of {mine.height}, {mine['text'].n_unique()} different ones")
    for column, of in (("logprob", "the canonical answer"), ("answer_logprob", "the model's own answer")):
        if column in mine.columns and other[column].null_count() == 0:
            gap = (mine[column] - other[column]).abs().max()
            print(f"  log-probability of {of}: at most {gap:.2g} nats apart")


if __name__ == "__main__":
    main()
