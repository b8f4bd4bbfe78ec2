"""The promise to the client: when nobody is left to answer you are told so, soon, and in words your library knows.

Streams wait for a replica to come back before they end with an error; new requests wait no longer than a connection
may take. And when the replicas are back, so is everything else, without anybody's doing.
"""

import pytest

from tests.chaos.conftest import Say, TwinsOf
from tests.chaos.front import Front
from tests.chaos.load import Burst, ask
from tests.chaos.stack import Stack
from tests.chaos.tally import Tally

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]

PATIENCE_S = 4.0
"""Of a client that asks when nobody is left: what a connection may take (`connect_timeout_s`), and a second."""

IN_BAND = {"upstream_lost"}
AT_ONCE = {"upstream_unavailable"}


async def test_death_of_all_is_told_and_recovered_from(
    front: Front, stack: Stack, twins_of: TwinsOf, tally: Tally, say: Say
) -> None:
    twins = await twins_of(front, 8, 0)
    asked = twins.questions
    streams, newcomers, later = Tally(), Tally(), Tally()
    async with Burst(front.client, asked) as burst:
        await burst.until(twins.size // 4)
        for replica in range(len(stack.replica_urls)):
            stack.kill_server(replica)
        for replica in range(len(stack.replica_urls)):
            await front.until_failed(replica)
        front.client.timeout = PATIENCE_S
        for question, twin in zip(asked, twins.texts, strict=True):
            newcomers.judge(await ask(front.client, question), twin)
        front.client.timeout = 120
    burst.judge(streams, twins.texts)
    await front.until_ready(1)
    async with Burst(front.client, asked) as again:
        pass
    again.judge(later, twins.texts)
    say(f"streaming when all died: {streams}; new ones meanwhile: {newcomers}; when some were back: {later}")
    for part in (streams, newcomers, later):
        tally.add(part)
    assert tally.lost == []
    assert set(streams.typed) <= IN_BAND
    assert newcomers.typed.keys() == AT_ONCE
    assert later.whole == len(asked)
