"""A scriptable upstream on a real port: it does what a replica behind nginx may, and what vLLM will not do on command.

Every chat completion takes the next act from the script, or `otherwise` when the script is empty. Acts write to the
socket themselves, so they can stop at any byte. `/health`, `/metrics` and `/v1/models` answer as a ready replica
does until told otherwise. A completion whose request id begins with "canary-" is a probe: it takes nothing from the
script and does not stand among the exchanges.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

MODEL = "llama-70b-scout"


@dataclass
class Exchange:
    """One request as it arrived, the socket to answer on, and whether the client has left."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    client_left: asyncio.Event = field(default_factory=asyncio.Event)
    on_served: Callable[[], None] = lambda: None

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def start_stream(self) -> None:
        self.on_served()
        await self.send(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
        )

    async def send_chunk(self, data: bytes) -> None:
        await self.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    async def end_body(self) -> None:
        await self.send(b"0\r\n\r\n")

    async def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        fields = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        if status == 200:
            self.on_served()
        await self.send(f"HTTP/1.1 {status} Scripted\r\n{head}\r\n".encode() + body)

    def reset(self) -> None:
        """Tears the connection: what is in flight is lost and the peer sees a reset."""
        transport = self.writer.transport
        transport.abort()


Act = Callable[[Exchange], Awaitable[None]]


def event(body: dict[str, Any] | str) -> bytes:
    data = body if isinstance(body, str) else json.dumps(body, separators=(",", ":"))
    return f"data: {data}\n\n".encode()


def chunk(delta: dict[str, Any], finish_reason: str | None = None, index: int = 0) -> dict[str, Any]:
    choice = {"index": index, "delta": delta, "finish_reason": finish_reason}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": MODEL,
        "choices": [choice],
    }


ROLE = chunk({"role": "assistant", "content": ""})
STOP = chunk({}, "stop")
USAGE = {**ROLE, "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}}
DONE = "[DONE]"


def words(*texts: str) -> list[dict[str, Any]]:
    return [chunk({"content": text}) for text in texts]


def stream(*bodies: dict[str, Any] | str, end: bool = True) -> Act:
    """Sends these events, one HTTP chunk each; `end` closes the body."""

    async def act(exchange: Exchange) -> None:
        await exchange.start_stream()
        for body in bodies:
            await exchange.send_chunk(event(body))
        if end:
            await exchange.end_body()

    return act


def whole_stream(*texts: str) -> Act:
    return stream(ROLE, *words(*texts), STOP, USAGE, DONE)


def completion(text: str, finish_reason: str = "stop") -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}
    body = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": MODEL, "choices": [choice]}
    return json.dumps({**body, "usage": USAGE["usage"]}).encode()


def status(
    code: int, message: str = "scripted", headers: dict[str, str] | None = None, param: str | None = None
) -> Act:
    async def act(exchange: Exchange) -> None:
        error = {"message": message, "type": "scripted", "param": param, "code": code}
        await exchange.answer(code, json.dumps({"error": error}).encode(), headers)

    return act


async def reset_at_once(exchange: Exchange) -> None:
    """Reads the request and tears the connection without a byte of an answer."""
    exchange.reset()


async def hang(exchange: Exchange) -> None:
    """Never answers; ends when the client leaves."""
    await exchange.client_left.wait()


def then_hang(*bodies: dict[str, Any] | str) -> Act:
    """Sends these events and falls silent."""

    async def act(exchange: Exchange) -> None:
        await stream(*bodies, end=False)(exchange)
        await exchange.client_left.wait()

    return act


def then_reset(*bodies: dict[str, Any] | str) -> Act:
    """Sends these events, waits until `resets` lets it go on, and tears the connection."""

    async def act(exchange: Exchange) -> None:
        await stream(*bodies, end=False)(exchange)
        await asyncio.sleep(0.05)  # lets the events out of the socket: a reset drops what is still buffered
        exchange.reset()

    return act


async def _answer_by_default(exchange: Exchange) -> None:
    if exchange.json.get("stream"):
        await whole_stream("Hello", " there", ".")(exchange)
    else:
        await exchange.answer(200, completion("Hello there."))


async def _answer_canary(exchange: Exchange) -> None:
    await exchange.answer(200, completion("."))


