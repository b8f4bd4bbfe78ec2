"""The life of one request, in order, and that whatever it took is given back however it ends."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from gateway.attempts import Attempts
from gateway.auth import Keyring
from gateway.chat import Call, Gateway, Question, Streamed, Whole, complete
from gateway.errors import GatewayError, InvalidJson, ModelNotFound, Overloaded, Unauthenticated
from gateway.ports import Answer, Fault
from gateway.routing import Pool
from gateway.settings import Health, OnPrem
from tests.unit.gateway.accounts import Accounts
from tests.unit.gateway.manual_clock import ManualClock
from tests.unit.gateway.upstream_double import (
    STALL,
    ScriptedStream,
    ScriptedUpstream,
    Step,
    failed,
    finish,
    role,
    text,
    usage,
)

pytestmark = pytest.mark.anyio

URL = "http://site:8081"
KEY = "a-key-of-a-client-1"
MODEL = OnPrem().model
BODY = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]}
BUSY = failed(Overloaded("Busy."), Fault.NONE)


def answer(**usage: int) -> Answer:
    return Answer(b'{"as": "it came"}', {"choices": [{"index": 0, "finish_reason": "length"}]}, usage)


@dataclass
class Bench:
    """A gateway with one replica, and a client that asks it."""

    gateway: Gateway
    upstream: ScriptedUpstream
    accounts: Accounts

    async def ask(
        self, *, stream: bool = False, model: str = MODEL, key: str = KEY, read: Callable[[], None] = lambda: None
    ) -> Whole | Streamed:
        async def question() -> Question:
            read()
            return Question(BODY, model, stream)

        return await complete(self.gateway, Call("chat", "req_1", f"Bearer {key}", question))

    @property
    def held(self) -> float:
        """Requests that are still open, in the pool as in the metrics."""
        replica, opened = self.gateway.attempts.pool.replicas[0], self.accounts.count("scout_open_requests")
        assert replica.in_flight == opened
        return opened

    async def fails(self, kind: type[GatewayError], **how: object) -> GatewayError:
        with pytest.raises(kind) as raised:
            await self.ask(**how)  # type: ignore[arg-type]
        assert self.held == 0
        assert self.accounts.line["outcome"] == kind.code
        return raised.value


@pytest.fixture
def bench(accounts: Accounts, clock: ManualClock):
    def make(*steps: Step) -> Bench:
        pool = Pool([URL], Health(), clock)
        pool.report_probe(pool.replicas[0], Fault.NONE, "")
        script: dict[str, Sequence[Step]] = {URL: steps}
        upstream = ScriptedUpstream(script)
        attempts = Attempts(pool, upstream, OnPrem())
        return Bench(Gateway(Keyring([KEY]), accounts.ledger, attempts, OnPrem(), clock), upstream, accounts)

    return make


async def test_a_whole_answer_comes_as_the_bytes_of_the_replica(bench) -> None:
    gateway = bench(answer())
    whole = await gateway.ask()
    assert whole == Whole(b'{"as": "it came"}', replica="replica-0", served_by="on-prem")
    assert gateway.upstream.calls == [("ask", URL, BODY, "req_1")]
    assert gateway.held == 0


async def test_a_whole_answer_is_booked_with_its_usage(bench) -> None:
    gateway = bench(answer(prompt_tokens=3, completion_tokens=2, total_tokens=5))
    await gateway.ask()
    line = gateway.accounts.line
    assert (line["outcome"], line["stream"], line["replica"]) == ("ok", False, "replica-0")
    assert (line["finish_reason"], line["prompt_tokens"], line["completion_tokens"]) == ("length", 3, 2)
    assert line["key_id"] == Keyring([KEY]).authenticate(f"Bearer {KEY}").key_id


async def test_an_answer_without_usage_is_an_answer(bench) -> None:
    gateway = bench(answer())
    await gateway.ask()
    assert (gateway.accounts.line["outcome"], gateway.accounts.line["prompt_tokens"]) == ("ok", None)


async def test_a_streamed_answer_takes_over_all_that_the_request_holds(bench) -> None:
    stream = ScriptedStream([role(), text("Hi")], [finish()], [usage(3, 1)], None)
    gateway = bench(stream)
    streamed = await gateway.ask(stream=True)
    assert isinstance(streamed, Streamed)
    assert (streamed.replica, streamed.served_by) == ("replica-0", "on-prem")
    assert (gateway.held, stream.closed, gateway.accounts.lines) == (1, False, [])
    assert [chunk async for chunks in streamed.relay for chunk in chunks] == [
        role(),
        text("Hi"),
        finish(),
        usage(3, 1),
    ]
    assert (gateway.held, stream.closed) == (0, True)
    assert (gateway.accounts.line["outcome"], gateway.accounts.line["stream"]) == ("ok", True)


async def test_a_streamed_answer_that_is_not_wanted_any_more_is_given_back_by_closing_it(bench) -> None:
    gateway = bench(ScriptedStream([text("Hi")], STALL))
    streamed = await gateway.ask(stream=True)
    assert isinstance(streamed, Streamed)
    streamed.relay.close()
    assert gateway.held == 0
    assert gateway.accounts.line["outcome"] == "client_gone"


async def test_nothing_is_read_from_a_caller_who_is_not_known(bench) -> None:
    def must_not_be_read() -> None:
        pytest.fail("the body was read")

    gateway = bench()
    await gateway.fails(Unauthenticated, key="not-a-key-of-ours-1", read=must_not_be_read)
    assert gateway.accounts.line["key_id"] is None


async def test_a_body_that_cannot_be_read_asks_nobody_and_is_booked_to_its_caller(bench) -> None:
    def bad() -> None:
        raise InvalidJson("Not JSON.")

    gateway = bench()
    await gateway.fails(InvalidJson, read=bad)
    assert gateway.accounts.line["key_id"] is not None


async def test_another_model_is_not_served_and_the_answer_names_ours(bench) -> None:
    gateway = bench()
    error = await gateway.fails(ModelNotFound, model="gpt-4o")
    assert error.param == "model"
    assert MODEL in error.message
    assert gateway.upstream.calls == []


@pytest.mark.parametrize("stream", [False, True])
async def test_a_failure_of_every_try_gives_everything_back(bench, stream: bool) -> None:
    gateway = bench(BUSY)
    assert await gateway.fails(Overloaded, stream=stream) is BUSY.error


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_before_the_answer_gives_everything_back(bench, stream: bool) -> None:
    gateway = bench(STALL)
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(gateway.ask(stream=stream))
        await gateway.upstream.stalled.wait()
        assert gateway.held == 1
        asking.cancel()
    assert asking.cancelled()
    assert gateway.held == 0
    assert gateway.accounts.line["outcome"] == "client_gone"
