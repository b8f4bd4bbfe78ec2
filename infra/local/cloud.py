"""The cloud stand-in of the local stack: speaks OpenAI's protocol, holds no model, and says so in every answer.

It stands where OpenAI does in production, so that fallback, ledger and costs can be seen without an account. It answers
by rule, streams word by word, calls no tool, and counts words for tokens. Of what it receives it keeps size and hash,
of the last `REMEMBERED` requests, to be compared with the gateway's egress ledger; never a text.
"""

import argparse
import asyncio
import hashlib
import hmac
import json
import os
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from itertools import count
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from infra.local.settings import HOST
from shared import sse

MODEL = "cloud-stand-in"
KEY_VARIABLE = "SCOUT_OPENAI_KEY"
REMEMBERED = 10_000
PACE_S = 0.02  # between two words: about as fast as a model of the cloud speaks

Handler = Callable[[Request], Awaitable[Response]]


class Refused(Exception):
    """The request is answered with this error, in OpenAI's form."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class StandIn:
    """The server's state: its key, its pace, and what it has received."""

    def __init__(self, key: str, pace_s: float = PACE_S) -> None:
        self._authorization = f"Bearer {key}".encode()
        self._pace_s = pace_s
        self._numbers = count(1)
        self._count = 0
        self._bytes = 0
        self._received: deque[dict[str, Any]] = deque(maxlen=REMEMBERED)

    def app(self) -> Starlette:
        """The ASGI application. All but /health wants the key."""
        return Starlette(
            routes=[
                Route("/health", _alive),
                Route("/v1/models", self._guarded(self._models)),
                Route("/v1/chat/completions", self._guarded(self._complete), methods=["POST"]),
                Route("/received", self._guarded(self._show)),
            ]
        )

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            given = request.headers.get("authorization", "").encode()
            try:
                if not hmac.compare_digest(given, self._authorization):
                    raise Refused(401, "invalid_api_key", "The stand-in does not know this key.")
                return await handler(request)
            except Refused as refused:
                error = {"message": str(refused), "type": "invalid_request_error", "param": None, "code": refused.code}
                return JSONResponse({"error": error}, refused.status)

        return guarded

    async def _models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "scout"}]})

    async def _show(self, request: Request) -> Response:
        """How many completions were asked for, their bytes together, and size and hash of each."""
        return JSONResponse({"count": self._count, "bytes": self._bytes, "requests": list(self._received)})

    async def _complete(self, request: Request) -> Response:
        raw = await request.body()
        self._count += 1
        self._bytes += len(raw)
        self._received.append({"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()})
        answer = Answer(_checked(raw), number=next(self._numbers), created=int(time.time()))  # noqa: TID251  # a date
        if not answer.streams:
            return JSONResponse(answer.whole())
        return StreamingResponse(self._streamed(answer), media_type="text/event-stream")

    async def _streamed(self, answer: "Answer") -> AsyncIterator[bytes]:
        for chunk in answer.chunks():
            yield sse.encode(json.dumps(chunk, separators=(",", ":")).encode())
            await asyncio.sleep(self._pace_s)
        yield sse.encode(sse.DONE)


class Answer:
    """What the stand-in says to one request: a rule, no model."""

    def __init__(self, body: Mapping[str, Any], *, number: int, created: int) -> None:
        self.streams = bool(body.get("stream"))
        self._wants_usage = bool((body.get("stream_options") or {}).get("include_usage"))
        self._frame = {"id": f"chatcmpl-stand-in-{number}", "created": created, "model": MODEL}
        said = [_text(message) for message in body["messages"]]
        self._prompt_tokens = sum(len(text.split()) for text in said)
        words = _sentence(said, len(body.get("tools") or ())).split(" ")
        limit = body.get("max_completion_tokens") or body.get("max_tokens")
        self._words = words[:limit]
        self._finish_reason = "stop" if len(self._words) == len(words) else "length"

    def whole(self) -> dict[str, Any]:
        """The answer in one piece."""
        message = {"role": "assistant", "content": " ".join(self._words), "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self._finish_reason}
        return {**self._frame, "object": "chat.completion", "choices": [choice], "usage": self._usage()}

    def chunks(self) -> list[dict[str, Any]]:
        """The answer as a stream's chunks, a word each, and the token counts where they are wanted."""
        spaced = [word if not position else f" {word}" for position, word in enumerate(self._words)]
        chunks = [self._chunk({"role": "assistant", "content": ""})]
        chunks += [self._chunk({"content": word}) for word in spaced]
        chunks.append(self._chunk({}, self._finish_reason))
        if self._wants_usage:
            chunks = [{**chunk, "usage": None} for chunk in chunks]
            chunks.append({**self._frame, "object": "chat.completion.chunk", "choices": [], "usage": self._usage()})
        return chunks

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return {**self._frame, "object": "chat.completion.chunk", "choices": [choice]}

    def _usage(self) -> dict[str, int]:
        answered = len(self._words)
        return {
            "prompt_tokens": self._prompt_tokens,
            "completion_tokens": answered,
            "total_tokens": self._prompt_tokens + answered,
        }


def _sentence(said: list[str], tools: int) -> str:
    offered = f" I was offered {tools} tools and call none of them." if tools else ""
    return (
        "[cloud stand-in] I am no model, I only stand in for the cloud on this machine."
        f" I was sent {len(said)} messages, and the last one has {len(said[-1].split())} words.{offered}"
    )


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _checked(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw)
    except ValueError:
        raise Refused(400, "invalid_json", "The body is not JSON.") from None
    messages = body.get("messages") if isinstance(body, dict) else None
    if not isinstance(messages, list) or not messages or not all(isinstance(one, dict) for one in messages):
        raise Refused(400, "invalid_messages", "`messages` must be a list with a message in it.")
    if not isinstance(body.get("model"), str):
        raise Refused(400, "missing_model", "`model` must name a model.")
    return dict(body)


async def _alive(request: Request) -> Response:
    return JSONResponse({"status": "ok", "server": MODEL})


def main(argv: list[str], environ: Mapping[str, str]) -> int:
    """Serves on loopback until it is told to stop. 2 without a key."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.local.cloud", description="The local stack's cloud stand-in."
    )
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pace-ms", type=float, default=PACE_S * 1000, help="between two words")
    arguments = parser.parse_args(argv)
    key = environ.get(KEY_VARIABLE)
    if not key:
        print(f"{KEY_VARIABLE} is not set: the key that clients of the stand-in need", file=sys.stderr)
        return 2
    app = StandIn(key, arguments.pace_ms / 1000).app()
    uvicorn.run(app, host=HOST, port=arguments.port, log_level="warning", access_log=False)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
