"""A scriptable cloud on a real port: OpenAI's protocol, every failure it may have, and a record of every byte it gets.

It does what `tests.support.upstream` does, one answer to each act of the script, and speaks as OpenAI: with a key, its
own model, its own errors, and nothing of vLLM's. `bytes_received` counts what has come out of the socket, be it a
request or not: where it is 0, nothing has been sent.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from tests.support.upstream import (
    DONE,
    Act,
    Exchange,
    ScriptedUpstream,
    event,
    hang,
    reset_at_once,
    stream,
    then_hang,
    then_reset,
)

__all__ = ["DONE", "Act", "Cloud", "Exchange", "hang", "reset_at_once", "running_cloud", "stream"]

MODEL = "gpt-4.1-mini"
KEY = "sk-cloud-key-of-the-tests"
SAID = "The cloud's own words, which may quote what was asked."


def _frame(choices: list[dict[str, Any]], counted: dict[str, Any] | None) -> dict[str, Any]:
    head = {"id": "chatcmpl-cloud-1", "object": "chat.completion.chunk", "created": 1_767_225_600}
    return {**head, "model": f"{MODEL}-2025-04-14", "choices": choices, "usage": counted, "service_tier": "default"}


def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    """One chunk as OpenAI sends it when the usage was asked for."""
    return _frame([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}], None)


def usage(prompt: int = 9, completion: int = 3) -> dict[str, Any]:
    """The chunk before [DONE]: token counts and no choice."""
    counted = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return _frame([], {**counted, "prompt_tokens_details": {"cached_tokens": 0}})


ROLE = chunk({"role": "assistant", "content": "", "refusal": None})


def words(*texts: str) -> list[dict[str, Any]]:
    return [chunk({"content": text}) for text in texts]


def says(*texts: str, finish_reason: str = "stop") -> Act:
    """A whole answer, a chunk for each text."""
    return stream(ROLE, *words(*texts), chunk({}, finish_reason), usage(), DONE)


def slowly(pause_s: float, *texts: str) -> Act:
    """A whole answer with a pause before each text."""

    async def act(exchange: Exchange) -> None:
        await exchange.start_stream()
        await exchange.send_chunk(event(ROLE))
        for told in words(*texts):
            await asyncio.sleep(pause_s)
            await exchange.send_chunk(event(told))
        for told in (chunk({}, "stop"), usage(), DONE):
            await exchange.send_chunk(event(told))
        await exchange.end_body()

    return act


def on_command(go_on: asyncio.Semaphore, *texts: str) -> Act:
    """Sends the role, and each text when it may; then nothing more, until the client leaves."""

    async def act(exchange: Exchange) -> None:
        await stream(ROLE, end=False)(exchange)
        for told in words(*texts):
            await go_on.acquire()
            await exchange.send_chunk(event(told))
        await exchange.client_left.wait()

    return act


def calls(name: str, **arguments: Any) -> Act:
    """An answer that calls a tool, its arguments in two pieces."""
    text = json.dumps(arguments)
    first = {"index": 0, "id": "call_cloud_1", "type": "function", "function": {"name": name, "arguments": ""}}
    half = len(text) // 2
    pieces = [{"index": 0, "function": {"arguments": piece}} for piece in (text[:half], text[half:])]
    told = [chunk({"tool_calls": [piece]}) for piece in pieces]
    return stream(
        chunk({"role": "assistant", "content": None, "tool_calls": [first]}),
        *told,
        chunk({}, "tool_calls"),
        usage(),
        DONE,
    )


def truncated(*texts: str) -> Act:
    """An answer whose body ends in good order, and which does not."""
    return stream(ROLE, *words(*texts))


def goes_silent(*texts: str) -> Act:
    """Sends the texts and then nothing more, until the client leaves."""
    return then_hang(ROLE, *words(*texts))


def breaks_off(*texts: str) -> Act:
    """Sends the texts and tears the connection."""
    return then_reset(ROLE, *words(*texts))


def errs(code: str | None, kind: str, *texts: str) -> Act:
    """Sends the texts and then an error in-band."""
    return stream(ROLE, *words(*texts), {"error": error(code, kind)})


def refuses(status: int, code: str | None = None, kind: str = "scripted", retry_after: str | None = None) -> Act:
    """An error instead of an answer."""

    async def act(exchange: Exchange) -> None:
        fields = {} if retry_after is None else {"retry-after": retry_after}
        await exchange.answer(status, json.dumps({"error": error(code, kind)}).encode(), fields)

    return act


def error(code: str | None, kind: str) -> dict[str, Any]:
    """An error object of OpenAI's."""
    return {"message": SAID, "type": kind, "param": None, "code": code}


class Cloud(ScriptedUpstream):
    """The server. `url` has no path; an SDK's base URL is `base_url`. Without an act in the script it answers shortly.

    `received` are the bodies of the requests in their order, the refused ones too. Like a real server it hangs up on a
    client that has asked for it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.models = (MODEL,)
        self.bytes_received = 0
        self.otherwise = says("The cloud", " says", " hello.")

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    @property
    def received(self) -> list[bytes]:
        return [exchange.body for exchange in self.exchanges]

    async def start(self, port: int = 0) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._protocol, "127.0.0.1", port)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def _protocol(self) -> asyncio.StreamReaderProtocol:
        return asyncio.StreamReaderProtocol(_CountingReader(self._count), self._serve)

    def _count(self, data: bytes) -> None:
        self.bytes_received += len(data)

    async def _act(self, act: Act, exchange: Exchange) -> None:
        known = exchange.headers.get("authorization") == f"Bearer {KEY}"
        await super()._act(act if known else refuses(401, "invalid_api_key", "invalid_request_error"), exchange)
        if exchange.headers.get("connection") == "close":
            exchange.writer.close()


class _CountingReader(asyncio.StreamReader):
    def __init__(self, count: Callable[[bytes], None]) -> None:
        super().__init__()
        self._counted = count

    def feed_data(self, data: bytes) -> None:
        self._counted(data)
        super().feed_data(data)


@asynccontextmanager
async def running_cloud() -> AsyncIterator[Cloud]:
    cloud = Cloud()
    await cloud.start()
    try:
        yield cloud
    finally:
        await cloud.stop()
