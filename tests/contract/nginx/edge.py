"""A real nginx in a folder made by the project's own function, on free ports, as an unprivileged user."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from inference.nginx_keys import ClientKey, write_client_keys, write_engine_key
from inference.site import KEYS_DIR, Site, prepare_prefix
from tests.contract.nginx.upstream import PATIENCE_S

NOBODY = 65534
GATEWAY_KEY = ClientKey(name="gateway", key="sk-gateway.0123456789+abcDEF/=~_-")
OTHER_KEY = ClientKey(name="workshop", key="sk-workshop-0123456789")
ENGINE_KEY = "sk-engine-0123456789abcdef"


def eventually(condition: Callable[[], Any], what: str) -> Any:
    """The first true value of `condition`; fails after PATIENCE_S. For things that only nginx knows the moment of."""
    pause = threading.Event()
    for _ in range(int(PATIENCE_S / 0.01)):
        if value := condition():
            return value
        pause.wait(0.01)
    raise AssertionError(f"not within {PATIENCE_S} s: {what}")


def free_ports(count: int) -> int:
    """The first of `count` free ports in a row."""
    for _ in range(200):
        with socket.socket() as first:
            first.bind(("127.0.0.1", 0))
            base: int = first.getsockname()[1]
            if base + count <= 65536 and all(_is_free(base + offset) for offset in range(1, count)):
                return base
    raise AssertionError(f"no {count} free ports in a row")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@dataclass(frozen=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def one(self, name: str) -> str:
        (value,) = self.all(name)
        return value

    def json(self) -> Any:
        return json.loads(self.body)


class Edge:
    """One nginx. Ports: `balanced`, and `replica(i)`."""

    def __init__(self, folder: Path, site: Site) -> None:
        self.prefix, self.site, self._process = folder / "prefix", site, None
        self.balanced = site.listen_port
        self.access_log, self.error_log = folder / "access.log", folder / "error.log"
        prepare_prefix(self.prefix, site)
        self.put_keys([GATEWAY_KEY, OTHER_KEY])
        write_engine_key(self.prefix / KEYS_DIR, ENGINE_KEY)

    _process: subprocess.Popen[bytes] | None

    def replica(self, index: int) -> int:
        return self.site.replica_ports[index]

    def put_keys(self, keys: Sequence[ClientKey]) -> None:
        write_client_keys(self.prefix / KEYS_DIR, keys)

    def command(self, *more: str) -> list[str]:
        drop = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []
        return [*drop, "nginx", "-p", f"{self.prefix}/", "-c", "nginx.conf", "-e", "stderr", *more]

    def hand_over(self) -> None:
        """Give everything to the user that nginx will run as."""
        if os.geteuid() == 0:
            for path in (self.prefix.parent, *self.prefix.parent.rglob("*")):
                os.chown(path, NOBODY, NOBODY)

    def start(self) -> None:
        self.access_log.touch()
        self.error_log.touch()
        self.hand_over()
        with self.access_log.open("ab") as out, self.error_log.open("ab") as err:
            self._process = subprocess.Popen(self.command("-g", "daemon off;"), stdout=out, stderr=err)
        eventually(lambda: self._answers(self._process), "nginx answers")

    def _answers(self, process: subprocess.Popen[bytes] | None) -> bool:
        # An answer and not only a connection: the master listens before it is ready for signals, and an early SIGHUP
        # would end it.
        assert process is not None and process.poll() is None, self.error_log.read_text()
        try:
            return self.ask(self.balanced, "GET", "/").status == 404
        except ConnectionRefusedError:
            return False

    def processes(self) -> list[psutil.Process]:
        """The master and its workers."""
        assert self._process is not None
        master = psutil.Process(self._process.pid)
        return [master, *master.children()]

    def reload(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=PATIENCE_S)

    def ask(
        self,
        port: int,
        method: str = "POST",
        path: str = "/v1/chat/completions",
        key: str | None = GATEWAY_KEY.key,
        body: bytes | Iterable[bytes] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """One request on a connection of its own, read to its end."""
        with self.open(port, method, path, key, body, headers) as response:
            return Answer(response.status, response.getheaders(), response.read())

    @contextmanager
    def open(
        self,
        port: int,
        method: str = "POST",
        path: str = "/v1/chat/completions",
        key: str | None = GATEWAY_KEY.key,
        body: bytes | Iterable[bytes] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        """The answer as soon as its header is there; the connection ends with the block."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        authorization = {"authorization": f"Bearer {key}"} if key is not None else {}
        if method == "POST" and body is None:
            body = b'{"model": "llama-70b-scout"}'
        try:
            connection.request(method, path, body=body, headers={**authorization, **(headers or {})})
            with connection.getresponse() as response:
                yield response
        finally:
            connection.close()

    def send_raw(self, port: int, data: bytes) -> bytes:
        """Bytes in, everything that comes back until nginx closes out."""
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def ask_raw(self, port: int, data: bytes) -> Answer:
        """Bytes in, one answer out: for requests that no client library would send."""
        head, _, body = self.send_raw(port, data).partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        return Answer(int(status.split()[1]), headers, body)

    def log_line(self, request_id: str) -> dict[str, Any]:
        """The line of one request, which nginx writes when it is through with it."""
        return eventually(lambda: self._find(request_id), f"a log line for {request_id}")  # type: ignore[no-any-return]

    def _find(self, request_id: str) -> dict[str, Any] | None:
        lines = [json.loads(line) for line in self.access_log.read_text().splitlines()]
        return next((line for line in lines if line["request_id"] == request_id), None)


@contextmanager
def prepared_edge(**site: Any) -> Iterator[Edge]:
    """A folder ready for nginx, not started. Ports are free ones."""
    engines = site["engines"]
    base = free_ports(1 + len(engines))
    folder = Path(tempfile.mkdtemp(prefix="scout-nginx-"))
    try:
        yield Edge(folder, Site.model_validate({"listen_port": base, "replica_port": base + 1, **site}))
    finally:
        shutil.rmtree(folder)


@contextmanager
def running_edge(**site: Any) -> Iterator[Edge]:
    """A started nginx; ended with the block."""
    with prepared_edge(**site) as edge:
        edge.start()
        try:
            yield edge
        finally:
            edge.stop()
