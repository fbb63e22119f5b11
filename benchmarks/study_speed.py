"""A study of six cells: knowpack in one process, against the authors' way.

    python benchmarks/study_speed.py [--model lab] [--facts 400] [--cells 6]

The authors' way (AIRI-Institute/knowledge-packing, as ../docs/method.md describes it): a process a cell; transformers'
Trainer with peft; transformers' text-generation pipeline for each probe (batch 128, left padding, 32 new tokens).
Both probe the base once, train every cell, probe every cell. Prints wall seconds of each and the ratio (bar: 5), and
processor seconds, which say more where the machine does other work (with OMP_NUM_THREADS=1: threads that wait spin).
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from knowpack.config import FactsConfig, ModelConfig, ProbeConfig, RunConfig, StudyConfig

SIZES = (1, 5, 10, 20, 35, 50)


class Seconds(NamedTuple):
    """What one side took."""

    wall: float
    processor: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="lab")
    parser.add_argument("--facts", type=int, default=400, help="facts probed, 10 prompts each")
    parser.add_argument("--cells", type=int, default=len(SIZES))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        base = RunConfig(
            model=ModelConfig(name=args.model),
            facts=FactsConfig(sample=args.facts),
            work=work,
            probe=ProbeConfig(noise=False, n_held_out_forms=0),
        )
        cells = tuple({"label": f"{n} facts", "mix.n_unknown": n} for n in SIZES[: args.cells])
        config = StudyConfig(name="speed", base=base, cells=cells)
        if args.one:
            authors_cell(config, json.loads(args.one))
            return
        ours = knowpack_way(config)
        theirs = authors_way(config, sys.argv[1:])
    print(f"{len(cells)} cells on {args.model}, {args.facts} facts x 10 prompts x 4 shots")
    print(f"authors' way {theirs.wall:8.1f} s, {theirs.processor:8.1f} processor seconds")
    print(f"knowpack     {ours.wall:8.1f} s, {ours.processor:8.1f} processor seconds")
    print(f"ratio        {theirs.wall / ours.wall:8.2f}    {theirs.processor / ours.processor:8.2f} (bar: at least 5)")


def knowpack_way(config: StudyConfig) -> Seconds:
    """One process, started from nothing, as a user starts it."""
    import yaml

    path = Path(config.base.work) / "study.yaml"
    path.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    code = (
        "from pathlib import Path; from knowpack.config import StudyConfig;"
        "from knowpack.settings import load; from knowpack.study import study;"
        f"study(load(Path({str(path)!r}), StudyConfig))"
    )
    return timed([sys.executable, "-c", code])


def authors_way(config: StudyConfig, arguments: list[str]) -> Seconds:
    """The base probe, then a process a cell."""
    cells = [None, *range(len(config.cells))]
    spent = [timed([sys.executable, __file__, *arguments, "--one", json.dumps(cell)]) for cell in cells]
    return Seconds(sum(one.wall for one in spent), sum(one.processor for one in spent))


def timed(command: list[str]) -> Seconds:
    """Run it; what it took, the processor time of its threads and children included."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Seconds(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def authors_cell(config: StudyConfig, cell: int | None) -> None:
    """One process of the authors' way: load, train (but for the base), probe all facts with the pipeline."""
    from knowpack.base import open_base
    from knowpack.train.mix import mix

    runs = config.runs()
    base = open_base(runs[0])
    model = base.loaded.model
    if cell is not None:
        # Any facts serve for a timing: those that a fixed knowledge map calls Unknown.
        import polars as pl

        known = base.facts.select("fact_id", grader=pl.lit("default"), category=pl.lit("Unknown"))
        examples = mix(base.facts, known, runs[cell].mix, runs[cell].seed)
        model = by_trainer(base, examples, runs[cell])
    by_pipeline(base, model)


def by_trainer(base: object, examples: object, config: RunConfig) -> object:
    """peft's LoRA under transformers' Trainer, all-token loss, as the authors' script has it."""
    import peft
    import polars as pl
    import torch
    from transformers import DataCollatorForLanguageModeling, Trainer, TrainingArguments

    from knowpack.base import Base
    from knowpack.train.target_modules import targets

    assert isinstance(base, Base)
    assert isinstance(examples, pl.DataFrame)
    tokenizer = base.loaded.tokenizer
    rows = [base.prompter.example(q, a).ids for q, a in examples.select("question", "answer").iter_rows()]
    lora = peft.LoraConfig(
        r=config.train.rank,
        lora_alpha=config.train.alpha,
        lora_dropout=0.0,
        task_type="CAUSAL_LM",
        target_modules=targets(base.loaded.model, ("auto",)).modules,
    )
    adapted = peft.get_peft_model(base.loaded.model, lora)
    with tempfile.TemporaryDirectory() as out:
        arguments = TrainingArguments(
            output_dir=out,
            use_cpu=not torch.cuda.is_available(),
            num_train_epochs=config.train.epochs,
            learning_rate=config.train.lr,
            per_device_train_batch_size=config.train.batch_size,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=False,
        )
        collate = DataCollatorForLanguageModeling(tokenizer, mlm=False)
        Trainer(adapted, arguments, train_dataset=[{"input_ids": ids} for ids in rows], data_collator=collate).train()
    return adapted.merge_and_unload()


def by_pipeline(base: object, model: object) -> None:
    """All facts under all prompts, one list through the pipeline."""
    from transformers import pipeline

    from knowpack.base import Base

    assert isinstance(base, Base)
    tokenizer = base.loaded.tokenizer
    tokenizer.padding_side = "left"
    pipe = pipeline("text-generation", model=model, tokenizer=tokenizer, batch_size=128)
    prompts = []
    for shots in base.shots:
        for question in base.facts["question"]:
            turns = base.prompter.messages(shots, question)
            prompts.append(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
    answers = pipe(
        prompts,
        max_new_tokens=32,
        do_sample=False,
        return_full_text=False,
        add_special_tokens=False,
        pad_token_id=tokenizer.pad_token_id,
    )
    assert len(answers) == len(prompts)


if __name__ == "__main__":
    main()
