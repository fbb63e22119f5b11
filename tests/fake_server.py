"""A small HTTP server in a thread, of the standard library alone: what a test makes it say, and what it was asked."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

Reply = dict | list | str | tuple[int, object] | None
"""JSON, a text as it is, (status, either), or None: the connection is cut without an answer."""


class Running(NamedTuple):
    """A server that runs."""

    url: str
    """Of its API: http://127.0.0.1:port/v1."""
    asked: list[tuple[str, dict]]
    """(path, body) in the order of arrival."""


@contextmanager
def serving(says: Callable[[str, dict], Reply]) -> Iterator[Running]:
    """says: (path, body; {} of a GET) -> the reply."""
    asked: list[tuple[str, dict]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._reply({})

        def do_POST(self) -> None:
            self._reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _reply(self, body: dict) -> None:
            asked.append((self.path, body))
            reply = says(self.path, body)
            if reply is None:
                self.close_connection = True
                return
            status, content = reply if isinstance(reply, tuple) else (200, reply)
            data = content.encode() if isinstance(content, str) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain" if isinstance(content, str) else "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield Running(f"http://127.0.0.1:{server.server_port}/v1", asked)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def completion(text: object, reason: str = "stop") -> dict:
    """A chat completion as OpenAI's API has it."""
    return {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": reason}]}


def listing(*names: str, **fields: object) -> dict:
    """What /v1/models says."""
    return {"object": "list", "data": [{"id": name, "object": "model", **fields} for name in names]}
