"""Three replicas in a process of their own, which go wrong at random: `python -m tests.soak.engines --seed N`.

Prints their URLs on one line and ends when its input does; then it prints what no engine should have been asked. A
share of the streams break in every way that the scripted chaos suite knows, now and then an answer never begins, and
one replica after the other dies for a moment. Never all of them at once: that is an event that the gateway rightly
warns of, and a soak wants a log without warnings.
"""

import argparse
import asyncio
import json
import random
import sys
from collections import deque
from collections.abc import Sequence
from zlib import crc32

from tests.chaos.scripted import engine
from tests.chaos.scripted.replica import (
    Fault,
    Replica,
    end_of_body,
    half_a_chunk,
    half_an_event,
    replicas,
    reset,
    says,
    sends,
    silence,
)
from tests.support.upstream import DONE, ROLE, Act, Exchange, chunk, hang, reset_at_once, status, stream

REPLICAS = 3
PACE_S = 0.01
"""Between two tokens: about the pace of a GPU."""

FAULTY = 0.06
"""Of the streams. With what else goes wrong that is about what the budget for retries carries."""

LONGEST = 24
"""A fault comes after so many events at most; where an answer is shorter it does not come."""

DIES_EVERY_S = 12.0
GONE_S = 1.5
MISHAP_EVERY_S = 1.0

ERROR = {"error": {"message": "scripted", "type": "InternalServerError", "param": None, "code": 500}}

WAYS: Sequence[Act] = (
    reset,
    half_an_event,
    half_a_chunk,
    end_of_body,
    silence,
    says(ERROR, DONE),
    says(chunk({}, "abort"), DONE),
    sends(b'data: {"choices": [\n\n'),
    sends(b"\xff\xfe\x00 no events at all\n\n"),
)
"""What a stream may do instead of going on."""

MISHAPS: Sequence[Act] = (
    status(503, "busy", {"retry-after": "1"}),
    status(503, "busy"),
    status(500, "scripted"),
    status(400, "the engine does not like it"),
    reset_at_once,
    hang,
)
"""What may become of a request before its answer begins."""


def tool_call(body: engine.Body) -> Act:
    """An answer that calls a tool, its arguments in pieces."""
    call = {"index": 0, "id": "call-1", "type": "function", "function": {"name": "find_car", "arguments": ""}}
    pieces = [{"index": 0, "function": {"arguments": part}} for part in ('{"make": ', '"Hon', 'da", "doors"', ": 4}")]
    deltas = [chunk({"tool_calls": [call]}), *(chunk({"tool_calls": [piece]}) for piece in pieces)]
    usage = {**ROLE, "choices": [], "usage": engine.usage(len(engine.prompt_of(body)), len(deltas))}
    return stream(ROLE, *deltas, chunk({}, "tool_calls"), usage, DONE)


def calls_tools(replica: Replica) -> None:
    """Has the replica answer half the streamed questions that offer the traffic's own tool with a call.

    Which half is the question's business, as it is a model's: a broken text must not go on elsewhere as a call.
    """
    serve = replica.upstream.otherwise

    async def act(exchange: Exchange) -> None:
        body = exchange.json
        offered = {tool["function"]["name"] for tool in body.get("tools") or ()}
        if "find_car" in offered and body.get("stream") and crc32(json.dumps(body["messages"]).encode()) % 2:
            await tool_call(body)(exchange)
        else:
            await serve(exchange)

    replica.upstream.otherwise = act


async def draw_faults(chance: random.Random, faults: deque[Fault | None]) -> None:
    """Keeps some in store for the streams to come."""
    while True:
        while len(faults) < 500:
            faulty = chance.random() < FAULTY
            faults.append(Fault(chance.randrange(LONGEST), chance.choice(WAYS)) if faulty else None)
        await asyncio.sleep(0.2)


async def cause_mishaps(chance: random.Random, found: Sequence[Replica]) -> None:
    """Now and then the next request of a replica goes wrong at once."""
    while True:
        await asyncio.sleep(chance.uniform(0, 2 * MISHAP_EVERY_S))
        chance.choice(found).upstream.script(chance.choice(MISHAPS))


async def die_in_turn(chance: random.Random, found: Sequence[Replica]) -> None:
    """One at a time, so that there is always somebody to go to."""
    while True:
        await asyncio.sleep(chance.uniform(0.5, 1.5) * DIES_EVERY_S)
        replica = chance.choice(found)
        await replica.die()
        await asyncio.sleep(GONE_S)
        await replica.come_back()


async def forget(found: Sequence[Replica]) -> None:
    """Throws away what the replicas keep for tests that look at it: a soak sends it a hundred thousand times."""
    while True:
        await asyncio.sleep(1)
        for replica in found:
            replica.bodies.clear()
            replica.upstream.exchanges.clear()


async def serve(seed: int) -> None:
    """Until the input ends."""
    chance, faults = random.Random(seed), deque[Fault | None]()
    async with replicas(REPLICAS, faults) as found, asyncio.TaskGroup() as group:
        for replica in found:
            replica.pace_s = PACE_S
            calls_tools(replica)
        troubles = (
            draw_faults(chance, faults),
            cause_mishaps(chance, found),
            die_in_turn(chance, found),
            forget(found),
        )
        tasks = [group.create_task(trouble) for trouble in troubles]
        print(",".join(replica.upstream.url for replica in found), flush=True)
        await asyncio.to_thread(sys.stdin.read)
        for task in tasks:
            task.cancel()
        # Their readers must notice that the connections are torn, or the end of the loop cancels them, loudly.
        for replica in found:
            await replica.die()
        await asyncio.sleep(0.1)
        print(json.dumps([wrong for replica in found for wrong in replica.wrong]), flush=True)


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    asyncio.run(serve(parser.parse_args().seed))


if __name__ == "__main__":
    main()
