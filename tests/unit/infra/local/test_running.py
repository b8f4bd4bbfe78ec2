import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from infra.checks.stack import free_ports
from infra.local.plan import Service
from infra.local.running import is_ready

KEY = "sk-test-0123456789abcdef"


@contextmanager
def answering(status: int, body: bytes = b"{}") -> Iterator[str]:
    """A server that gives this answer to whoever shows the key, and 401 to everybody else."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.headers["Authorization"] == f"Bearer {KEY}" else 401)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/readyz"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def service(tmp_path: Path, url: str, **more: object) -> Service:
    key = tmp_path / "key"
    key.write_text(f"{KEY}\n")
    return Service(name="x", argv=("x",), env={}, url=url, ready_url=url, ready_key=key, **more)


@pytest.mark.parametrize(("status", "wanted", "ready"), [(200, 200, True), (503, 200, False), (404, 404, True)])
def test_service_is_ready_when_it_answers_as_expected(tmp_path: Path, status: int, wanted: int, ready: bool) -> None:
    with answering(status) as url:
        assert is_ready(service(tmp_path, url, ready_status=wanted)) is ready


def test_service_that_does_not_listen_is_not_ready(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    assert not is_ready(service(tmp_path, f"http://127.0.0.1:{port}/"))


@pytest.mark.parametrize(("second", "whole"), [("ready", True), ("failed", False)])
def test_whole_stack_needs_every_replica_of_the_gateway(tmp_path: Path, second: str, whole: bool) -> None:
    body = json.dumps({"replicas": [{"state": "ready"}, {"state": second}]}).encode()
    with answering(200, body) as url:
        gateway = service(tmp_path, url, lists_replicas=True)
        assert is_ready(gateway)
        assert is_ready(gateway, whole=True) is whole
