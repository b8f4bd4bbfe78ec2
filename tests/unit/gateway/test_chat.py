"""The life of one request, in order, and that whatever it took is given back however it ends."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.auth import Keyring
from gateway.chat import Call, Gateway, Question, Streamed, Whole, complete
from gateway.ending import Ending
from gateway.errors import (
    DeadlineExceeded,
    Draining,
    GatewayError,
    InvalidField,
    InvalidJson,
    ModelNotFound,
    Overloaded,
    Unauthenticated,
)
from gateway.ports import Answer, Fault
from gateway.settings import Chat
from gateway.tiers.on_prem import EXPECTED_ANSWER_TOKENS, OnPrem
from tests.unit.gateway.accounts import Accounts
from tests.unit.gateway.attempts_bench import Bench, attempts_bench
from tests.unit.gateway.manual_clock import ManualClock
from tests.unit.gateway.pool_bench import BODY, URLS
from tests.unit.gateway.upstream_double import (
    STALL,
    ScriptedStream,
    Step,
    failed,
    finish,
    role,
    streaming,
    text,
    usage,
)

pytestmark = pytest.mark.anyio

URL = URLS[0]
KEY = "a-key-of-a-client-1"
MODEL = BODY["model"]
TENANT = Keyring([KEY]).authenticate(f"Bearer {KEY}").key_id
BUSY = failed(Overloaded("Busy."), Fault.BUSY)


def answer(**usage: int) -> Answer:
    return Answer(b'{"as": "it came"}', "length", usage)


@dataclass
class Client:
    """A gateway with one replica, and a client that asks it."""

    gateway: Gateway
    bench: Bench

    async def ask(
        self,
        *,
        stream: bool = False,
        model: str = MODEL,
        key: str = KEY,
        read: Callable[[], object] = lambda: None,
        deadline_ms: str | None = None,
        priority: str | None = None,
        route: Chat = Chat(),  # noqa: B008  # frozen
        **fields: Any,
    ) -> Whole | Streamed:
        async def question() -> Question:
            read()
            return Question({**BODY, **fields}, model, stream)

        return await complete(
            self.gateway, Call("chat", route, "req_1", f"Bearer {key}", deadline_ms, priority, question)
        )

    @property
    def sent(self) -> list[dict[str, Any]]:
        """The bodies that the replica was asked with."""
        return [dict(body) for _, _, body, _ in self.bench.upstream.calls]

    @property
    def line(self) -> dict[str, Any]:
        return self.bench.accounts.line

    @property
    def held(self) -> float:
        """Requests that are still open, in the pool as in the metrics."""
        opened = self.bench.accounts.count("scout_open_requests")
        assert self.bench.in_flight == [opened]
        return opened

    async def fails(self, kind: type[GatewayError], **how: Any) -> GatewayError:
        with pytest.raises(kind) as raised:
            await self.ask(**how)
        assert self.held == 0
        assert self.line["outcome"] == kind.code
        return raised.value


@pytest.fixture
def client(accounts: Accounts, clock: ManualClock) -> Callable[..., Client]:
    def make(*steps: Step, **slices: Any) -> Client:
        bench = attempts_bench(accounts, clock, steps, **slices)
        bench.work.entry.__exit__(None, None, None)
        accounts.forget()
        gateway = Gateway(
            settings=bench.settings,
            keys=Keyring([KEY]),
            admins=Keyring([]),
            ledger=accounts.ledger,
            pool=bench.pool,
            attempts=bench.attempts,
            retries=bench.retries,
            ending=Ending(),
            on_prem=OnPrem(bench.pool, bench.attempts, bench.settings.attempts, clock),
            paths=dict,
            clock=clock,
        )
        return Client(gateway, bench)

    return make


# ---- answers


async def test_a_whole_answer_comes_as_the_bytes_of_the_replica(client) -> None:
    asking = client(answer())
    whole = await asking.ask(temperature=0.5)
    assert whole == Whole(b'{"as": "it came"}', replica="replica-0", served_by="on-prem")
    assert [(how, url, request_id) for how, url, _, request_id in asking.bench.upstream.calls] == [
        ("ask", URL, "req_1")
    ]
    assert {**BODY, "temperature": 0.5}.items() <= asking.sent[0].items()
    assert asking.held == 0


async def test_a_whole_answer_is_booked_with_its_usage(client) -> None:
    asking = client(answer(prompt_tokens=3, completion_tokens=2, total_tokens=5))
    await asking.ask()
    line = asking.line
    assert (line["outcome"], line["stream"], line["replica"]) == ("ok", False, "replica-0")
    assert (line["finish_reason"], line["prompt_tokens"], line["completion_tokens"]) == ("length", 3, 2)
    assert line["key_id"] == TENANT


async def test_an_answer_without_usage_is_an_answer(client) -> None:
    asking = client(answer())
    await asking.ask()
    assert (asking.line["outcome"], asking.line["prompt_tokens"]) == ("ok", None)


async def test_a_streamed_answer_takes_over_all_that_the_request_holds(client) -> None:
    stream = ScriptedStream([role(), text("Hi")], [finish()], [usage(3, 1)], None)
    asking = client(stream)
    streamed = await asking.ask(stream=True)
    assert isinstance(streamed, Streamed)
    assert (streamed.replica, streamed.served_by) == ("replica-0", "on-prem")
    assert (asking.held, stream.closed, asking.bench.accounts.lines) == (1, False, [])
    assert asking.gateway.ending.streams == 1
    assert [chunk async for chunks in streamed.relay for chunk in chunks] == [
        role(),
        text("Hi"),
        finish(),
        usage(3, 1),
    ]
    assert (asking.held, stream.closed, asking.gateway.ending.streams) == (0, True, 0)
    assert (asking.line["outcome"], asking.line["stream"]) == ("ok", True)


async def test_a_streamed_answer_that_is_not_wanted_any_more_is_given_back_by_closing_it(client) -> None:
    asking = client(ScriptedStream([text("Hi")], STALL))
    streamed = await asking.ask(stream=True)
    assert isinstance(streamed, Streamed)
    streamed.relay.close()
    assert (asking.held, asking.gateway.ending.streams) == (0, 0)
    assert asking.line["outcome"] == "client_gone"


async def test_a_streamed_answer_ends_with_an_error_when_the_gateway_stops(client) -> None:
    asking = client(ScriptedStream([text("Hi")], STALL))
    streamed = await asking.ask(stream=True)
    assert isinstance(streamed, Streamed)
    await anext(streamed.relay)
    asking.gateway.ending.stop_streams()
    with pytest.raises(Draining):
        await anext(streamed.relay)
    streamed.relay.close()
    assert asking.held == 0


# ---- what is sent


async def test_a_stream_is_asked_for_with_what_a_resume_needs_and_a_whole_answer_is_not(client) -> None:
    asking = client(streaming(), answer())
    streamed = await asking.ask(stream=True)
    streamed.relay.close()
    await asking.ask()
    first, second = asking.sent
    assert first["stream"] is True
    assert first["stream_options"] == {"include_usage": True}
    assert first["return_token_ids"] is True
    assert not {"stream", "stream_options", "return_token_ids"} & set(second)


async def test_each_client_s_prompts_are_cached_apart_and_its_priority_goes_along(client) -> None:
    asking = client(answer(), answer(), answer())
    await asking.ask()
    await asking.ask(priority="batch")
    await asking.ask(route=Chat(priority="batch"), priority="interactive")
    assert [body["priority"] for body in asking.sent] == [0, 1, 1], "a client may yield, not push"
    assert {body["cache_salt"] for body in asking.sent} == {f"scout-{TENANT}"}


@pytest.mark.parametrize(
    ("fields", "tokens"),
    [
        pytest.param({}, EXPECTED_ANSWER_TOKENS, id="not said"),
        pytest.param({"max_tokens": 10}, 10, id="little"),
        pytest.param({"max_tokens": 5000}, EXPECTED_ANSWER_TOKENS, id="much"),
        pytest.param({"max_tokens": 5, "max_completion_tokens": 20}, 20, id="as the engine reads both"),
    ],
)
async def test_a_place_is_taken_for_the_prompt_and_the_answer_that_is_expected(
    client, fields: dict[str, int], tokens: int
) -> None:
    asking = client(streaming())
    streamed = await asking.ask(stream=True, **fields)
    (lease,) = asking.bench.pool.replicas[0].leases
    prompt = lease.tokens - tokens
    assert 0 < prompt < 20
    streamed.relay.close()


async def test_each_request_saves_up_for_the_extra_attempts_of_all(client) -> None:
    asking = client(answer())
    assert asking.gateway.retries.take(asking.gateway.clock())
    before = asking.gateway.retries.left
    await asking.ask()
    assert asking.gateway.retries.left == pytest.approx(before + 0.1)


# ---- what is refused


async def test_nothing_is_read_from_a_caller_who_is_not_known(client) -> None:
    asking = client()
    await asking.fails(Unauthenticated, key="not-a-key-of-ours-1", read=lambda: pytest.fail("the body was read"))
    assert asking.line["key_id"] is None


@pytest.mark.parametrize("header", [{"deadline_ms": "soon"}, {"priority": "urgent"}], ids=["deadline", "priority"])
async def test_a_header_that_makes_no_sense_is_refused_before_the_body_is_read(client, header: dict[str, str]) -> None:
    error = await client().fails(InvalidField, read=lambda: pytest.fail("the body was read"), **header)
    assert error.param is not None
    assert error.param.startswith("x-scout-")


async def test_a_body_that_cannot_be_read_asks_nobody_and_is_booked_to_its_caller(client) -> None:
    def bad() -> None:
        raise InvalidJson("Not JSON.")

    asking = client()
    await asking.fails(InvalidJson, read=bad)
    assert asking.line["key_id"] == TENANT


async def test_another_model_is_not_served_and_the_answer_names_ours(client) -> None:
    asking = client()
    error = await asking.fails(ModelNotFound, model="gpt-4o")
    assert error.param == "model"
    assert MODEL in error.message
    assert asking.sent == []


async def test_a_field_that_is_not_the_client_s_is_refused(client) -> None:
    asking = client()
    assert (await asking.fails(InvalidField, cache_salt="mine")).param == "cache_salt"
    assert asking.sent == []


@pytest.mark.parametrize("stream", [False, True])
async def test_a_failure_of_every_try_gives_everything_back(client, stream: bool) -> None:
    assert await client(BUSY).fails(Overloaded, stream=stream) is BUSY.error


async def test_a_deadline_that_passes_while_the_body_comes_asks_nobody(client, clock: ManualClock) -> None:
    asking = client()
    await asking.fails(DeadlineExceeded, deadline_ms="500", read=lambda: clock.advance(0.5))
    assert asking.sent == []


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_before_the_answer_gives_everything_back(client, stream: bool) -> None:
    asking = client(STALL)
    task = asyncio.create_task(asking.ask(stream=stream))
    await asking.bench.upstream.stalled.wait()
    assert asking.held == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asking.held == 0
    assert asking.line["outcome"] == "client_gone"
