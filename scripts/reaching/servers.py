"""What the commands ask outside their process, each started where the first command names it.

$TEXTS llama.cpp's own server with the exported model and adapter; $TOKENS the tests' small server that speaks vLLM's
protocol; $ENDPOINT a SPARQL endpoint that has one label.
"""

import json
import threading
from collections.abc import Callable
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Servers:
    """They run until the stack is left."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self._starting: dict[str, Callable[[], str]] = {
            "$TEXTS": self._llama,
            "$TOKENS": self._vllm,
            "$ENDPOINT": self._endpoint,
        }
        self._running: dict[str, str] = {}

    def filled(self, word: str) -> str:
        """A server's address for its mark; every other word as it is."""
        if word not in self._starting:
            return word
        if word not in self._running:
            self._running[word] = self._starting[word]()
        return self._running[word]

    def _llama(self) -> str:
        import llama_server

        self._kept = llama_server.start(self._folder / "merged.gguf", "lab", [self._folder / "packed.gguf"])
        return f"served:{self._kept.url}#lab"

    def _vllm(self) -> str:
        import vllm_server

        lab = Path(__file__).parents[2] / "src" / "knowpack" / "lab" / "weights"
        server, _ = self._stack.enter_context(vllm_server.running(lab))
        return f"served:{server.url}#tiny"

    def _endpoint(self) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self._stack.callback(server.shutdown)
        return f"http://127.0.0.1:{server.server_port}/sparql"


class Endpoint(BaseHTTPRequestHandler):
    """Says the same whatever is asked."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        entity, name = "http://www.wikidata.org/entity/Q90", "Paris"
        data = json.dumps({"results": {"bindings": [{"entity": {"value": entity}, "name": {"value": name}}]}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass
