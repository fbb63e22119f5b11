"""Probing: knowpack's shared-prefix decoder against transformers' text-generation pipeline, and against the hardware.

    python benchmarks/probe_speed.py [--part lab|135m|all] [--facts 1024] [--rounds 2] [--out FILE]

lab: 10 prompts x 4 shots on the lab's own model and facts, drafts as in a probe; texts and categories are compared.
135m: a random Llama (576 wide, 30 layers, 9 heads, 3 of keys), prefixes of 200 tokens, no drafts, no early end.
The pipeline runs as the authors run it: batch 128, left padding, 32 new tokens. Both sides alternate within a round;
every round's ratio is printed. "of matrix speed": the products of parameters and tokens that no method can avoid
(a prefix once, question and answer tokens of each row, the vocabulary only where a token is chosen), against the
fastest of torch's own products of 2048 x 2048 in the same run, and against oneDNN's. Writes only with --out.
"""

import argparse
import json
import random
import statistics
import warnings
from pathlib import Path
from typing import NamedTuple

import polars as pl
import torch
import transformers

import models
from knowpack.config import ModelConfig, ProbeConfig
from knowpack.decode.decoder import Decoder
from knowpack.lab import files
from knowpack.measure.knowledge import knowledge_map
from knowpack.model.load import load
from knowpack.model.loaded import Loaded
from knowpack.probe.probe import probe, regrade
from knowpack.probe.prompts import Prompter
from knowpack.probe.shots import draw_shots
from knowpack.probe.turns import Shot
from knowpack.records import Response, schema
from timing import Clock, clock_of, matrix_speed, timed

BATCH, NEW = 128, 32


class Round(NamedTuple):
    """One side's seconds and the other's, on the same questions."""

    ours: float
    theirs: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("lab", "135m", "all"), default="all")
    parser.add_argument("--facts", type=int, default=1024, help="facts a round on the lab: a chunk of a probe")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path, help="write the figures there, as JSON")
    parser.add_argument("--threads", type=int, help="torch's threads; all cores where left out")
    parser.add_argument(
        "--cpu-time", action="store_true", help="count processor time: for a machine that does other work"
    )
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    clock = clock_of(cpu_time=args.cpu_time)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {clock.__name__}")
    warnings.filterwarnings("ignore")
    transformers.logging.set_verbosity_error()
    result = {}
    if args.part in ("lab", "all"):
        result["lab"] = lab(args.facts, args.rounds, clock)
    if args.part in ("135m", "all"):
        result["135m"] = large(args.rounds, clock)
    if args.out:
        args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def lab(n_facts: int, n_rounds: int, clock: Clock) -> dict[str, float]:
    """The whole probe, drafts and grading included, against pipeline and grading."""
    loaded = load(ModelConfig(device="cpu"))
    prompter, decoder, config = Prompter(loaded.tokenizer), Decoder(loaded, batch_size=BATCH), ProbeConfig()
    shots = draw_shots(files.shots(), config.n_prompts, config.n_shots, 0)
    facts = files.facts().sample(fraction=1.0, shuffle=True, seed=0)
    rounds, differ, moved, work = [], 0, 0, 0.0
    probe(decoder, facts[:BATCH], shots[:2], prompter, config)  # warm
    generator = pipeline(loaded)
    for n in range(n_rounds):
        chunk = facts[BATCH + n * n_facts : BATCH + (n + 1) * n_facts]
        theirs, expected = timed(clock, lambda chunk=chunk: by_pipeline(generator, prompter, chunk, shots))
        ours, responses = timed(clock, lambda chunk=chunk: probe(decoder, chunk, shots, prompter, config).collect())
        rounds.append(Round(ours, theirs))
        both = responses.join(expected, on=["fact_id", "prompt"], validate="1:1")
        differ += int((both["text"] != both["text_right"]).sum())
        moved += categories_that_differ(responses, expected)
        work += probe_work(loaded, prompter, chunk, shots, responses)
    n_answers = n_facts * n_rounds * config.n_prompts
    print(f"lab model, {n_rounds} rounds of {n_facts} facts x {config.n_prompts} prompts x {config.n_shots} shots")
    print(f"texts that differ: {differ} of {n_answers}; categories: {moved} of {n_facts * n_rounds}")
    return summary("facts", n_facts, rounds, work / n_rounds, bar=6, clock=clock)


def large(n_rounds: int, clock: Clock) -> dict[str, float]:
    """One prompt of 200 tokens for 128 questions, every answer 32 tokens long."""
    loaded = models.smollm_sized()
    draw = random.Random(0)
    prefix = [draw.randrange(9, 49152) for _ in range(200)]
    tails = [[draw.randrange(9, 49152) for _ in range(draw.randint(12, 20))] for _ in range(BATCH)]
    generator, rounds, differ = pipeline(loaded), [], 0
    texts = [loaded.tokenizer.decode(prefix + tail) for tail in tails]
    for _ in range(n_rounds):
        decoder = Decoder(loaded, batch_size=BATCH)  # a new one: the prefix is computed within the time
        ours, ids = timed(clock, lambda d=decoder: d.generate(prefix, tails, max_new_tokens=NEW, stop_ids=()))
        theirs, expected = timed(clock, lambda: generate(generator, texts))
        answers = [loaded.tokenizer(text, add_special_tokens=False)["input_ids"] for text in expected]
        differ += sum(a != b for a, b in zip(ids, answers, strict=True))
        rounds.append(Round(ours, theirs))
    body, head = parameters(loaded)
    tokens = len(prefix) + sum(map(len, tails)) + BATCH * (NEW - 1)
    print(f"random Llama, {(body + head) / 1e6:.0f}M parameters, {BATCH} questions behind 200 tokens, {NEW} new ones")
    print(f"answers that differ: {differ} of {BATCH * n_rounds} (ties of a random model's logits)")
    return summary("answers", BATCH, rounds, 2.0 * (body * tokens + head * BATCH * NEW), bar=5, clock=clock)


