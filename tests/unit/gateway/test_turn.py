"""A turn: what its client gets, and that what was said is written down exactly once, however it ends."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.errors import Draining, GatewayError, UpstreamLost, UpstreamUnavailable
from gateway.events import Event, Finished, Seam, Served, Text
from gateway.turn import Turn
from shared import headers
from tests.unit.gateway.accounts import Accounts
from tests.unit.gateway.manual_clock import ManualClock

pytestmark = pytest.mark.anyio

SERVED = Served("on-prem", "llama", "replica-1")
WHOLE: list[list[Event]] = [[SERVED], [Text("Hel")], [Text("lo")], [Finished("stop", {"total_tokens": 5}, 1)]]


class Script:
    """Where the events come from. After its batches it waits, until it is stopped."""

    def __init__(self, *batches: list[Event] | GatewayError) -> None:
        self._batches = deque(batches)
        self._stopped: GatewayError | None = None
        self._woken = asyncio.Event()
        self.closed = 0

    async def __anext__(self) -> list[Event]:
        if not self._batches:
            await self._woken.wait()
            assert self._stopped is not None
            raise self._stopped
        batch = self._batches.popleft()
        if isinstance(batch, GatewayError):
            raise batch
        return batch

    def messages(self, text: str) -> list[dict[str, Any]]:
        return [{"role": "assistant", "content": text}]

    def stop(self, error: GatewayError) -> None:
        self._stopped = error
        self._woken.set()

    def close(self) -> None:
        self.closed += 1


@dataclass
class Written:
    """What was written down, and when."""

    now_: list[str] = field(default_factory=list)
    later_: list[str] = field(default_factory=list)
    on_now: Callable[[], None] = lambda: None

    async def now(self, turn: Turn) -> None:
        self.on_now()
        self.now_.append(turn.text)

    def later(self, turn: Turn) -> None:
        if not self.now_:
            self.later_.append(turn.text)


@dataclass
class Bench:
    turn: Turn
    script: Script
    written: Written
    accounts: Accounts
    given_back: list[str]

    @property
    def line(self) -> dict[str, Any]:
        return self.accounts.line


@pytest.fixture
def start(accounts: Accounts, clock: ManualClock) -> Callable[..., Bench]:
    def make(*batches: list[Event] | GatewayError, lasts_s: float = 60.0) -> Bench:
        script, written, given_back, held = Script(*batches), Written(), [], ExitStack()
        entry = held.enter_context(accounts.ledger.open("chat", "req_1"))
        held.callback(lambda: given_back.append("held"))
        turn = Turn(script, entry, held, session_id="s_1", route="inventory.search", remember=written, lasts_s=lasts_s)
        return Bench(turn, script, written, accounts, given_back)

    return make


async def read(turn: Turn) -> list[Event]:
    """To its end, as a sender does."""
    seen: list[Event] = []
    async for events in turn:
        seen += events
        if turn.finished():
            break
    return seen


async def test_all_events_reach_the_client_and_then_everything_is_given_back(start) -> None:
    bench = start(*WHOLE)
    await bench.turn.begin()
    assert await read(bench.turn) == [event for batch in WHOLE for event in batch]
    assert (bench.script.closed, bench.given_back) == (1, ["held"])
    assert [bench.line[name] for name in ("outcome", "finish_reason", "route", "tiers")] == [
        "ok",
        "stop",
        "inventory.search",
        ["on-prem"],
    ]


async def test_who_speaks_is_known_before_the_first_word(start) -> None:
    bench = start(*WHOLE)
    await bench.turn.begin()
    assert dict(bench.turn.headers()) == {
        headers.SESSION: "s_1",
        headers.ROUTE: "inventory.search",
        headers.SERVED_BY: "on-prem",
        headers.REPLICA: "replica-1",
    }
    bench.turn.close()


async def test_headers_are_those_of_who_speaks_when_they_are_sent(start) -> None:
    bench = start([SERVED], [Served("cached", cache="stale")])
    await bench.turn.begin()
    await anext(bench.turn)
    await anext(bench.turn)
    told = dict(bench.turn.headers())
    assert (told[headers.SERVED_BY], told[headers.CACHE]) == ("cached", "stale")
    assert headers.REPLICA not in told
    bench.turn.close()


async def test_the_turn_is_written_down_before_its_client_is_told_that_it_is_whole(start) -> None:
    bench = start(*WHOLE)
    order: list[str] = []
    bench.written.on_now = lambda: order.append("written")
    await bench.turn.begin()
    async for events in bench.turn:
        order += [type(event).__name__ for event in events]
        if bench.turn.finished():
            break
    assert order == ["Served", "Text", "Text", "written", "Finished"]
    assert (bench.written.now_, bench.written.later_) == (["Hello"], [])
    assert bench.turn.messages() == [{"role": "assistant", "content": "Hello"}]


async def test_a_client_that_leaves_has_what_it_saw_written_down_beside(start) -> None:
    bench = start([SERVED], [Text("Hel")])
    await bench.turn.begin()
    await anext(bench.turn)
    await anext(bench.turn)
    bench.turn.close()
    bench.turn.close()
    assert (bench.written.now_, bench.written.later_) == ([], ["Hel"])
    assert (bench.script.closed, bench.given_back, bench.line["outcome"]) == (1, ["held"], "client_gone")
    with pytest.raises(StopAsyncIteration):
        await anext(bench.turn)


async def test_an_answer_that_breaks_is_booked_with_its_error(start) -> None:
    bench = start([SERVED], [Text("Hel")], UpstreamLost("It broke."))
    await bench.turn.begin()
    with pytest.raises(UpstreamLost):
        await read(bench.turn)
    assert not bench.turn.finished()
    bench.turn.close()
    assert (bench.line["outcome"], bench.written.later_) == ("upstream_lost", ["Hel"])


async def test_nobody_who_answers_is_the_request_s_error(start) -> None:
    bench = start(UpstreamUnavailable("dead"))
    with pytest.raises(UpstreamUnavailable):
        await bench.turn.begin()
    bench.turn.close()
    assert bench.given_back == ["held"]


async def test_the_first_word_is_measured_and_not_the_first_event(start, clock: ManualClock) -> None:
    bench = start(*WHOLE)
    await bench.turn.begin()
    await anext(bench.turn)
    clock.advance(2.0)
    await read(bench.turn)
    assert bench.line["first_content_s"] == 2.0


async def test_seams_are_counted(start) -> None:
    bench = start([SERVED], [Text("a")], [Seam("on-prem", "openai"), Served("openai")], [Text("b"), Finished("stop")])
    await bench.turn.begin()
    await read(bench.turn)
    assert (bench.line["seams"], bench.line["tiers"]) == (1, ["on-prem", "openai"])


async def test_a_turn_that_is_stopped_ends_with_the_error(start) -> None:
    bench = start([SERVED])
    forgotten: list[bool] = []
    bench.turn.on_close(lambda: forgotten.append(True))
    await bench.turn.begin()
    await anext(bench.turn)
    bench.turn.stop(Draining("stopping"))
    with pytest.raises(Draining):
        await anext(bench.turn)
    bench.turn.close()
    assert forgotten == [True]


async def test_a_turn_whose_time_is_up_ends_with_an_error_and_a_client_that_does_not_read_is_cut_off(
    start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.turn.NOTICE_S", 0.0)
    bench = start([SERVED], lasts_s=0.01)
    cut = asyncio.Event()
    bench.turn.on_overdue = cut.set
    await bench.turn.begin()
    await anext(bench.turn)
    with pytest.raises(UpstreamLost):
        await anext(bench.turn)
    await cut.wait()
    bench.turn.close()


async def test_a_turn_whose_time_is_up_before_anybody_sends_it_is_only_stopped(
    start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.turn.NOTICE_S", 0.0)
    bench = start([SERVED], lasts_s=0.0)
    await bench.turn.begin()
    await anext(bench.turn)
    with pytest.raises(UpstreamLost):
        await anext(bench.turn)
    await asyncio.sleep(0)
    bench.turn.close()
