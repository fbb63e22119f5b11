"""The commands. Parsing and printing only: each one calls a function that can be called without it."""

import json
import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from knowpack.bench.cli import app as bench_app
from knowpack.errors import ConfigError, KnowpackError
from knowpack.facts.cli import app as facts_app
from knowpack.lab.cli import app as lab_app
from knowpack.pack.cli import capacity_command, pack_command

if TYPE_CHECKING:
    from knowpack.config import RunConfig

app = typer.Typer(
    name="knowpack",
    help="Teach a language model new facts with a LoRA adapter, and know exactly what it cost.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.add_typer(facts_app, name="facts")
app.add_typer(lab_app, name="lab")
app.add_typer(bench_app, name="bench")
app.command("pack")(pack_command)
app.command("capacity")(capacity_command)

WIDEST_TABLE, LONGEST_TABLE = 10, 24  # columns, rows; larger ones are in the report and in tables/

Model = Annotated[str, typer.Option("--model", help="A hub name, a folder, or lab.")]
Adapter = Annotated[str | None, typer.Option("--adapter", help="A PEFT adapter: folder or hub name.")]
Facts = Annotated[str, typer.Option("--facts", help="A fact table (parquet, CSV, JSONL), or lab.")]
Out = Annotated[Path, typer.Option("--out", help="Folder or file to write.")]
Shots = Annotated[
    str, typer.Option("--shots", help="Few-shot pool: a table with question and answer; auto = the lab's.")
]
Sample = Annotated[int | None, typer.Option("--sample", help="Probe this many facts, stratified.")]
Work = Annotated[str, typer.Option("--work", help="The work directory: base answers are kept there and shared.")]
Set = Annotated[list[str], typer.Option("--set", help="Any other setting, dotted: --set probe.n_prompts=5")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress.")]
Settings = Annotated[list[str] | None, typer.Argument(help="Dotted settings to change: train.lr=1e-3")]


@app.command()
def probe(
    out: Out,
    model: Model = "lab",
    adapter: Adapter = None,
    facts: Facts = "lab",
    shots: Shots = "auto",
    sample: Sample = None,
    settings: Set = [],  # noqa: B006
    quiet: Quiet = False,
) -> None:
    """Ask a model every fact under several few-shot prompts; write its answers and its knowledge map.

    Example: knowpack probe --model lab --facts lab --sample 500 --out out/probe
    """
    from knowpack.base import probe_into
    from knowpack.console import progress
    from knowpack.knowledge import summary

    config = _config(model=model, adapter=adapter, facts=facts, shots=shots, sample=sample, settings=settings)
    base = probe_into(config, out, progress(quiet))
    _table(summary(base.knowledge), f"{model}: what it knows of {base.facts.height:,} facts")
    typer.echo(f"answers and knowledge map: {out}")


@app.command()
def mix(
    facts: Facts,
    knowledge: Annotated[Path, typer.Option("--knowledge", help="A knowledge map, or the folder of a probe.")],
    out: Out,
    unknown: Annotated[int, typer.Option("--unknown", help="How many Unknown facts.")] = 50,
    highly_known: Annotated[int, typer.Option("--highly-known", help="HighlyKnown facts for each of them.")] = 0,
    paraphrase: Annotated[int, typer.Option("--paraphrase", help="Paraphrases of each of them.")] = 0,
    seed: Annotated[int, typer.Option("--seed")] = 42,
    settings: Set = [],  # noqa: B006
) -> None:
    """Choose what to train on. A .jsonl holds chat "messages", as TRL, LLaMA-Factory and Axolotl read them.

    Example: knowpack mix --facts lab --knowledge out/probe --unknown 50 --highly-known 10 --out examples.parquet
    """
    from knowpack import store
    from knowpack.config import RunConfig
    from knowpack.facts import files
    from knowpack.mix import mix as mix_facts
    from knowpack.mix import to_messages
    from knowpack.records import Knowledge
    from knowpack.settings import override

    chosen = [f"mix.n_unknown={unknown}", f"mix.n_highly_known={highly_known}", f"mix.n_paraphrase={paraphrase}"]
    config = override(RunConfig(seed=seed), [*chosen, *settings])
    path = knowledge / "knowledge.parquet" if knowledge.is_dir() else knowledge
    known = store.read_table(path, Knowledge)
    extra = files.load(config.mix.extra_facts) if config.mix.extra_facts else None
    asked = files.load(facts).join(known.select("fact_id").unique(), on="fact_id", how="semi", maintain_order="left")
    examples = mix_facts(asked, known, config.mix, seed, config.grader, extra)
    if out.suffix == ".jsonl":
        lines = [json.dumps(line, ensure_ascii=False) for line in to_messages(examples)]
        store.write_text(out, "\n".join(lines) + "\n")
    else:
        store.write_table(out, examples)
    _table(examples.group_by("kind", maintain_order=True).len("n"), f"{examples.height:,} examples -> {out}")


@app.command()
def train(
    examples: Annotated[Path, typer.Option("--examples", help="An example table made by `knowpack mix`.")],
    out: Out,
    model: Model = "lab",
    seed: Annotated[int, typer.Option("--seed")] = 42,
    settings: Set = [],  # noqa: B006
    quiet: Quiet = False,
) -> None:
    """Train a LoRA adapter on examples; an ordinary PEFT adapter with its training log.

    Example: knowpack train --model lab --examples examples.parquet --out out/adapter --set train.lr=1e-2
    """
    from knowpack.console import progress
    from knowpack.run import train_into

    config = _config(model=model, settings=[f"seed={seed}", *settings])
    result = train_into(config, examples, out, progress(quiet))
    typer.echo(f"adapter: {out} ({result.seconds:.1f} s of training; logits move by up to {result.effect:.2f})")


@app.command()
def diff(
    out: Out,
    model: Model = "lab",
    adapter: Adapter = None,
    tuned: Annotated[
        str | None, typer.Option("--tuned", help="A whole fine-tuned model instead of an adapter.")
    ] = None,
    facts: Facts = "lab",
    trained: Annotated[Path | None, typer.Option("--trained", help="What it was trained on, where known.")] = None,
    shots: Shots = "auto",
    sample: Sample = None,
    work: Work = "work",
    settings: Set = [],  # noqa: B006
    quiet: Quiet = False,
) -> None:
    """What an adapter, or a fine-tuned model, from anywhere changed: matrix, shifts, causes, a page.

    Example: knowpack diff --model lab --adapter out/adapter --facts lab --sample 2000 --out out/diff
    """
    from knowpack.config import ModelConfig
    from knowpack.console import progress
    from knowpack.diff import diff as diff_model

    if (adapter is None) == (tuned is None):
        raise ConfigError("give one of --adapter and --tuned: what is the model to be compared with?")
    config = _config(
        model=model, facts=facts, shots=shots, sample=sample, work=work, settings=["label=diff", *settings]
    )
    after = config.model.model_copy(update={"adapter": adapter, "name": tuned or model})
    _finish(diff_model(config, ModelConfig.model_validate(after), out, trained, progress(quiet)), quiet)


@app.command()
def run(
    config: Annotated[Path, typer.Argument(help="The run as YAML.")], settings: Settings = None, quiet: Quiet = False
) -> None:
    """One cell, all stages. Running it again goes on where it stopped.

    Example: knowpack run examples/run.yaml mix.n_unknown=100 train.lr=3e-3
    """
    from knowpack.config import RunConfig
    from knowpack.console import progress
    from knowpack.run import run as run_one
    from knowpack.settings import load

    _finish(run_one(load(config, RunConfig, settings or []), progress=progress(quiet)), quiet)


@app.command()
def study(
    config: Annotated[Path, typer.Argument(help="The study as YAML: a base run, cells, seeds.")],
    settings: Settings = None,
    quiet: Quiet = False,
) -> None:
    """A grid of runs. Running it again continues; adding cells extends.

    Example: knowpack study examples/demo.yaml
    """
    from knowpack.cells import cells
    from knowpack.config import StudyConfig
    from knowpack.console import progress
    from knowpack.settings import load
    from knowpack.study import study as run_study

    folder = run_study(load(config, StudyConfig, settings or []), progress(quiet))
    ended = list(cells(folder))
    if any(cell.state == "done" for cell in ended):
        _finish(folder, quiet)
    failed = [cell for cell in ended if cell.state != "done"]
    for cell in failed:
        typer.secho(f"{cell.state}: {cell.folder.name}: {cell.error}", fg="red", err=True)
    if failed:
        raise typer.Exit(1)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="A study, a run, a pack or a diff.")], quiet: Quiet = False
) -> None:
    """Tables (terminal, CSV, LaTeX), figures (SVG, PDF, PNG) and one page of HTML.

    Example: knowpack report work/studies/demo
    """
    _finish(folder, quiet)


