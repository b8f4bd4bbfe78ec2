"""A mock of three vLLM replicas for the speed bench: one process, a port each, and next to no work per request.

It answers what gateways and routers ask of an engine: chat completions as JSON and as streams, in the shape of vLLM
0.32 (with token ids when the request wants them, with usage when it wants that), `/health`, `/v1/models`, `/version`,
and `/metrics` whose gauges and token counter move. The pace of the streams is set from outside (`GET /pace?...`), not
by the request: no gateway then has to pass an odd field on. `GET /cpu` tells the CPU that the process used (s).

`python -m tests.bench.engine_source --core 1 --ports 3` prints its ports on one line and serves until its input ends.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import parse_qsl

import uvloop

from tests.bench.sse_source import WORDS, Connection, Pace, Script, Sightings

MODEL = "llama-70b-scout"
_ID = "chatcmpl-8bf138849e8d7539"
_CREATED = 1793610000
_PROMPT_IDS = [0, 2, 297, 3, *range(271, 411), 2, 291, 3, 271]
_FINGERPRINT = "vllm-0.32.0-27651f31"
_USAGE = {
    "prompt_tokens": len(_PROMPT_IDS),
    "total_tokens": len(_PROMPT_IDS) + 32,
    "completion_tokens": 32,
    "prompt_tokens_details": {"cached_tokens": 128, "created_cache_tokens": 0},
}
_SCALE_OUT_IS_OFF = "Scale-out endpoints are disabled. Restart vllm serve with --enable-scale-out to enable them."
_DONE = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"


@dataclass
class Replica:
    """What one replica counts: requests running, all answers so far, and tokens generated so far."""

    running: int = 0
    answers: int = 0
    tokens: int = 0


@dataclass
class Shared:
    """What all connections of all replicas share: the pace of streams as last set, and what all replicas count."""

    pace: Pace = field(default_factory=lambda: Pace(chunks=33))
    replicas: list[Replica] = field(default_factory=list)
    script: Script = field(default_factory=Script)
    sightings: Sightings = field(default_factory=Sightings)


def _chunk(**fields: object) -> bytes:
    """One event in its HTTP chunk."""
    whole = {"id": _ID, "object": "chat.completion.chunk", "created": _CREATED, "model": MODEL, **fields}
    event = b"data: " + json.dumps(whole, separators=(",", ":")).encode() + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(event), event)


def _choice(delta: dict[str, str], finish_reason: str | None, **more: object) -> list[dict[str, object]]:
    return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason, **more}]


class EngineScript:
    """The bytes of every stream, prepared once. `with_ids`: as vLLM answers to `return_token_ids`."""

    def __init__(self, with_ids: bool, with_usage: bool) -> None:
        def ids(token: int) -> list[int] | None:
            return [token] if with_ids else None

        self.first = _chunk(
            choices=_choice({"role": "assistant", "content": ""}, None),
            prompt_token_ids=_PROMPT_IDS if with_ids else None,
            prompt_text=None,
        )
        self.middle = [
            _chunk(choices=_choice({"content": word}, None, token_ids=ids(825 + n))) for n, word in enumerate(WORDS)
        ]
        last = _choice({"content": "."}, "stop", stop_reason=None, token_ids=ids(980))
        if with_usage:
            usage = _chunk(choices=[], usage=_USAGE, system_fingerprint=_FINGERPRINT)
            self.last = _chunk(choices=last) + usage + _DONE
        else:
            self.last = _chunk(choices=last, system_fingerprint=_FINGERPRINT) + _DONE

    def event(self, index: int, chunks: int) -> bytes:
        """What is written for the event at `index` of an answer of `chunks` events, the role's among them."""
        if index == 0:
            return self.first
        return self.last if index == chunks - 1 else self.middle[index % len(self.middle)]


def _json(status: bytes, value: object, kind: bytes = b"application/json") -> bytes:
    body = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    head = b"HTTP/1.1 %b\r\ndate: Mon, 02 Nov 2026 09:00:00 GMT\r\nserver: uvicorn\r\ncontent-length: %d\r\n"
    return head % (status, len(body)) + b"content-type: " + kind + b"\r\n\r\n" + body


def whole_text(tokens: int) -> str:
    """The text of an answer of that many tokens: what a client must have got in the end."""
    return "".join(WORDS[n % len(WORDS)] for n in range(1, tokens)) + "."


def _answer(with_ids: bool) -> bytes:
    """The JSON answer of 32 tokens."""
    message = {"role": "assistant", "content": whole_text(32), "refusal": None, "reasoning": None}
    ids = list(range(825, 857)) if with_ids else None
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop", "token_ids": ids}
    whole = {
        "id": _ID,
        "object": "chat.completion",
        "created": _CREATED,
        "model": MODEL,
        "choices": [choice],
        "system_fingerprint": _FINGERPRINT,
        "usage": _USAGE,
        "prompt_token_ids": _PROMPT_IDS if with_ids else None,
    }
    return _json(b"200 OK", whole)


