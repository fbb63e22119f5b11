"""Does a served model answer as transformers does? Answers and their log-probabilities, the base and an adapter.

    python benchmarks/served_answers.py --served served:http://127.0.0.1:8765/v1#lab --model lab [--adapter FOLDER]

Asks both 20 facts under 2 prompts (--facts, --prompts), by the probe; prints how many greedy answers are equal and how
far the log-probabilities of the answers are apart (nats; by text there are none). --echo: those of the
canonical answers too, which the server reads out of an echoed prompt.
"""

import argparse
import time

import polars as pl

from knowpack.base import prompter_for
from knowpack.config import FactsConfig, ModelConfig, ProbeConfig, RunConfig
from knowpack.facts import sources
from knowpack.facts.from_config import sampled, shot_pool
from knowpack.probe.askers import Asker
from knowpack.probe.probe import probe
from knowpack.probe.shots import draw_shots
from knowpack.served.opening import open_asker


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--served", required=True)
    parser.add_argument("--model", default="lab")
    parser.add_argument("--adapter")
    parser.add_argument("--facts", type=int, default=20)
    parser.add_argument("--prompts", type=int, default=2)
    parser.add_argument("--echo", action="store_true")
    args = parser.parse_args()
    here, there = open_asker(ModelConfig(name=args.model)), open_asker(ModelConfig(name=args.served))
    source = sources.facts_for(args.model)
    facts = sampled(sources.load(source), FactsConfig(sample=args.facts))
    config = RunConfig(model=ModelConfig(name=args.model))
    shots = draw_shots(shot_pool(config), args.prompts, 4, 0, exclude=facts["question"].to_list())
    plain = compare(here, there, facts, shots, args.echo)
    if args.adapter:
        with here.with_adapter(args.adapter) as ours, there.with_adapter(args.adapter) as theirs:
            changed = compare(ours, theirs, facts, shots, args.echo)
        print(f"  answers that the adapter changed: {int((plain != changed).sum())} of {plain.len()}")


def compare(ours: Asker, theirs: Asker, facts: pl.DataFrame, shots: list, echo: bool) -> pl.Series:
    config = ProbeConfig(n_prompts=len(shots), logprob=echo)
    both = []
    for asker in (ours, theirs):
        prompter = prompter_for(asker, config)
        started = time.perf_counter()
        answers = probe(asker, facts, shots, prompter, config).collect()
        print(f"{asker.name} ({asker.device}): {answers.height} answers in {time.perf_counter() - started:.1f} s")
        both.append(answers)
    mine, other = both
    equal = int((mine["text"] == other["text"]).sum())
    print(f"  equal answers: {equal} of {mine.height}, {mine['text'].n_unique()} different ones")
    for column, of in (("logprob", "the canonical answer"), ("answer_logprob", "the model's own answer")):
        if column in mine.columns and other[column].null_count() == 0:
            gap = (mine[column] - other[column]).abs().max()
            print(f"  log-probability of {of}: at most {gap:.2g} nats apart")
    return other["text"]


if __name__ == "__main__":
    main()
