"""How an answer leaves: which writes it takes, and that its relay is closed however the sending ends."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.types import Message

from gateway.api.client_end import ClientEnd
from gateway.api.responses import send_stream
from gateway.wire.openai import OpenAiEncoder
from tests.unit.gateway.accounts import Accounts
from tests.unit.gateway.chunks import finish, text, usage
from tests.unit.gateway.relay_bench import FIRST, Bench, SeenClock, Start, benches
from tests.unit.gateway.upstream_double import FlowingStream, ScriptedStream

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


class Flow:
    """uvicorn's, as far as it is looked at."""

    write_paused = True


class Wire(asyncio.Transport):
    """What was written past the server's own `send`, among the messages that went through it."""

    def __init__(self, messages: list[Message]) -> None:
        super().__init__()
        self._messages = messages

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._messages.append({"type": "written", "body": bytes(data), "more_body": True})


async def sent(bench: Bench, flow: Flow | None = None) -> list[Message]:
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    encoder = OpenAiEncoder("req_1", wants_usage=True)
    end = ClientEnd(Wire(messages), flow or Flow())
    await send_stream(send, end, bench.relay, encoder, "req_1")
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
        await send_stream(send, ClientEnd(Wire([]), Flow()), bench.relay, OpenAiEncoder("r", wants_usage=False), "r")
    assert not bench.holds


async def test_what_comes_while_the_client_keeps_up_is_written_at_once(start: Start) -> None:
    flow = Flow()
    flow.write_paused = False
    bench = await start(FlowingStream(list(FIRST), [text("lo", 11)], [text("!", 12)], [finish(), usage(3, 3)], None))
    messages = (await sent(bench, flow))[1:]
    assert [message["type"] for message in messages] == [
        "http.response.body",
        "written",
        "written",
        "written",
        "http.response.body",
    ]
    for message in messages[1:4]:
        length, _, data = message["body"].partition(b"\r\n")
        assert data.endswith(b"\r\n") and int(length, 16) == len(data) - 2
    assert b'"content":"lo"' in messages[1]["body"]
    assert messages[-1]["body"] == DONE
    assert [bench.accounts.line[name] for name in ("outcome", "completion_tokens")] == ["ok", 3]


async def test_what_comes_while_the_client_is_behind_is_sent_and_waited_for(start: Start) -> None:
    bench = await start(FlowingStream(list(FIRST), [text("lo", 11)], [text("!", 12)], [finish(), usage(3, 3)], None))
    assert {message["type"] for message in (await sent(bench, Flow()))[1:]} == {"http.response.body"}
