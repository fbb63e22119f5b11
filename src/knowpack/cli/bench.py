"""`knowpack bench ...`: run benchmarks, compare two models on them, prepare their data. Parsing and printing only."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from knowpack.cli.benchmark_options import Task, Tasks, named_tasks
from knowpack.cli.printing import parquet
from knowpack.cli.results import Json
from knowpack.cli.stages import Model, Set, refuse_unread, say_live
from knowpack.cli.terminal import echo, say_json, say_table

app = typer.Typer(name="bench", invoke_without_command=True)
LAB = ("lab_mc", "lab_truth_mc1", "lab_truth_mc2", "lab_arc", "lab_reading")


@app.callback()
def run(
    context: typer.Context,
    model: Model = "lab",
    adapter: Annotated[str | None, typer.Option("--adapter", help="A PEFT adapter: folder or hub name.")] = None,
    tasks: Tasks = [],  # noqa: B006
    task: Task = [],  # noqa: B006
    out: Annotated[Path, typer.Option("--out", help="Folder to write; run again to go on.")] = Path("out/bench"),
    limit: Annotated[int | None, typer.Option("--limit", help="Only the first items of each task.")] = None,
    data: Annotated[Path | None, typer.Option("--data", help="A folder made by `bench prepare`.")] = None,
    num_fewshot: Annotated[int | None, typer.Option("--num-fewshot", help="None: 5 for MMLU, else the task's.")] = None,
    chat: Annotated[bool, typer.Option("--apply-chat-template", help="As in lm-eval.")] = False,
    multiturn: Annotated[bool, typer.Option("--fewshot-as-multiturn", help="As in lm-eval.")] = False,
    batch_size: Annotated[
        int | None,
        typer.Option("--batch-size", help="Rows of about 32 tokens in one forward. None: 16 on the CPU, else 256."),
    ] = None,
    device: Annotated[str, typer.Option("--device")] = "auto",
    settings: Set = [],  # noqa: B006
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Benchmarks outside the facts, by lm-evaluation-harness: what does an adapter harm? By default the lab's five.

    Example: knowpack bench --model lab --tasks lab_mc,lab_arc --out out/bench-base
    """
    if context.invoked_subcommand is not None:
        return
    from knowpack.cli.console import progress, starting
    from knowpack.config import BenchConfig, ModelConfig, RunConfig
    from knowpack.settings import override

    refuse_unread("bench", settings, "facts", "probe", "train", "mix", "further")
    names = named_tasks(tasks, task) or LAB
    config = BenchConfig(
        tasks=names,
        limit=limit,
        data=None if data is None else str(data),
        num_fewshot=num_fewshot,
        apply_chat_template=chat,
        fewshot_as_multiturn=multiturn,
        batch_size=batch_size,
    )
    run_config = override(
        RunConfig(model=ModelConfig(name=model, adapter=adapter, device=device), bench=config), settings
    )
    config = run_config.bench
    with starting(quiet):
        from knowpack.bench.task_names import check_names
        from knowpack.cli.input_checks import check_model
        from knowpack.store import refuse_foreign

        refuse_foreign(out, "knowpack bench")
        check_model(run_config.model)
        check_names(config)
        from knowpack.bench.evaluate import evaluate
        from knowpack.decode.transformers_asker import live_change
        from knowpack.served.opening import open_asker
    with progress(quiet).stage(f"loading {run_config.model.name}", None):
        asker = open_asker(run_config.model)
    if not as_json:
        say_live(live_change(asker))
    scores = evaluate(asker, config, out, progress=progress(quiet))
    if as_json:
        head = {"kind": "bench", "model": model, "model_hash": asker.identity.weights, "adapter": adapter}
        say_json({**head, "scores": scores.to_dicts(), "folder": str(out)})
        return
    table = Table()
    for column in ("task", "metric", "value", "stderr", "n"):
        table.add_column(column, justify="left" if column in ("task", "metric") else "right")
    for one in scores.iter_rows(named=True):
        error = "" if one["stderr"] is None else f"{one['stderr']:.4f}"
        table.add_row(one["task"], one["metric"], f"{one['value']:.4f}", error, f"{one['n']:,}")
    say_table(table, f"{asker.name}: benchmarks")
    for line in _cuts(out, config.tasks):
        echo(line)
    echo(f"scores, samples and lm-eval's own files: {out}")


@app.command()
def compare(
    base: Annotated[Path, typer.Argument(help="The folder of the base's bench.")],
    other: Annotated[Path, typer.Argument(help="The folder of the adapter's, on the same items.")],
    out: Annotated[Path | None, typer.Option("--out", help="Also write the table, as parquet.")] = None,
    parts: Annotated[bool, typer.Option("--parts", help="Print MMLU's subjects too.")] = False,
) -> None:
    """Compare two models item by item: differences, flips, exact tests, corrected over tasks.

    Example: knowpack bench compare out/bench-base out/bench-adapter
    """
    if out is not None:
        parquet(out)
    from knowpack.bench.compare import compare as compared
    from knowpack.store import write_table

    frame = compared(base, other)
    if out is not None:
        write_table(out, frame)
    table = Table()
    heads = ("task", "metric", "n", "base", "other", "difference", "95% interval", "1->0", "0->1", "p", "p (Holm)")
    for head in heads:
        table.add_column(head, justify="left" if head in ("task", "metric") else "right")
    for row in frame.iter_rows(named=True):
        if row["level"] == "part" and not parts:
            continue
        table.add_row(
            row["task"],
            row["metric"],
            f"{row['n']:,}",
            f"{row['base']:.4f}",
            f"{row['other']:.4f}",
            f"{row['difference']:+.4f}",
            "" if row["low"] is None else f"{row['low']:+.4f} .. {row['high']:+.4f}",
            "" if row["n_lost"] is None else str(row["n_lost"]),
            "" if row["n_won"] is None else str(row["n_won"]),
            f"{row['p']:.2g}",
            f"{row['p_holm']:.2g}",
        )
    say_table(table, f"{other} against {base}")


@app.command()
def prepare(
    raw: Annotated[Path, typer.Argument(help="Folder that holds mmlu/, truthfulqa/, arc/ or logiqa/ as published.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for `--data`.")],
    truthfulqa: Annotated[str, typer.Option("--truthfulqa", help="v1: the classic 817 questions, or newest.")] = "v1",
) -> None:
    """Turn raw benchmark files into what lm-eval's own tasks read, for work without a network.

    Example: knowpack bench prepare ../downloads --out data/bench
    """
    from knowpack.bench.data import prepare as prepared

    counts: dict[tuple[str, str], list[int]] = {}
    for part in prepared(raw, out, truthfulqa=truthfulqa):
        name = f"{part.benchmark} ({part.name})" if part.benchmark != "mmlu" else "mmlu"
        counts.setdefault((name, part.split), []).append(part.rows)
    table = Table()
    for column in ("benchmark", "split", "files", "rows"):
        table.add_column(column, justify="right" if column in ("files", "rows") else "left")
    for (name, split), rows in counts.items():
        table.add_row(name, split, str(len(rows)), f"{sum(rows):,}")
    say_table(table, f"benchmark data in {out}")


def _cuts(out: Path, names: tuple[str, ...]) -> list[str]:
    """One line for each task whose contexts were longer than the model's window."""
    from knowpack.bench.evaluate import cuts

    return [
        f"{name}: {n:,} requests were longer than the model's window of {window} and lost their beginning"
        for name in names
        for n, window in [cuts(out / name)]
        if n
    ]
