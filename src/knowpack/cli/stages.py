"""The stages by hand: probe, mix, train. Parsing and printing only."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from knowpack.cli.dry_run import DryRun, say_plan
from knowpack.cli.results import Json
from knowpack.cli.terminal import echo, say_json, say_table
from knowpack.errors import ConfigError

if TYPE_CHECKING:
    import polars as pl

    from knowpack.config import RunConfig

Model = Annotated[
    str, typer.Option("--model", help="A hub name, a folder, a GGUF file, smollm2, lab or served:URL#NAME.")
]
Adapter = Annotated[str | None, typer.Option("--adapter", help="A PEFT adapter: folder or hub name.")]
Facts = Annotated[
    str, typer.Option("--facts", help="A fact table (parquet, CSV, JSONL), world or lab; auto: by the model.")
]
Out = Annotated[Path, typer.Option("--out", help="Folder or file to write.")]
Shots = Annotated[
    str,
    typer.Option("--shots", help="Few-shot pool: a table with question and answer; auto: by the model."),
]
Sample = Annotated[int | None, typer.Option("--sample", help="Probe this many facts, stratified.")]
Screen = Annotated[
    int | None,
    typer.Option("--screen", help="Ask so many facts once first, and measure on those that can be lost.", min=20),
]
Work = Annotated[str, typer.Option("--work", help="The work directory: base answers are kept there and shared.")]
Set = Annotated[list[str], typer.Option("--set", help="Any other setting, dotted: --set probe.n_prompts=5")]
Seed = Annotated[int, typer.Option("--seed", help="Of the draw and the order; the same seed gives the same result.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress.")]


def probe_command(
    out: Out,
    model: Model = "lab",
    adapter: Adapter = None,
    facts: Facts = "auto",
    shots: Shots = "auto",
    sample: Sample = None,
    screen: Screen = None,
    settings: Set = [],  # noqa: B006
    dry_run: DryRun = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Ask a model every fact under several few-shot prompts; write its answers and its knowledge map.

    Example: knowpack probe --model lab --facts lab --sample 500 --out out/probe
    """
    from dataclasses import replace

    from knowpack.cli.console import progress, starting

    config = config_of(
        model=model, adapter=adapter, facts=facts, shots=shots, sample=sample, screen=screen, settings=settings
    )
    refuse_unread("probe", settings, "train", "mix", "further")
    with starting(quiet):
        from knowpack.cli.input_checks import check_inputs

        check_inputs(config, out=out, command="knowpack probe")
        from knowpack.base import open_base, probe_into
        from knowpack.decode.transformers_asker import live_change
        from knowpack.forecast import of_probe
        from knowpack.measure.knowledge import summary
    asker = None
    if dry_run or not quiet:
        opened = replace(open_base(config, progress(quiet)), folder=out)
        say_plan(of_probe(opened, config, progress(quiet)), err=not dry_run)
        asker = opened.asker
    if dry_run:
        return
    base = probe_into(config, out, progress(quiet), asker=asker)
    if as_json:
        name, weights = base.asker.name, base.asker.identity.weights
        head = {"kind": "probe", "model": name, "model_hash": weights, "adapter": adapter, "n_facts": base.facts.height}
        say_json({**head, "knowledge": summary(base.knowledge).to_dicts(), "folder": str(out)})
        return
    say_live(live_change(base.asker))
    print_table(summary(base.knowledge), f"{model}: what it knows of {base.facts.height:,} facts")
    echo(f"answers and knowledge map: {out}")


