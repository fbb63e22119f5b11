"""`knowpack facts ...`: tables of facts; those out of graphs are in graphs.py. Parsing and printing only."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from knowpack.cli import graphs as cli_graphs
from knowpack.cli.printing import Out, Quiet, Seed, say, say_counts, write

if TYPE_CHECKING:
    from knowpack.facts.columns import Imported
    from knowpack.probe.askers import TextAnswers

app = typer.Typer(name="facts", help="Make, check and reword fact tables.", no_args_is_help=True)
app.add_typer(cli_graphs.app)


@app.command("import")
def import_(
    files: Annotated[
        list[str],
        typer.Argument(help="Files (CSV, TSV, JSONL, parquet, Excel), a datasets folder, or name[:subset] on the hub."),
    ],
    out: Out,
    question: Annotated[str | None, typer.Option(help="Column of the question.")] = None,
    answer: Annotated[str | None, typer.Option(help="Column of the one canonical answer.")] = None,
    answers: Annotated[str | None, typer.Option(help="Column of all answers, canonical first.")] = None,
    aliases: Annotated[str | None, typer.Option(help="Column of other names of the answer.")] = None,
    paraphrases: Annotated[str | None, typer.Option(help="Column of other wordings.")] = None,
    subject: Annotated[str | None, typer.Option(help="Column of the subject.")] = None,
    relation: Annotated[str | None, typer.Option(help="Column of the relation.")] = None,
    object: Annotated[str | None, typer.Option(help="Column of the object.")] = None,
    domain: Annotated[str | None, typer.Option(help="Column of the relation's domain.")] = None,
    range: Annotated[str | None, typer.Option(help="Column of the relation's range.")] = None,
    popularity: Annotated[str | None, typer.Option(help="Column of head, torso or tail.")] = None,
    separator: Annotated[str | None, typer.Option(help="Splits aliases that are one text, e.g. '|'.")] = None,
    relation_from_file: Annotated[
        bool, typer.Option("--relation-from-file", help="The relation is the file's name up to its first dot.")
    ] = False,
    wordings: Annotated[
        str | None, typer.Option(help="bear, dbpedia or a file: make the questions from subject and relation.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Split of a dataset, or sheet of a workbook.")] = None,
    delimiter: Annotated[
        str | None, typer.Option(help="Between the cells of a CSV; default: told by the file. Tab is written '\\t'.")
    ] = None,
    multi_answer: Annotated[
        list[str], typer.Option(help="A relation (or all) whose questions have several right answers.")
    ] = [],  # noqa: B006
    source: Annotated[
        str | None, typer.Option(help="Name kept with each fact; default: the first file's name.")
    ] = None,
    drop_bad: Annotated[
        bool,
        typer.Option(
            "--drop-bad", help="Leave out rows and aliases that cannot be used, and contradictions; each one is named."
        ),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Import facts from tables.

    Example: knowpack facts import table.csv --question q --answer a --aliases other --separator '|' --out f.parquet
    """
    from itertools import chain

    from knowpack.cli.console import progress
    from knowpack.errors import ConfigError
    from knowpack.facts import column_names, columns, readers
    from knowpack.facts.wordings import load

    chosen = column_names.Columns(
        question,
        answer,
        answers,
        aliases,
        paraphrases,
        subject,
        relation,
        object,
        domain,
        range,
        popularity,
        separator,
        relation_from_file,
    )
    name = source or Path(files[0]).name.split(".")[0]
    mark = delimiter.replace("\\t", "\t") if delimiter else None
    if mark is not None and len(mark) != 1:
        raise ConfigError(f"got --delimiter {delimiter!r}, expected one character, such as ';'")
    if twice := next(
        (file for file in files if Path(file).absolute() in (out.absolute(), beside(out).absolute())), None
    ):
        raise ConfigError(f"--out {out} would be written over {twice}, which is to be imported; give another name")
    rows = chain.from_iterable(readers.rows(file, split, mark) for file in files)
    templates = load(wordings) if wordings else None
    with progress(quiet).stage("reading the tables", None):
        imported = columns.facts_of(
            rows,
            chosen,
            source=name,
            wordings=templates,
            drop_bad=drop_bad,
            multi_answer=tuple(multi_answer),
            file=files[0],
        )
    read = {field: column for field in column_names.USUAL if (column := getattr(imported.columns, field))}
    say("columns read: " + ", ".join(f"{field} from {column}" for field, column in read.items()))
    write(out, imported.facts)
    _say_left_out(imported, out)


MOST_LEFT_OUT = 20  # rows that are named on the terminal; all of them stand beside the facts


def beside(out: Path) -> Path:
    """Where the rows that are left out of an import are named."""
    return out.with_suffix(".left_out.csv")