class ScriptedUpstream:
    """The server. `exchanges` are the chat completions that came; `probes` counts the GETs, `canaries` the canaries.
    `connections` are those that are open.

    `running`, `waiting`, `kv_usage` (0 to 1) and `generated` are what /metrics says, `metrics_status` how. Each
    completion that is answered 200 adds `tokens_per_completion` to `generated` as its answer starts. `canary` replaces
    the answer to canaries, `otherwise` the short whole answer to a completion for which the script has nothing.
    """

    def __init__(self) -> None:
        self.url = ""
        self.exchanges: list[Exchange] = []
        self.probes = 0
        self.health = 200
        self.models = (MODEL,)
        self.refuses_key = False
        self.metrics_status = 200
        self.running = 0.0
        self.waiting = 0.0
        self.kv_usage = 0.0
        self.generated = 0.0
        self.tokens_per_completion = 1
        self.canary: Act | None = None
        self.canaries = 0
        self.otherwise: Act = _answer_by_default
        self._script: list[Act] = []
        self._arrived = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self.connections: set[asyncio.StreamWriter] = set()

    def script(self, *acts: Act) -> None:
        self._script.extend(acts)

    async def exchange(self, number: int) -> Exchange:
        """The chat completion with this number, once it has arrived."""
        async with self._arrived, asyncio.timeout(10):
            await self._arrived.wait_for(lambda: len(self.exchanges) > number)
        return self.exchanges[number]

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Stops listening and tears every connection, as a killed process does."""
        if self._server is not None:
            self._server.close()
            for writer in list(self.connections):
                writer.transport.abort()
            await self._server.wait_closed()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.add(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while (exchange := await _read_request(reader, writer)) is not None:
                await self._answer(exchange)
                if writer.transport.is_closing():
                    break
        self.connections.discard(writer)
        writer.close()

    async def _answer(self, exchange: Exchange) -> None:
        if exchange.method == "GET":
            self.probes += 1
            await self._answer_probe(exchange)
            return
        exchange.on_served = self._count_tokens
        if exchange.headers.get("x-request-id", "").startswith("canary-"):
            self.canaries += 1
            await self._act(self.canary or _answer_canary, exchange)
            return
        async with self._arrived:
            self.exchanges.append(exchange)
            self._arrived.notify_all()
        await self._act(self._script.pop(0) if self._script else self.otherwise, exchange)

    async def _act(self, act: Act, exchange: Exchange) -> None:
        watcher = asyncio.get_running_loop().create_task(_watch(exchange))
        try:
            await act(exchange)
        finally:
            watcher.cancel()
            with suppress(asyncio.CancelledError):
                await watcher

    def _count_tokens(self) -> None:
        self.generated += self.tokens_per_completion

    async def _answer_probe(self, exchange: Exchange) -> None:
        if exchange.path == "/health":
            await exchange.answer(self.health, b"")
        elif self.refuses_key:
            await status(401)(exchange)
        elif exchange.path == "/metrics":
            await exchange.answer(self.metrics_status, self._metrics().encode(), {"content-type": "text/plain"})
        else:
            listed = [{"id": name, "object": "model"} for name in self.models]
            await exchange.answer(200, json.dumps({"object": "list", "data": listed}).encode())

    def _metrics(self) -> str:
        """As vLLM 0.32 writes it, with a neighbour whose name begins like one that is wanted."""
        labels = f'engine="0",model_name="{MODEL}"'
        return (
            "# HELP vllm:num_requests_running Number of requests in model execution batches.\n"
            "# TYPE vllm:num_requests_running gauge\n"
            f"vllm:num_requests_running{{{labels}}} {float(self.running)}\n"
            f"vllm:num_requests_waiting{{{labels}}} {float(self.waiting)}\n"
            f'vllm:num_requests_waiting_by_reason{{{labels},reason="capacity"}} {float(self.waiting)}\n'
            f"vllm:kv_cache_usage_perc{{{labels}}} {float(self.kv_usage)}\n"
            f"vllm:generation_tokens_total{{{labels}}} {float(self.generated)}\n"
        )


async def _read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Exchange | None:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    method, path, _ = lines[0].split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Exchange(method, path, headers, body, reader, writer)


async def _watch(exchange: Exchange) -> None:
    """A client sends nothing while it waits for its answer, so whatever can be read is the end."""
    with suppress(ConnectionError):
        await exchange.reader.read(1)
    exchange.client_left.set()


@asynccontextmanager
async def scripted_upstream() -> AsyncIterator[ScriptedUpstream]:
    upstream = ScriptedUpstream()
    await upstream.start()
    try:
        yield upstream
    finally:
        await upstream.stop()
