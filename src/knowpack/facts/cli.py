"""`knowpack facts ...`: the commands of this room. Parsing and printing only."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

app = typer.Typer(name="facts", help="Make, check and reword fact tables.", no_args_is_help=True)


def _parquet(out: Path) -> Path:
    """Refuses before any work what would be a table under a wrong name."""
    from knowpack.errors import FactsError

    if out.suffix != ".parquet" or out.is_dir():
        raise FactsError(f"--out {out}: expected the name of a parquet file, such as facts.parquet")
    return out


Out = Annotated[
    Path, typer.Option("--out", callback=_parquet, help="Parquet file to write; it appears only when complete.")
]


def _say(text: str) -> None:
    Console().print(text, highlight=False, soft_wrap=True)


def _write(path: Path, facts: object) -> None:
    import polars as pl

    from knowpack.store import write_table

    assert isinstance(facts, pl.DataFrame)
    write_table(path, facts)
    _say(f"{len(facts):,} facts -> {path}")


def _say_counts(title: str, counts: dict[str, int]) -> None:
    if not counts:
        return
    shown = Table(title=title, title_justify="left", show_header=False)
    shown.add_column()
    shown.add_column(justify="right")
    for name, n in counts.items():
        shown.add_row(name, f"{n:,}")
    Console().print(shown)


@app.command("import")
def import_(
    files: Annotated[
        list[str],
        typer.Argument(help="Files (CSV, TSV, JSONL, parquet), a datasets folder, or name[:subset] on the hub."),
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
        bool, typer.Option(help="The relation is the file's name up to its first dot.")
    ] = False,
    wordings: Annotated[
        str | None, typer.Option(help="bear, dbpedia or a file: make the questions from subject and relation.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Split of a dataset.")] = None,
    source: Annotated[
        str | None, typer.Option(help="Name kept with each fact; default: the first file's name.")
    ] = None,
    drop_bad: Annotated[
        bool, typer.Option(help="Leave out rows and aliases that cannot be used, and count them.")
    ] = False,
) -> None:
    """Import facts from tables.

    Example: knowpack facts import table.csv --question q --answer a --aliases other --separator '|' --out f.parquet
    """
    from itertools import chain

    from knowpack.facts import columns, tables
    from knowpack.facts.wordings import load

    chosen = columns.Columns(
        question, answer, answers, aliases, paraphrases, subject, relation, object, domain, range, popularity,
        separator, relation_from_file,
    )  # fmt: skip
    name = source or Path(files[0]).name.split(".")[0]
    rows = chain.from_iterable(tables.rows(file, split) for file in files)
    known = load(wordings) if wordings else None
    found = columns.facts_of(rows, chosen, source=name, wordings=known, drop_bad=drop_bad)
    _say_counts("left out", dict(found.dropped))
    _write(out, found.facts)


@app.command()
def lint(
    facts: Annotated[str, typer.Argument(help="A fact table, or lab.")],
    shots: Annotated[
        str | None, typer.Option(help="The pool of few-shot examples: a table with question and answer(s).")
    ] = None,
    show: Annotated[int, typer.Option(help="Print so many findings of each kind.")] = 5,
) -> None:
    """Check a fact table; exit code 1 if something was found.

    Example: knowpack facts lint facts.parquet --shots trivia.jsonl
    """
    from knowpack.facts import files
    from knowpack.facts.lint import CHECKS, HARMLESS, counts
    from knowpack.facts.lint import lint as check

    table = files.load_unchecked(facts)
    pool = files.load_shots(shots) if shots else None
    findings = check(table, pool)
    n_by_check = counts(findings)
    _say_counts(f"{len(table):,} facts", {CHECKS[name]: n for name, n in n_by_check.items()})
    for name in CHECKS:
        for finding in [f for f in findings if f.check == name][: show if name not in HARMLESS else 0]:
            _say(f"{name}  {finding.fact_id}  {finding.detail}")
    if any(n for name, n in n_by_check.items() if name not in HARMLESS):
        raise typer.Exit(1)


Quiet = Annotated[bool, typer.Option("--quiet", help="No progress.")]
PerRelation = Annotated[
    int, typer.Option(min=1, help="At most so many facts a relation, a third head, torso and tail each.")
]
Seed = Annotated[int, typer.Option(help="Of the sample.")]
Fill = Annotated[bool, typer.Option(help="Top up relations that lack one popularity class from the others.")]
Threads = Annotated[int, typer.Option(min=0, help="Cores for decompression; 0 = all. The facts are the same.")]
Templates = Annotated[
    Path | None, typer.Option(help="Your wordings: {relation: question(s)} as JSON or YAML, {} or _ for the subject.")
]
OntologyFile = Annotated[
    Path | None, typer.Option("--ontology", help="Ontology, .ttl, .owl or .nt: labels, domains, ranges.")
]
Redirects = Annotated[Path | None, typer.Option(help="Redirects as N-Triples: aliases.")]
Labels = Annotated[Path | None, typer.Option(help="Labels as N-Triples: names and aliases.")]


@app.command()
def dbpedia(
    triples: Annotated[Path, typer.Option(help="The dump: N-Triples, plain, .bz2, .gz or .zst.")],
    out: Out,
    ontology: OntologyFile = None,
    redirects: Redirects = None,
    labels: Labels = None,
    templates: Templates = None,
    per_relation: PerRelation = 30,
    seed: Seed = 0,
    fill: Fill = False,
    threads: Threads = 0,
    quiet: Quiet = False,
) -> None:
    """Make a balanced question set from a full N-Triples dump.

    Example: knowpack facts dbpedia --triples mappingbased-objects_lang=en.ttl.bz2 --ontology o.ttl --out f.parquet
    """
    from knowpack.console import progress
    from knowpack.facts import build, dump

    sources = dump.Sources(triples, ontology, redirects, labels, templates, threads)
    settings = build.Settings(per_relation, seed, fill, source="dbpedia")
    _say_card(dump.from_ntriples(sources, settings, out, progress(quiet)), out)


@app.command("triples")
def triples_(
    file: Annotated[Path, typer.Argument(help="Tab-separated subject, relation, object; or an OpenKE folder.")],
    out: Out,
    ontology: OntologyFile = None,
    redirects: Redirects = None,
    labels: Labels = None,
    templates: Templates = None,
    per_relation: PerRelation = 30,
    seed: Seed = 0,
    fill: Fill = False,
    source: Annotated[str | None, typer.Option(help="Name kept with each fact; default: the file's name.")] = None,
    quiet: Quiet = False,
) -> None:
    """Make a question set from a graph in another shape: Wikidata extracts, YAGO, DB15K, your own.

    Example: knowpack facts triples db15k/ --ontology ontology.ttl --out facts.parquet
    """
    from knowpack.console import progress
    from knowpack.facts import build, dump

    sources = dump.Sources(file, ontology, redirects, labels, templates)
    settings = build.Settings(per_relation, seed, fill, source=source or file.name.split(".")[0])
    _say_card(dump.from_triples(sources, settings, out, progress(quiet)), out)


def _say_card(card: dict[str, object], out: Path) -> None:
    for name in ("read", "by popularity", "candidates dropped", "aliases"):
        counts = card[name]
        assert isinstance(counts, dict)
        _say_counts(name, counts)
    wordings = card["wordings"]
    assert isinstance(wordings, dict)
    for kind, became in (("none", "left out"), ("from its name", "asked for by their names alone")):
        if unknown := [relation for relation, found in wordings.items() if found == kind]:
            some = ", ".join(unknown[:5])
            _say(f"{len(unknown)} relations without wording or label {became} ({some}): give --templates or --ontology")
    kinds = list(wordings.values())
    _say_counts("relations worded", {kind: kinds.count(kind) for kind in sorted(set(kinds))})
    _say(f"{card['facts']:,} facts -> {out}, card -> {out.with_suffix('.card.md')}")


@app.command()
def paraphrase(
    facts: Annotated[str, typer.Argument(help="A fact table, or lab.")],
    out: Out,
    n: Annotated[int, typer.Option(min=1, help="Wordings each fact shall have, its own included.")] = 10,
    wordings: Annotated[str | None, typer.Option(help="bear, dbpedia or a file: these templates first.")] = None,
    model: Annotated[str | None, typer.Option(help="Ask this model instead: a hub name or a folder.")] = None,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Give every fact more wordings: from templates, or from a model, checked.

    Example: knowpack facts paraphrase facts.parquet --n 10 --model Qwen/Qwen3-4B --out more.parquet
    """
    from knowpack.console import progress
    from knowpack.facts import files
    from knowpack.facts import paraphrase as reword
    from knowpack.facts.wordings import load

    table = files.load(facts)
    if model:
        found = reword.by_model(table, n, _generator(model, seed), progress(quiet))
    else:
        found = reword.by_templates(table, n, load(wordings) if wordings else None)
    _say_counts("wordings", found.report)
    _write(out, found.facts)