def _say_left_out(imported: "Imported", out: Path) -> None:
    """Every row that is no fact, by name: the first ones here, all of them in a file."""
    import polars as pl

    from knowpack.facts.repeats import DroppedRow
    from knowpack.store import write_text

    named = beside(out)
    if not imported.left_out:
        named.unlink(missing_ok=True)  # of an import before
        return
    say_counts("left out", dict(imported.dropped))
    for one in imported.left_out[:MOST_LEFT_OUT]:
        say(f"left out: {one.where}: {one.reason}{f': {one.detail}' if one.detail else ''}")
    table = pl.DataFrame(imported.left_out, schema=list(DroppedRow._fields), orient="row")
    write_text(named, table.write_csv())
    say(f"{len(imported.left_out):,} left out, all of them named in {named}")


@app.command()
def lint(
    facts: Annotated[str, typer.Argument(help="A fact table, world or lab.")],
    shots: Annotated[
        str | None, typer.Option(help="The pool of few-shot examples: a table with question and answer(s).")
    ] = None,
    show: Annotated[int, typer.Option(min=0, help="Print so many findings of each kind.")] = 5,
) -> None:
    """Check a fact table; exit code 1 if something was found.

    Example: knowpack facts lint facts.parquet --shots trivia.jsonl
    """
    from knowpack.facts import sources
    from knowpack.facts.lint import CHECKS, HARMLESS, counts
    from knowpack.facts.lint import lint as check

    table = sources.load_unchecked(facts)
    pool = sources.load_shots(shots) if shots else None
    findings = check(table, pool)
    n_by_check = counts(findings)
    counts_shown = {name: n for name, n in n_by_check.items() if n or name not in HARMLESS}
    say_counts(f"{len(table):,} facts", {CHECKS[name]: n for name, n in counts_shown.items()})
    for name in CHECKS:
        for finding in [f for f in findings if f.check == name][: show if name != "no_relation" else 0]:
            say(f"{name}  {finding.fact_id}  {finding.detail}")
    if any(n for name, n in n_by_check.items() if name not in HARMLESS):
        raise typer.Exit(1)


@app.command()
def paraphrase(
    facts: Annotated[str, typer.Argument(help="A fact table, world or lab.")],
    out: Out,
    n: Annotated[
        int, typer.Option(min=1, help="Paraphrases each fact shall have, those it has already included.")
    ] = 10,
    wordings: Annotated[str | None, typer.Option(help="bear, dbpedia or a file: these templates first.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Ask this model instead: a hub name, a folder or served:URL#NAME.")
    ] = None,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Give every fact more wordings: from templates, or from a model, checked.

    Example: knowpack facts paraphrase facts.parquet --n 10 --model Qwen/Qwen3-4B --out more.parquet
    """
    from knowpack.cli.console import progress
    from knowpack.cli.input_checks import check_model
    from knowpack.config import ModelConfig
    from knowpack.facts import paraphrase as reword
    from knowpack.facts import sources
    from knowpack.facts.wordings import load

    table = sources.load(facts)
    if model:
        check_model(ModelConfig(name=model))
        with progress(quiet).stage(f"loading {model}", None):
            generator = _generator(model, seed)
        reworded = reword.by_model(table, n, generator, progress(quiet))
    else:
        reworded = reword.by_templates(table, n, load(wordings) if wordings else None)
    say_counts("wordings", reworded.report)
    write(out, reworded.facts)


def _generator(name: str, seed: int) -> Callable[[list[str]], list[str]]:
    """A function that sends instructions to a model."""
    from knowpack.config import ModelConfig
    from knowpack.measure.thoughts import aloud
    from knowpack.probe.askers import TextAnswers
    from knowpack.probe.prompts import Prompter
    from knowpack.served.opening import open_asker

    asker = open_asker(ModelConfig(name=name))
    if isinstance(asker, TextAnswers):
        return partial(_reworded_by_text, asker, seed)
    prompter = Prompter(asker.tokenizer)

    def generate(prompts: list[str]) -> list[str]:
        ids = [prompter.instruction(prompt) for prompt in prompts]
        answers = asker.generate([], ids, max_new_tokens=400, temperature=0.7, seed=seed)
        return [aloud(prompter.decode(answer)) for answer in answers]

    return generate


def _reworded_by_text(asker: "TextAnswers", seed: int, prompts: list[str]) -> list[str]:
    from knowpack.measure.thoughts import aloud

    chats = [[{"role": "user", "content": prompt}] for prompt in prompts]
    return [aloud(text) for text in asker.answer(chats, max_new_tokens=400, temperature=0.7, seed=seed)]