def mix_command(
    facts: Annotated[
        str,
        typer.Option("--facts", help="The facts of the knowledge map: a table (parquet, CSV, JSONL), world or lab."),
    ],
    knowledge: Annotated[Path, typer.Option("--knowledge", help="A knowledge map, or the folder of a probe.")],
    out: Out,
    unknown: Annotated[int, typer.Option("--unknown", help="How many Unknown facts.")] = 50,
    highly_known: Annotated[int, typer.Option("--highly-known", help="HighlyKnown facts for each of them.")] = 0,
    paraphrase: Annotated[int, typer.Option("--paraphrase", help="Paraphrases of each of them.")] = 0,
    seed: Seed = 42,
    settings: Set = [],  # noqa: B006
) -> None:
    """Choose what to train on. A .jsonl holds chat "messages", as TRL, LLaMA-Factory and Axolotl read them.

    Example: knowpack mix --facts lab --knowledge out/probe --unknown 50 --highly-known 10 --out examples.parquet
    """
    from knowpack import store
    from knowpack.config import RunConfig
    from knowpack.facts import sources
    from knowpack.records import Knowledge
    from knowpack.settings import override
    from knowpack.train.mix import mix as mix_facts
    from knowpack.train.mix import to_messages

    refuse_unread("mix", settings, "model", "facts", "probe", "train", "bench", "further")
    if out.suffix not in (".parquet", ".jsonl"):
        raise ConfigError(f"got --out {out}, expected a .parquet file, or a .jsonl for other trainers")
    store.refuse_folder(out)
    if facts == "auto":
        raise ConfigError("got --facts auto, and a mix has no model to choose them by; give a fact table, world or lab")
    chosen = [f"mix.n_unknown={unknown}", f"mix.n_highly_known={highly_known}", f"mix.n_paraphrase={paraphrase}"]
    config = override(RunConfig(seed=seed), [*chosen, *settings])
    path = knowledge / "knowledge.parquet" if knowledge.is_dir() else knowledge
    known = store.read_table(path, Knowledge)
    extra = sources.load(config.mix.extra_facts) if config.mix.extra_facts else None
    facts_asked = sources.load(facts).join(
        known.select("fact_id").unique(), on="fact_id", how="semi", maintain_order="left"
    )
    examples = mix_facts(facts_asked, known, config.mix, seed, config.grader, extra)
    if out.suffix == ".jsonl":
        lines = [json.dumps(line, ensure_ascii=False) for line in to_messages(examples)]
        store.write_text(out, "\n".join(lines) + "\n")
    else:
        store.write_table(out, examples)
    print_table(examples.group_by("kind", maintain_order=True).len("n"), f"{examples.height:,} examples -> {out}")


def train_command(
    examples: Annotated[Path, typer.Option("--examples", help="An example table made by `knowpack mix`.")],
    out: Out,
    model: Model = "lab",
    seed: Seed = 42,
    settings: Set = [],  # noqa: B006
    quiet: Quiet = False,
) -> None:
    """Train a LoRA adapter on examples; an ordinary PEFT adapter with its training log.

    Example: knowpack train --model lab --examples examples.parquet --out out/adapter --set train.lr=1e-2
    """
    from knowpack.cli.console import progress, starting

    config = config_of(model=model, settings=[f"seed={seed}", *settings])
    refuse_unread("train", settings, "facts", "mix", "bench", "further")
    with starting(quiet):
        from knowpack.cli.input_checks import check_model
        from knowpack.records import Example
        from knowpack.store import read_table, refuse_foreign

        refuse_foreign(out, "knowpack train")
        read_table(examples, Example)
        check_model(config.model)
        from knowpack.train.standalone import train_into
    result = train_into(config, examples, out, progress(quiet))
    echo(f"adapter: {out} ({result.seconds:.1f} s of training; logits move by up to {result.effect:.2f})")


def config_of(
    *,
    model: str,
    adapter: str | None = None,
    facts: str = "auto",
    shots: str = "auto",
    sample: int | None = None,
    screen: int | None = None,
    work: str = "work",
    settings: list[str],
) -> "RunConfig":
    """The options of a command as a run's config."""
    from knowpack.config import FactsConfig, ModelConfig, ProbeConfig, RunConfig
    from knowpack.settings import override

    plain = RunConfig(
        model=ModelConfig(name=model, adapter=adapter),
        facts=FactsConfig(path=facts, sample=sample, screen=screen),
        probe=ProbeConfig(shots=shots),
        work=work,
    )
    return override(plain, settings)


def refuse_unread(command: str, settings: Sequence[str], *sections: str) -> None:
    """Raise ConfigError where a setting is of a section that the command does not read."""
    for setting in settings:
        section = setting.partition("=")[0].partition(".")[0].strip()
        if section in sections:
            raise ConfigError(
                f"got --set {setting}, and `knowpack {command}` reads no setting of {section}; leave it out"
            )


def say_live(change: float | None) -> None:
    """Whether the adapter does anything at all. change: the largest of a logit; None: there is no adapter."""
    if change is not None:
        state = f"live: it moves a logit by up to {change:.3g}" if change else "not live: it moves no logit"
        echo(f"this adapter is {state}")


def print_table(frame: "pl.DataFrame", title: str) -> None:
    """A small frame on the terminal; shares to three digits."""
    from rich.table import Table

    table = Table(*frame.columns)
    for row in frame.iter_rows():
        table.add_row(*(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row))
    say_table(table, title)
