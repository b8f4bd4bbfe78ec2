"""How an answer leaves: which writes it takes, and that its relay is closed however the sending ends."""

from collections.abc import AsyncIterator

import pytest
from starlette.types import Message

from gateway.api.responses import send_stream
from gateway.chat import Streamed
from gateway.wire.openai import OpenAiEncoder
from tests.unit.gateway.accounts import Accounts
from tests.unit.gateway.chunks import finish, text, usage
from tests.unit.gateway.relay_bench import FIRST, Bench, SeenClock, Start, benches
from tests.unit.gateway.upstream_double import ScriptedStream

pytestmark = pytest.mark.anyio

DONE = b"data: [DONE]\n\n"


class KnownEnd(ScriptedStream):
    """A stream whose [DONE] and end of body have come along with its last chunks."""

    @property
    def over(self) -> bool:
        return self.left <= 1


@pytest.fixture
async def start(accounts: Accounts) -> AsyncIterator[Start]:
    async with benches(accounts, SeenClock()) as start:
        yield start


async def sent(bench: Bench) -> list[Message]:
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    encoder = OpenAiEncoder("req_1", wants_usage=True)
    await send_stream(send, Streamed(bench.relay, bench.relay.replica), encoder, "req_1")
    return messages


def bodies(messages: list[Message]) -> list[tuple[bytes, bool]]:
    return [(message["body"], message.get("more_body", False)) for message in messages[1:]]


async def test_an_end_that_comes_by_itself_is_sent_by_itself(start: Start) -> None:
    bench = await start([[text("lo", 11)], [finish(), usage(3, 2)], None])
    messages = bodies(await sent(bench))
    assert [more for _, more in messages] == [True, True, True, False]
    assert messages[-1][0] == DONE
    assert bench.accounts.line["outcome"] == "ok"


async def test_an_end_that_is_known_goes_out_with_the_last_chunks(start: Start) -> None:
    bench = await start(KnownEnd(list(FIRST), [text("lo", 11)], [finish(), usage(3, 2)], None))
    messages = bodies(await sent(bench))
    assert [more for _, more in messages] == [True, True, False]
    assert messages[-1][0].endswith(DONE)
    assert b'"finish_reason":"stop"' in messages[-1][0]
    assert not bench.holds
    assert [bench.accounts.line[name] for name in ("outcome", "completion_tokens")] == ["ok", 2]


async def test_a_usage_that_has_not_come_by_the_known_end_is_counted_here(start: Start) -> None:
    bench = await start(KnownEnd(list(FIRST), [text("lo", 11), finish()], None))
    last, more = bodies(await sent(bench))[-1]
    assert not more
    assert b'"usage":{"prompt_tokens":' in last


async def test_a_client_that_cannot_be_sent_to_leaves_nothing_open(start: Start) -> None:
    bench = await start([[text("lo", 11)], [finish()], None])

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            raise OSError

    with pytest.raises(OSError):
        await send_stream(send, Streamed(bench.relay, "replica-0"), OpenAiEncoder("r", wants_usage=False), "r")
    assert not bench.holds