def _generator(name: str, seed: int) -> Callable[[list[str]], list[str]]:
    """A function that sends instructions to a model's own decoder."""
    from knowpack.config import ModelConfig
    from knowpack.model.decode import Decoder
    from knowpack.model.load import load

    loaded = load(ModelConfig(name=name))
    decoder, tokenizer = Decoder(loaded), loaded.tokenizer

    def generate(prompts: list[str]) -> list[str]:
        if tokenizer.chat_template:
            chats = [[{"role": "user", "content": prompt}] for prompt in prompts]
            texts = [tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True) for chat in chats]
            ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
        else:
            ids = [tokenizer(prompt + "\n")["input_ids"] for prompt in prompts]
        answers = decoder.generate([], ids, max_new_tokens=400, temperature=0.7, seed=seed)
        return [str(tokenizer.decode(answer, skip_special_tokens=True)) for answer in answers]

    return generate


@app.command("wikidata-aliases")
def wikidata_aliases(
    facts: Annotated[str, typer.Argument(help="A fact table whose objects are IRIs or Q-ids.")],
    out: Out,
    endpoint: Annotated[str, typer.Option(help="SPARQL endpoint.")] = "https://query.wikidata.org/sparql",
    language: Annotated[str, typer.Option(help="Of the names.")] = "en",
    batch: Annotated[int, typer.Option(min=1, help="Entities a query.")] = 300,
    pause: Annotated[float, typer.Option(min=0, help="Seconds between queries.")] = 1.0,
    quiet: Quiet = False,
) -> None:
    """Add labels and alternative labels of the objects as answers, from a SPARQL endpoint. Run again to go on.

    Example: knowpack facts wikidata-aliases facts.parquet --endpoint https://query.wikidata.org/sparql --out f.parquet
    """
    from knowpack.console import progress
    from knowpack.facts import files, wikidata

    table = files.load(facts)
    place = wikidata.Endpoint(endpoint, language, batch, pause)
    cache = out.with_name(out.name + ".names")
    found = wikidata.add_aliases(table, place, cache, progress=progress(quiet))
    before, after = (int(frame["answers"].list.len().sum()) for frame in (table, found))
    _say(f"{after - before:,} aliases added")
    _write(out, found)
