"""Endpoints that mean harm, or are broken: each ends soon, in one line."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from knowpack.errors import FactsError
from knowpack.facts.graphs.http_query import Limits, check_address, post
from knowpack.facts.graphs.wikidata import names_in

LIMITS = Limits(pause_seconds=0, wait_seconds=1, answer_bytes=1 << 16)  # 75 s for an answer: others use this machine
SHORT = replace(LIMITS, answer_seconds=0.5)
SOON = 60.0  # seconds, and a server that is asked too long goes on for 90
Serve = Callable[[Callable[[socket.socket], None]], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Answer every connection by a function of its socket; -> the address."""
    listening: list[socket.socket] = []

    def start(answer: Callable[[socket.socket], None]) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        listening.append(server)

        def accept() -> None:
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                with client:
                    try:
                        client.recv(1 << 16)
                        answer(client)
                    except OSError:
                        pass  # the other side has gone

        threading.Thread(target=accept, daemon=True).start()
        return f"http://127.0.0.1:{server.getsockname()[1]}/sparql"

    yield start
    for server in listening:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


def reply(head: str, body: bytes = b"") -> Callable[[socket.socket], None]:
    return lambda client: client.sendall(f"HTTP/1.1 {head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)


@pytest.fixture
def over() -> Iterator[threading.Event]:
    """Set at the end: a server's thread lives no longer."""
    event = threading.Event()
    yield event
    event.set()


def line_of(url: str, limits: Limits = LIMITS) -> str:
    started = time.monotonic()
    with pytest.raises(FactsError) as caught:
        post(url, {"query": "q"}, limits)
    assert time.monotonic() - started < SOON
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_answer(serve: Serve) -> None:
    assert post(serve(reply("200 OK", b'{"a": [1]}')), {"query": "q"}, LIMITS) == {"a": [1]}


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x", "http://", "//host", "http://[::1", ""]
)
def test_only_http_and_https_are_opened(url: str) -> None:
    with pytest.raises(FactsError, match="expected an address that begins with https://"):
        check_address(url)
    assert "https://" in line_of(url, 1)


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_a_redirect_to_another_kind_of_address_is_not_followed(serve: Serve, target: str) -> None:
    said = line_of(serve(reply(f"302 Found\r\nLocation: {target}")))
    assert "302" in said or "unknown url type: ftp" in said


@pytest.mark.parametrize("asked", ["999999", "9" * 6000])
def test_a_wait_of_days_is_told_and_not_waited_for(serve: Serve, asked: str) -> None:
    assert "asks to be left alone for 999999" in line_of(serve(reply(f"429 Busy\r\nRetry-After: {asked}")))


def test_an_endpoint_that_never_answers_ends(serve: Serve, over: threading.Event) -> None:
    assert "no whole answer within 0.5 s" in line_of(serve(lambda _: over.wait(90)), SHORT)


@pytest.mark.parametrize("head", ["", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"])
def test_an_endpoint_that_drips_ends(serve: Serve, over: threading.Event, head: str) -> None:
    """A byte each tenth of a second never lets a socket's own timeout pass, in the body as in the header."""

    def drip(client: socket.socket) -> None:
        client.sendall(head.encode())
        for _ in range(900):
            client.sendall(b"H")
            if over.wait(0.1):
                return

    assert "no whole answer within 0.5 s" in line_of(serve(drip), SHORT)


def test_a_reply_without_end_is_not_kept(serve: Serve) -> None:
    def pour(client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            client.sendall(b" " * (1 << 14))

    assert "in one answer; give a smaller --batch" in line_of(serve(pour))


@pytest.mark.parametrize("body", [b"<html>", b"[" * 50_000, b"\xff\xfe", b'{"a": 1, "a": 2}'])
def test_what_is_no_json_is_told_at_once(serve: Serve, body: bytes) -> None:
    assert "gave no JSON" in line_of(serve(reply("200 OK", body)))


def test_a_refusal_is_closed_while_its_error_is_still_held(serve: Serve) -> None:
    """An open response lived as long as the traceback: its warning came up in a later test, now and then."""
    ended = threading.Event()

    def refuse(client: socket.socket) -> None:
        reply("400 Bad Request", b"no")(client)
        with suppress(OSError):
            while client.recv(1 << 16):
                pass
        ended.set()

    with pytest.raises(FactsError, match="refused the query: 400") as caught:
        post(serve(refuse), {"query": "q"}, LIMITS)
    assert caught.value.__context__ is not None, "the response's error lives on in it"
    assert ended.wait(SOON), "the connection is still open"


@pytest.mark.parametrize("name", ["half \ud800", ["x"], {"a": 1}])
def test_a_name_that_is_no_text_is_refused(name: object) -> None:
    answer = {"results": {"bindings": [{"entity": {"value": "http://x/A"}, "name": {"value": name}}]}}
    with pytest.raises(FactsError, match="a name that is no text"):
        names_in(answer, ["http://x/A"], "http://x")


def test_the_command_refuses_a_file_as_its_endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from knowpack.cli.facts import app
    from knowpack.records import Fact, table
    from knowpack.store import write_table

    write_table(tmp_path / "f.parquet", table([Fact("1", "Who?", ("Ann",), object="Q1")], Fact))
    out = str(tmp_path / "more.parquet")
    told = [
        "wikidata-aliases",
        str(tmp_path / "f.parquet"),
        "--endpoint",
        "file:///etc/passwd",
        "--out",
        out,
        "--quiet",
    ]
    assert isinstance(CliRunner().invoke(app, told).exception, FactsError)
