"""A replica whose engine can be broken on command: at which event of which request, and how.

Faults are taken by requests in the order in which they come, whichever replica they come to; a request that finds none
is served whole. A replica counts what it has at once, keeps the bodies it was sent, and notes what no engine should be
asked.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.chaos.scripted import engine
from tests.support.upstream import Act, Exchange, ScriptedUpstream, chunk, event, scripted_upstream


@dataclass(frozen=True, slots=True)
class Fault:
    """After so many events of an answer (0: its headers, 1: the role, 2: the first token) this is done instead."""

    after: int
    act: Act


class Replica:
    """`running` are requests under way, `most` the most there were; `bodies` what came, canaries left out.

    While `go` is not set answers stop after `hold_after` events, and `held` of them do. A request that has `poison` in
    it kills the replica before its first token, with all that runs there.
    """

    def __init__(self, upstream: ScriptedUpstream, faults: deque[Fault | None]) -> None:
        self.upstream = upstream
        self._faults = faults
        self.bodies: list[dict[str, Any]] = []
        self.running = self.most = self.held = self.cut_off = 0
        self.pace_s = 0.0
        self.hold_after = 0
        self.go = asyncio.Event()
        self.go.set()
        self.poison = ""
        self.wrong: list[str] = []
        self._port = int(upstream.url.rsplit(":", 1)[1])
        upstream.otherwise = self._serve

    def hold(self, after: int) -> None:
        """From now on answers stop after so many events, until `go` is set."""
        self.hold_after = after
        self.go.clear()

    async def die(self) -> None:
        """As kill -9 does: all connections are torn, and there is nobody to connect to."""
        await self.upstream.stop()

    async def come_back(self) -> None:
        """At the same address, with nothing of what it had."""
        await self.upstream.start(self._port)

    async def _serve(self, exchange: Exchange) -> None:
        body = exchange.json
        self.bodies.append(body)
        self._look_at(body)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if self.poison and self.poison in str(body["messages"]):
                await self.die()
            elif body.get("stream"):
                await self._stream(exchange, body)
            else:
                await exchange.answer(200, engine.whole(body, f"chatcmpl-{len(self.bodies)}"))
        except ConnectionError:
            self.cut_off += 1
            raise
        finally:
            self.running -= 1

    async def _stream(self, exchange: Exchange, body: dict[str, Any]) -> None:
        fault = self._faults.popleft() if self._faults else None
        await exchange.start_stream()
        name = f"chatcmpl-{self._port}-{len(self.bodies)}"
        for count, data in enumerate(engine.events(body, name)):
            if fault is not None and count == fault.after:
                await asyncio.sleep(0.01)  # lets the events out of the socket: a reset drops what is still buffered
                await fault.act(exchange)
                return
            if count == self.hold_after and not self.go.is_set():
                await self._stand_still(exchange)
            if self.pace_s:
                await asyncio.sleep(self.pace_s)
            await exchange.send_chunk(data)
        await exchange.end_body()

    async def _stand_still(self, exchange: Exchange) -> None:
        self.held += 1
        loop = asyncio.get_running_loop()
        waits = [loop.create_task(self.go.wait()), loop.create_task(exchange.client_left.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.held -= 1
            for wait in waits:
                wait.cancel()

    def _look_at(self, body: dict[str, Any]) -> None:
        if engine.limit_of(body) < 1:
            self.wrong.append(f"asked for {engine.limit_of(body)} tokens")
        if engine.prompt_of(body)[-1] == engine.HALF:
            self.wrong.append("the prompt ends inside a character")
        if engine.prompt_of(body)[-1] == engine.END:
            self.wrong.append("asked to go on after the end")


@asynccontextmanager
async def replicas(count: int, faults: deque[Fault | None]) -> AsyncIterator[list[Replica]]:
    """So many of them, on ports of their own."""
    async with AsyncExitStack() as stack:
        yield [Replica(await stack.enter_async_context(scripted_upstream()), faults) for _ in range(count)]


# ---- what a fault may do


async def reset(exchange: Exchange) -> None:
    """Tears the connection."""
    exchange.reset()


async def half_an_event(exchange: Exchange) -> None:
    """Breaks off inside an event."""
    await exchange.send_chunk(event(chunk({"content": "never to be seen"}))[:60])
    await asyncio.sleep(0.01)
    exchange.reset()


async def half_a_chunk(exchange: Exchange) -> None:
    """Breaks off inside a chunk of HTTP, whose event is whole."""
    data = event(chunk({"content": "x"}))
    await exchange.send(f"{len(data) + 9:x}\r\n".encode() + data[:20])
    await asyncio.sleep(0.01)
    exchange.reset()


async def end_of_body(exchange: Exchange) -> None:
    """Ends the body as if all had been said."""
    await exchange.end_body()


async def silence(exchange: Exchange) -> None:
    """Says nothing more."""
    await exchange.client_left.wait()


def says(*bodies: dict[str, Any] | str) -> Act:
    """Sends these events instead of the rest, and ends the body."""

    async def act(exchange: Exchange) -> None:
        for body in bodies:
            await exchange.send_chunk(event(body))
        await exchange.end_body()

    return act


def sends(data: bytes) -> Act:
    """Sends these bytes instead of the rest, and ends the body."""

    async def act(exchange: Exchange) -> None:
        await exchange.send_chunk(data)
        await exchange.end_body()

    return act