class Engine:
    """One replica's prepared answers and its counts."""

    def __init__(self, shared: Shared, streams: dict[tuple[bool, bool], EngineScript]) -> None:
        self.shared = shared
        self.count = Replica()
        shared.replicas.append(self.count)
        self.streams = streams
        self.answers = {with_ids: _answer(with_ids) for with_ids in (False, True)}
        model = {"id": MODEL, "object": "model", "created": _CREATED, "owned_by": "vllm", "root": MODEL}
        models = {"object": "list", "data": [{**model, "parent": None, "max_model_len": 8192}]}
        self.fixed = {
            "/health": _json(b"200 OK", b""),
            "/v1/models": _json(b"200 OK", models),
            "/version": _json(b"200 OK", {"version": "0.32.0"}),
        }

    def metrics(self) -> bytes:
        """vLLM's names, and its labels."""
        count = self.count
        values = {
            "num_requests_running gauge": count.running,
            "num_requests_waiting gauge": 0,
            "kv_cache_usage_perc gauge": min(count.running / 2000, 1.0),
            "prompt_tokens_total counter": count.answers * len(_PROMPT_IDS),
            "generation_tokens_total counter": count.tokens,
        }
        lines = []
        for name, value in values.items():
            lines.append(f"# TYPE vllm:{name}")
            lines.append(f'vllm:{name.split()[0]}{{engine="0",model_name="{MODEL}"}} {float(value)}')
        return ("\n".join(lines) + "\n").encode()

    def tell(self, target: str) -> bytes:
        """The answer to a GET."""
        path, _, query = target.partition("?")
        if path in self.fixed:
            return self.fixed[path]
        if path == "/metrics":
            return _json(b"200 OK", self.metrics(), b"text/plain; version=0.0.4; charset=utf-8")
        if path == "/cpu":
            return _json(b"200 OK", time.process_time())
        if path == "/running":
            return _json(b"200 OK", sum(replica.running for replica in self.shared.replicas))
        if path == "/pace":
            values = {name: float(value) for name, value in parse_qsl(query)}
            self.shared.pace = Pace(int(values["chunks"]), 0.0, values["first_s"], values["gap_s"])
            return _json(b"200 OK", "set")
        return _json(b"404 Not Found", {"detail": "Not Found"})


class EngineConnection(Connection):
    """A connection to one replica."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine.shared.script, engine.shared.sightings)
        self._engine = engine
        self._events = engine.streams[False, False]

    def connection_lost(self, exc: Exception | None) -> None:
        if self._pace is not None:
            self._engine.count.running -= 1
        super().connection_lost(exc)

    def _tell(self, target: str) -> None:
        self._write(self._engine.tell(target))

    def _take(self, target: bytes, body: bytes) -> None:
        engine = self._engine
        if target == b"/v1/chat/completions/render":
            error = {"message": _SCALE_OUT_IS_OFF, "type": "PermissionDeniedError", "param": None, "code": 403}
            self._write(_json(b"403 Forbidden", {"error": error}))
            return
        if target != b"/v1/chat/completions":
            self._write(_json(b"404 Not Found", {"detail": "Not Found"}))
            return
        request = json.loads(body)
        engine.count.answers += 1
        with_ids = bool(request.get("return_token_ids"))
        if not request.get("stream"):
            engine.count.tokens += 32
            self._write(engine.answers[with_ids])
            return
        self._events = engine.streams[with_ids, bool((request.get("stream_options") or {}).get("include_usage"))]
        engine.count.running += 1
        # A probe that asks for one token gets it at once, whatever pace is set.
        self._answer(Pace(2) if request.get("max_tokens") == 1 else engine.shared.pace)

    def _due_s(self, pace: Pace, index: int) -> float:
        # The role's event and the first token's come together, as an engine sends them.
        return pace.first_s + max(index - 1, 0) * pace.gap_s

    def _event(self, index: int, chunks: int) -> bytes:
        count = self._engine.count
        count.tokens += index > 0
        count.running -= index == chunks - 1
        return self._events.event(index, chunks)


async def serve(ports: int) -> None:
    """Serve on free loopback ports, print them, and end when the standard input does: with whoever started this."""
    loop = asyncio.get_running_loop()
    shared = Shared()
    streams = {(ids, usage): EngineScript(ids, usage) for ids in (False, True) for usage in (False, True)}
    found = []
    for _ in range(ports):
        connect = partial(EngineConnection, Engine(shared, streams))
        server = await loop.create_server(connect, "127.0.0.1", 0, backlog=4096)
        found.append(server.sockets[0].getsockname()[1])
    print(json.dumps(found), flush=True)
    ended = asyncio.Event()
    loop.add_reader(sys.stdin, ended.set)
    await ended.wait()


def main() -> None:
    """Pin to one core and serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--core", type=int, required=True, help="run on this core alone")
    parser.add_argument("--ports", type=int, default=3)
    args = parser.parse_args()
    os.sched_setaffinity(0, {args.core})
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(args.ports))


if __name__ == "__main__":
    main()
