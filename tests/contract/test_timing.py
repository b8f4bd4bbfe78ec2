"""Tokens arrive as they are made. Speed is not judged here, order is: the client holds a token before the engine has
made the ones after it. The engine's own counter is the witness.
"""

import json
from collections.abc import Iterator

import httpx
import pytest

from shared.sse import DONE, Decoder
from tests.contract.engines import GENERATED, RUNNING
from tests.contract.targets import Feature

pytestmark = pytest.mark.needs(Feature.ENGINE_COUNTERS)

TOKENS = 400
# Whoever fills a TCP segment (1,460 bytes) before sending holds back the role and five tokens; other buffers, more.
# On a busy machine one look may come late, or the engine's own server be starved; not in every one of ATTEMPTS.
HELD_BACK = 3
ATTEMPTS = 20
LOOK_EVERY = 10


def contents(response: httpx.Response) -> Iterator[str]:
    """The text of each delta, as soon as its bytes are here."""
    decoder = Decoder()
    for piece in response.iter_raw():
        for event in decoder.feed(piece):
            if event.data and event.data != DONE:
                for choice in json.loads(event.data)["choices"]:
                    if choice["delta"].get("content"):
                        yield choice["delta"]["content"]


def test_the_first_token_arrives_before_the_following_ones_are_made(wire, engines):
    made_by_then = []
    for _ in range(ATTEMPTS):
        engines.wait_until_idle()
        before = engines.total(GENERATED)
        with wire.open(max_tokens=TOKENS, min_tokens=TOKENS) as response:
            arriving = contents(response)  # kept: dropping it would close the connection
            next(arriving)
            made_by_then.append(engines.total(GENERATED) - before)
            assert engines.total(RUNNING) >= 1, "the answer was already finished when its first token arrived"
        if made_by_then[-1] <= HELD_BACK:
            return
    pytest.fail(f"at the first token, so many had been made: {made_by_then}")


def test_tokens_keep_arriving_while_the_next_are_made(wire, engines):
    # From look to look the engine has gone on: the stream was neither held back nor delivered in a lump. Not every
    # token has a chunk of its own, since an engine whose client is slow puts several into one.
    looks = []
    for _ in range(ATTEMPTS):
        engines.wait_until_idle()
        before = engines.total(GENERATED)
        made = set()
        with wire.open(max_tokens=TOKENS, min_tokens=TOKENS) as response:
            for place, _ in enumerate(contents(response)):
                if place % LOOK_EVERY == 0:
                    made.add(engines.total(GENERATED) - before)
        looks.append(sorted(made))
        if len([count for count in made if count < TOKENS]) >= 4:
            return
    pytest.fail(f"tokens made at each look at the engine: {looks}")
