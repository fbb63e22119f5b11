"""`knowpack facts dbpedia, triples, wikidata-aliases`: facts out of knowledge graphs. Parsing and printing only."""

from pathlib import Path
from typing import Annotated

import typer

from knowpack.cli.printing import Out, Quiet, Seed, say, say_counts, write

app = typer.Typer()
PerRelation = Annotated[
    int, typer.Option(min=1, help="At most so many facts a relation, a third head, torso and tail each.")
]
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
    from knowpack.cli.console import progress
    from knowpack.facts.graphs import build, dump

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
    from knowpack.cli.console import progress
    from knowpack.facts.graphs import build, dump

    sources = dump.Sources(file, ontology, redirects, labels, templates)
    settings = build.Settings(per_relation, seed, fill, source=source or file.name.split(".")[0])
    _say_card(dump.from_triples(sources, settings, out, progress(quiet)), out)


def _say_card(card: dict[str, object], out: Path) -> None:
    for name in ("read", "by popularity", "candidates dropped", "aliases"):
        counts = card[name]
        assert isinstance(counts, dict)
        say_counts(name, counts)
    wordings = card["wordings"]
    assert isinstance(wordings, dict)
    for kind, became in (("none", "are left out"), ("from its name", "are asked for by their names alone")):
        if unknown := [relation for relation, kind_of in wordings.items() if kind_of == kind]:
            some = ", ".join(unknown[:5])
            say(f"{len(unknown)} relations without wording or label {became} ({some}): give --templates or --ontology")
    kinds = list(wordings.values())
    say_counts("relations worded", {kind: kinds.count(kind) for kind in sorted(set(kinds))})
    say(f"{card['facts']:,} facts -> {out}, card -> {out.with_suffix('.card.md')}")


@app.command("wikidata-aliases")
def wikidata_aliases(
    facts: Annotated[str, typer.Argument(help="A fact table whose objects are IRIs or Q-ids.")],
    out: Out,
    endpoint: Annotated[
        str, typer.Option(help="SPARQL endpoint.", show_default="Wikidata's own")
    ] = "https://query.wikidata.org/sparql",
    language: Annotated[str, typer.Option(help="Of the names.")] = "en",
    batch: Annotated[int, typer.Option(min=1, help="Entities a query.")] = 300,
    pause: Annotated[float, typer.Option(min=0, help="Seconds between queries.")] = 1.0,
    quiet: Quiet = False,
) -> None:
    """Add labels and alternative labels of the objects as answers, from a SPARQL endpoint. Run again to go on.

    Example: knowpack facts wikidata-aliases facts.parquet --endpoint https://query.wikidata.org/sparql --out f.parquet
    """
    from knowpack.cli.console import progress
    from knowpack.facts import sources
    from knowpack.facts.graphs import wikidata

    table = sources.load(facts)
    place = wikidata.Endpoint(endpoint, language, batch, pause)
    cache = out.with_name(out.name + ".names")
    extended = wikidata.add_aliases(table, place, cache, progress=progress(quiet))
    before, after = (int(frame["answers"].list.len().sum()) for frame in (table, extended))
    say(f"{after - before:,} aliases added")
    write(out, extended)
