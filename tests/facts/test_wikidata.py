"""Aliases from a SPARQL engine behind HTTP on this machine: batches, pause, cache, going on after a failure."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import polars as pl
import pytest
from typer.testing import CliRunner

from knowpack.cli.facts import app
from knowpack.errors import FactsError
from knowpack.facts.graphs import http_query
from knowpack.records import Fact, table
from knowpack.store import write_table

WIKIDATA = "http://www.wikidata.org/entity/"
DATA = f"""
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> . @prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> . @prefix schema: <http://schema.org/> . @prefix wd: <{WIKIDATA}> .
wd:Q90 rdfs:label "Paris"@en, "Parigi"@it ; skos:altLabel "City of Light"@en .
wd:Q2 rdfs:label "Château d'If"@en ; skos:altLabel "If Castle"@en .
<https://en.wikipedia.org/wiki/Ch%C3%A2teau_d%27If_(Marseille)> schema:about wd:Q2 .
wd:Q3 rdfs:label "Old Town"@en ; owl:sameAs <http://x/old> .
"""
OBJECTS = ["Q90", "http://dbpedia.org/resource/Château_d'If_(Marseille)", "http://x/old", "http://x/unknown"]


class Endpoint(ThreadingHTTPServer):
    """Answers from DATA, after the planned failures."""

    def __init__(self) -> None:
        rdf = pytest.importorskip("pyoxigraph")
        super().__init__(("127.0.0.1", 0), Handler)
        self.store = rdf.Store()
        self.store.load(DATA.encode(), format=rdf.RdfFormat.TURTLE)
        self.json = rdf.QueryResultsFormat.JSON
        self.planned: list[tuple[int, dict[str, str]]] = []
        self.asked: list[tuple[float, str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/sparql"


class Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.server.asked.append((time.monotonic(), form["query"][0], self.headers["User-Agent"]))
        status, headers = self.server.planned.pop(0) if self.server.planned else (200, {})
        body = b"" if status != 200 else self.server.store.query(form["query"][0]).serialize(format=self.server.json)
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def facts(tmp_path: Path) -> Path:
    rows = [Fact(str(i), f"Where is {i}?", (f"Answer {i}",), object=obj) for i, obj in enumerate(OBJECTS)]
    write_table(tmp_path / "facts.parquet", table(rows, Fact))
    return tmp_path / "facts.parquet"


def command(facts: Path, endpoint: Endpoint, *more: str) -> list[str]:
    out = str(facts.with_name("more.parquet"))
    return ["wikidata-aliases", str(facts), "--endpoint", endpoint.url, "--out", out, "--batch", "3", "--quiet", *more]


def test_names_come_by_q_id_by_page_of_wikipedia_and_by_same_as(facts: Path, endpoint: Endpoint) -> None:
    found = CliRunner().invoke(app, command(facts, endpoint, "--pause", "0.3"))
    assert found.exit_code == 0, found.output
    assert pl.read_parquet(facts.with_name("more.parquet"))["answers"].to_list() == [
        ["Answer 0", "City of Light", "Paris"],
        ["Answer 1", "Château d'If", "If Castle"],
        ["Answer 2", "Old Town"],
        ["Answer 3"],
    ]
    (first, _, agent), (second, _, _) = endpoint.asked  # 4 entities, 3 a query
    assert second - first >= 0.3
    assert agent.startswith("knowpack")


def test_a_failed_run_goes_on_where_it_was(facts: Path, endpoint: Endpoint) -> None:
    endpoint.planned = [(200, {}), (400, {})]
    failed = CliRunner().invoke(app, command(facts, endpoint, "--pause", "0"))
    assert isinstance(failed.exception, FactsError)
    assert "refused the query: 400" in str(failed.exception)
    assert not facts.with_name("more.parquet").exists()
    assert CliRunner().invoke(app, command(facts, endpoint, "--pause", "0")).exit_code == 0
    queries = [query for _, query, _ in endpoint.asked]
    assert len(queries) == 3
    assert queries[1] == queries[2] != queries[0]  # only the refused batch is asked for again
    assert CliRunner().invoke(app, command(facts, endpoint)).exit_code == 0
    assert len(endpoint.asked) == 3


def test_a_busy_endpoint_is_left_alone_as_long_as_it_asks(facts: Path, endpoint: Endpoint) -> None:
    endpoint.planned = [(429, {"Retry-After": "1"}), (503, {})]
    assert CliRunner().invoke(app, command(facts, endpoint, "--pause", "0.1")).exit_code == 0
    times = [moment for moment, _, _ in endpoint.asked]
    assert len(times) == 4
    assert times[1] - times[0] >= 1  # as it asks
    assert times[2] - times[1] >= 0.4  # the second failure: four pauses


def test_a_reply_cut_short_is_asked_for_again_and_then_told_in_one_line(facts: Path, endpoint: Endpoint) -> None:
    endpoint.planned = [(200, {"Content-Length": "100000"})]
    assert CliRunner().invoke(app, command(facts, endpoint, "--pause", "0")).exit_code == 0
    assert len(endpoint.asked) == 3
    endpoint.planned = [(200, {"Content-Length": "100000"})] * http_query.RETRIES
    failed = CliRunner().invoke(app, command(facts, endpoint, "--pause", "0", "--language", "it"))
    assert isinstance(failed.exception, FactsError)
    assert "run it again" in str(failed.exception)
    assert "\n" not in str(failed.exception)
