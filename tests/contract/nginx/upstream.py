"""A replica that does what a test tells it, on a real port: answers, streams step by step, hangs, breaks off.

A script gets an Exchange and plays it. Steps wait for each other through events that the test holds, never for time
to pass: every wait has a bound, after which the test fails.
"""

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PATIENCE_S = 10.0


@dataclass(frozen=True)
class Received:
    """One request as it arrived; `connection` counts the connections of the replica from 1."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes
    connection: int

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


@dataclass
class Exchange:
    """What a script can do with one request."""

    request: Received
    handler: BaseHTTPRequestHandler
    chunked: bool = True

    def answer(self, status: int = 200, body: bytes = b"{}", **headers: str) -> None:
        self._head(status, {"content-type": "application/json", **headers, "content-length": str(len(body))})
        self.handler.wfile.write(body)

    def begin_stream(self, *, chunked: bool = True, **headers: str) -> None:
        """Chunked as uvicorn does it, or with the connection's end as the end of the answer."""
        self.chunked = chunked
        self.handler.close_connection = not chunked
        framing = {"transfer-encoding": "chunked"} if chunked else {"connection": "close"}
        self._head(200, {"content-type": "text/event-stream; charset=utf-8", **headers, **framing})

    def event(self, data: str) -> None:
        payload = f"data: {data}\n\n".encode()
        self.handler.wfile.write(b"%x\r\n%b\r\n" % (len(payload), payload) if self.chunked else payload)

    def end_stream(self) -> None:
        self.event("[DONE]")
        if self.chunked:
            self.handler.wfile.write(b"0\r\n\r\n")

    def drop(self) -> None:
        """Break the connection off where it stands."""
        self.handler.close_connection = True
        self.handler.connection.shutdown(socket.SHUT_RDWR)

    def wait_until_left(self) -> bool:
        """True when the other side has closed; False when it is still there after PATIENCE_S."""
        self.handler.close_connection = True
        self.handler.connection.settimeout(PATIENCE_S)
        try:
            return not self.handler.connection.recv(1)
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.handler.send_response(status)
        for name, value in headers.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.end_headers()


Script = Callable[[Exchange], None]


def answer_ok(exchange: Exchange) -> None:
    """What a replica does when the test has told it nothing."""
    exchange.answer()


@dataclass
class Upstream:
    """A replica on a free port of loopback."""

    script: Script = answer_ok
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    failures: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._server = _Server(self)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server.close_connections()
        assert not self.failures, self.failures


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.upstream.connections += 1
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        for connection in list(self.open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # already closed by its own thread

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Exceptions of a script belong to the test, except that nginx may leave at any time."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # as uvicorn: a small answer must not wait for an acknowledgement
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.number = self.server.upstream.connections

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True
        except Exception as error:  # noqa: BLE001 - kept for stop(), which raises it in the test's own thread
            self.close_connection = True
            self.server.upstream.failures.append(error)

    def serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        received = Received(self.command, self.path, self.headers.items(), body, self.number)
        self.server.upstream.requests.append(received)
        self.server.upstream.script(Exchange(received, self))

    do_GET = do_POST = serve

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: what arrived is in `requests`."""
