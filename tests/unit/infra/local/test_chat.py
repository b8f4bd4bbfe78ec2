import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from rich.console import Console

from infra.checks.stack import free_ports
from infra.local.chat import chat
from infra.local.state import StateDir


@contextmanager
def gateway(status: int, body: bytes) -> Iterator[tuple[str, list[object]]]:
    """A server in the gateway's place, and what it was asked."""
    asked: list[object] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            asked.append((self.path, self.headers["Authorization"], json.loads(self.rfile.read(length))))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def stack(tmp_path: Path, url: str) -> StateDir:
    state = StateDir(tmp_path)
    state.env.write_text(f"export SCOUT_URL={url}\nexport SCOUT_KEY=sk-key\n")
    return state


def test_question_goes_to_the_gateway_and_its_answer_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with gateway(200, "Grüße aus dem Autohaus".encode()) as (url, asked):
        assert chat(stack(tmp_path, url), Console(), "hello") == 0
    assert asked == [("/api/chat", "Bearer sk-key", {"message": "hello"})]
    assert capsys.readouterr().out == "Grüße aus dem Autohaus\n"


def test_error_of_the_gateway_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    body = json.dumps({"error": {"message": "No replica.", "type": "t", "param": None, "code": "upstream_unavailable"}})
    with gateway(503, body.encode()) as (url, _):
        assert chat(stack(tmp_path, url), Console(soft_wrap=True), "hello") == 1
    assert capsys.readouterr().err == "scout: the gateway answered 503 (upstream_unavailable): No replica.\n"


def test_without_a_stack_it_says_how_to_start_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert chat(StateDir(tmp_path), Console(), "hello") == 1
    assert "./scout up" in capsys.readouterr().err


def test_gateway_that_does_not_listen_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (port,) = free_ports(1)
    assert chat(stack(tmp_path, f"http://127.0.0.1:{port}"), Console(soft_wrap=True), "hello") == 1
    assert f"nothing listens at http://127.0.0.1:{port}" in capsys.readouterr().err
