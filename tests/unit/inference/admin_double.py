"""A gateway's admin API and an engine's metrics on one real port, scripted by a test; it remembers its questions."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ADMIN_KEY = "sk-admin-0123456789abcdef"
SCRAPE = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
vllm:num_requests_running{{engine="0",model_name="llama-70b-scout"}} {running}.0
vllm:num_requests_waiting{{engine="0",model_name="llama-70b-scout"}} {waiting}.0
vllm:num_requests_waiting_by_reason{{engine="0",reason="capacity"}} 50.0
"""


@dataclass
class AdminDouble:
    """`in_flight`, `running` and `waiting` are taken from the front, one a question, and the last one stays.

    The first question about `in_flight` is the mark itself.
    """

    states: dict[str, str] = field(default_factory=lambda: {"replica-0": "ready", "replica-1": "ready"})
    in_flight: list[int] = field(default_factory=lambda: [0])
    running: list[int] = field(default_factory=lambda: [0])
    waiting: list[int] = field(default_factory=lambda: [0])
    metrics_status: int = 200
    draining: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    """Methods that are answered with 500."""
    speaks: bool = True
    """False: a server of another kind, which says hello to everybody."""
    url: str = ""

    def answer(self, method: str, path: str, key: str | None) -> tuple[int, Any]:
        self.asked.append(f"{method} {path}")
        if not self.speaks:
            return 200, "hello"
        if path.endswith("/metrics"):
            return self.metrics_status, SCRAPE.format(running=_next(self.running), waiting=_next(self.waiting))
        if key != f"Bearer {ADMIN_KEY}":
            return 401, {"error": {"message": "Wrong admin key."}}
        if method in self.broken:
            return 500, {"error": {"message": "Broken."}}
        if path == "/admin/replicas":
            return 200, {"replicas": [self.view(name) for name in self.states]}
        name = path.removeprefix("/admin/replicas/").removesuffix("/drain")
        if name not in self.states:
            return 404, {"error": {"message": f"There is no {name}."}}
        (self.draining.add if method == "PUT" else self.draining.discard)(name)
        return 200, self.view(name)

    def view(self, name: str) -> dict[str, Any]:
        draining = name in self.draining
        count = _next(self.in_flight) if draining else 7
        state = "draining" if draining else self.states[name]
        return {"name": name, "state": state, "reason": "", "draining": draining, "in_flight": count}


def _next(script: list[int]) -> int:
    return script.pop(0) if len(script) > 1 else script[0]


@contextmanager
def serving(double: AdminDouble) -> Iterator[AdminDouble]:
    """The double on a port of its own, which it knows as `url`."""

    class Handler(BaseHTTPRequestHandler):
        def play(self) -> None:
            status, body = double.answer(self.command, self.path, self.headers["Authorization"])
            payload = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_PUT = do_DELETE = play

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    double.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield double
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