@app.command()
def show(folder: Annotated[Path, typer.Argument(help="A study, or a work directory.")] = Path("work")) -> None:
    """What is there: done, running, stopped, failed, missing.

    Example: knowpack show work/studies/demo
    """
    from rich.console import Console
    from rich.table import Table

    from knowpack.show import listing

    table = Table("run", "state", "stages", "seconds", "error")
    for line in listing(folder):
        table.add_row(line.name, line.state, line.stages, f"{line.seconds:.0f}", line.error or "")
    Console().print(table)


def main() -> None:
    """The `knowpack` command: a user's mistake is one line and exit code 2 (3: a budget not met)."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # ours show what matters
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    warnings.filterwarnings("ignore", category=FutureWarning)  # of the libraries below, none of them for the user
    try:
        app()
    except KnowpackError as error:
        typer.secho(f"knowpack: {error}", fg="red", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        typer.secho("knowpack: stopped; the same command goes on where it was", err=True)
        sys.exit(130)


def _config(
    *,
    model: str,
    adapter: str | None = None,
    facts: str = "lab",
    shots: str = "auto",
    sample: int | None = None,
    work: str = "work",
    settings: list[str],
) -> "RunConfig":
    """The options of a command as a run's config."""
    from knowpack.config import FactsConfig, ModelConfig, ProbeConfig, RunConfig
    from knowpack.settings import override

    plain = RunConfig(
        model=ModelConfig(name=model, adapter=adapter),
        facts=FactsConfig(path=facts, sample=sample),
        probe=ProbeConfig(shots=shots),
        work=work,
    )
    return override(plain, settings)


def _finish(folder: Path, quiet: bool) -> None:
    """Write the report and print its tables that fit a terminal; the page's path is the last line."""
    from rich.console import Console
    from rich.table import Table

    from knowpack.console import progress
    from knowpack.report import build
    from knowpack.report.formats import text
    from knowpack.report.tables import terminal

    page = build(folder, progress=progress(quiet))
    console = Console()
    for given in terminal(folder):
        if len(given.heads) > WIDEST_TABLE or len(given.rows) > LONGEST_TABLE:
            continue
        table = Table(*given.heads)
        for row in given.rows:
            table.add_row(*(text(value) for value in row))
        typer.echo(f"\n{given.title}")
        console.print(table, highlight=False, markup=False)
    typer.echo(f"tables: {folder / 'tables'}   figures: {folder / 'figures'}")
    typer.echo(f"report: {page}")


def _table(frame: "object", title: str) -> None:
    """A small frame on the terminal; shares to three digits."""
    import polars as pl
    from rich.console import Console
    from rich.table import Table

    assert isinstance(frame, pl.DataFrame)
    table = Table(*frame.columns)
    for row in frame.iter_rows():
        table.add_row(*(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row))
    typer.echo(title)
    Console().print(table)