def summary(what: str, n: int, rounds: list[Round], work: float, bar: float, clock: Clock) -> dict[str, float]:
    """Print and return; `work` in floating-point operations a round."""
    ratios = [one.theirs / one.ours for one in rounds]
    torchs, onednn = matrix_speed(clock)
    best = min(one.ours for one in rounds)
    figures = {
        "pipeline_per_second": n / min(one.theirs for one in rounds),
        "knowpack_per_second": n / best,
        "ratio_lowest": min(ratios),
        "ratio_median": statistics.median(ratios),
        "torch_gflops": torchs / 1e9,
        "onednn_gflops": onednn / 1e9,
        "of_torch_matrix_speed": work / best / torchs,
        "of_onednn_matrix_speed": work / best / onednn,
    }
    print(f"pipeline    {figures['pipeline_per_second']:8.1f} {what}/s")
    print(f"knowpack    {figures['knowpack_per_second']:8.1f} {what}/s")
    print(f"ratio       {figures['ratio_median']:8.1f} (rounds: {', '.join(f'{r:.1f}' for r in ratios)}; bar {bar})")
    print(
        f"of matrix speed {figures['of_torch_matrix_speed']:.2f} (torch, {torchs / 1e9:.0f} GFLOP/s; bar 0.5), ", end=""
    )
    print(f"{figures['of_onednn_matrix_speed']:.2f} (oneDNN, {onednn / 1e9:.0f} GFLOP/s)\n", flush=True)
    return figures


def pipeline(loaded: Loaded) -> transformers.TextGenerationPipeline:
    loaded.tokenizer.padding_side = "left"
    return transformers.pipeline(
        "text-generation", model=loaded.model, tokenizer=loaded.tokenizer, batch_size=BATCH, device="cpu"
    )


def generate(generator: transformers.TextGenerationPipeline, texts: list[str]) -> list[str]:
    out = generator(
        texts,
        max_new_tokens=NEW,
        do_sample=False,
        return_full_text=False,
        add_special_tokens=False,
        clean_up_tokenization_spaces=False,
    )
    return [one[0]["generated_text"] for one in out]


def by_pipeline(
    generator: transformers.TextGenerationPipeline, prompter: Prompter, facts: pl.DataFrame, shots: list[list[Shot]]
) -> pl.DataFrame:
    """The probe's table, made the ordinary way."""
    texts = []
    for draw in shots:
        turns = [prompter.messages(draw, question) for question in facts["question"]]
        texts += [
            prompter.tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True) for turn in turns
        ]
    answers = generate(generator, texts)
    empty = {name: False if name.startswith("refused") else None for name in schema(Response)}
    n = len(facts)
    lines = [
        {**empty, "fact_id": fact_id, "prompt": prompt, "form": 0, "sample": 0, "text": answers[prompt * n + i]}
        for i, fact_id in enumerate(facts["fact_id"])
        for prompt in range(len(shots))
    ]
    return regrade(pl.DataFrame(lines, schema=schema(Response)), facts)


def categories_that_differ(responses: pl.DataFrame, expected: pl.DataFrame) -> int:
    """Facts whose category under the default grader is not the same."""
    maps = [
        knowledge_map(frame).filter(pl.col("grader") == "default").sort("fact_id") for frame in (responses, expected)
    ]
    return int((maps[0]["category"] != maps[1]["category"]).sum())


def probe_work(
    loaded: Loaded, prompter: Prompter, facts: pl.DataFrame, shots: list[list[Shot]], responses: pl.DataFrame
) -> float:
    """Floating-point operations that no probe can avoid: two for each parameter and token."""
    body, head = parameters(loaded)
    questions = facts["question"].to_list()
    fed = chosen = 0
    for prompt, draw in enumerate(shots):
        batch = prompter.batch(draw, questions)
        texts = responses.filter(pl.col("prompt") == prompt)["text"]
        answers = [len(prompter.continuation(text)) for text in texts]
        fed += len(batch.prefix) + sum(map(len, batch.tails)) + sum(answers)
        chosen += sum(min(n + 1, NEW) for n in answers)
    return 2.0 * (body * fed + head * chosen)


def parameters(loaded: Loaded) -> tuple[int, int]:
    """Parameters that multiply every token, and those of the vocabulary's layer."""
    head = loaded.model.get_output_embeddings().weight
    layers = sum(weight.numel() for name, weight in loaded.model.named_parameters() if ".layers." in name)
    return layers, head.numel()


if __name__ == "__main__":
    main()
