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

from tests.bench.engine_script import (
    CREATED,
    MODEL,
    NOT_FOUND,
    PROMPT_IDS,
    RENDER_IS_OFF,
    EngineScript,
    json_answer,
    whole_response,
)
from tests.bench.sse_source import Connection, Pace, Script, Sightings


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


class Engine:
    """One replica's prepared answers and its counts."""

    def __init__(self, shared: Shared, streams: dict[tuple[bool, bool], EngineScript]) -> None:
        self.shared = shared
        self.count = Replica()
        shared.replicas.append(self.count)
        self.streams = streams
        self.answers = {with_ids: json_answer(with_ids) for with_ids in (False, True)}
        model = {"id": MODEL, "object": "model", "created": CREATED, "owned_by": "vllm", "root": MODEL}
        models = {"object": "list", "data": [{**model, "parent": None, "max_model_len": 8192}]}
        self.fixed = {
            "/health": whole_response(b"200 OK", b""),
            "/v1/models": whole_response(b"200 OK", models),
            "/version": whole_response(b"200 OK", {"version": "0.32.0"}),
        }

    def metrics(self) -> bytes:
        """vLLM's names, and its labels."""
        count = self.count
        values = {
            "num_requests_running gauge": count.running,
            "num_requests_waiting gauge": 0,
            "kv_cache_usage_perc gauge": min(count.running / 2000, 1.0),
            "prompt_tokens_total counter": count.answers * len(PROMPT_IDS),
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
            return whole_response(b"200 OK", self.metrics(), b"text/plain; version=0.0.4; charset=utf-8")
        if path == "/cpu":
            return whole_response(b"200 OK", time.process_time())
        if path == "/running":
            return whole_response(b"200 OK", sum(replica.running for replica in self.shared.replicas))
        if path == "/pace":
            values = {name: float(value) for name, value in parse_qsl(query)}
            self.shared.pace = Pace(int(values["chunks"]), 0.0, values["first_s"], values["gap_s"])
            return whole_response(b"200 OK", "set")
        return NOT_FOUND


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
        if target != b"/v1/chat/completions":
            self._write(RENDER_IS_OFF if target == b"/v1/chat/completions/render" else NOT_FOUND)
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
