"""One flight for all who ask the same: nobody misses anything, and nothing flies on for nobody."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from gateway.errors import InternalError, UpstreamLost, UpstreamUnavailable
from gateway.single_flight import AHEAD, Flights, Follower

pytestmark = pytest.mark.anyio


class Made:
    """A source that gives what the test puts in."""

    def __init__(self, *items: str | Exception) -> None:
        self._items: deque[str | Exception] = deque(items)
        self._more = asyncio.Event()
        self.closed = 0
        self.read = 0
        self.waiting = asyncio.Event()

    def put(self, *items: str | Exception) -> None:
        self._items.extend(items)
        self._more.set()

    async def __anext__(self) -> str:
        while not self._items:
            self._more.clear()
            self.waiting.set()
            await self._more.wait()
        item = self._items.popleft()
        if isinstance(item, Exception):
            raise item
        self.read += 1
        return item

    def close(self) -> None:
        self.closed += 1


END = StopAsyncIteration()


@pytest.fixture
async def flights() -> AsyncIterator[Flights[str]]:
    async with asyncio.TaskGroup() as tasks:
        yield Flights(tasks)


def starting(source: Made, started: list[Made] | None = None) -> Callable[[], Awaitable[Made]]:
    async def start() -> Made:
        if started is not None:
            started.append(source)
        return source

    return start


async def rest(follower: Follower[str]) -> list[str]:
    return [item async for item in follower]


async def test_two_who_ask_the_same_share_one_generation(flights: Flights[str]) -> None:
    source, started = Made("a", "b", END), []
    first, leads = flights.join("key", starting(source, started))
    second, follows = flights.join("key", starting(Made(), started))
    assert (leads, follows) == (True, False)
    assert await asyncio.gather(rest(first), rest(second)) == [["a", "b"], ["a", "b"]]
    assert started == [source]
    assert source.closed == 1
    assert len(flights) == 0


async def test_who_comes_late_gets_it_from_the_beginning(flights: Flights[str]) -> None:
    source = Made("a", "b")
    first, _ = flights.join("key", starting(source))
    assert [await anext(first), await anext(first)] == ["a", "b"]
    late, _ = flights.join("key", starting(Made()))
    source.put("c", END)
    assert await asyncio.gather(rest(first), rest(late)) == [["c"], ["a", "b", "c"]]


async def test_other_questions_fly_by_themselves(flights: Flights[str]) -> None:
    one, _ = flights.join("one", starting(Made("a", END)))
    other, leads = flights.join("other", starting(Made("b", END)))
    assert leads
    assert await asyncio.gather(rest(one), rest(other)) == [["a"], ["b"]]


async def test_the_first_may_leave_and_the_others_are_served_on(flights: Flights[str]) -> None:
    source = Made("a")
    first, _ = flights.join("key", starting(source))
    second, _ = flights.join("key", starting(Made()))
    await anext(first)
    first.close()
    first.close()
    source.put("b", END)
    assert await rest(second) == ["a", "b"]
    with pytest.raises(StopAsyncIteration):
        await anext(first)


async def test_when_the_last_one_leaves_the_source_is_closed_and_the_next_question_begins_anew(
    flights: Flights[str],
) -> None:
    source, started = Made("a"), []
    first, _ = flights.join("key", starting(source))
    second, _ = flights.join("key", starting(Made()))
    await anext(first)
    await source.waiting.wait()
    first.close()
    second.close()
    anew, leads = flights.join("key", starting(Made("fresh", END), started))
    assert leads
    assert await rest(anew) == ["fresh"]
    assert source.closed == 1


async def test_who_leaves_before_the_source_is_there_takes_it_along(flights: Flights[str]) -> None:
    cancelled = asyncio.Event()
    began = asyncio.Event()

    async def start() -> Made:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError

    follower, _ = flights.join("key", start)
    await began.wait()
    follower.close()
    await cancelled.wait()
    assert len(flights) == 0


async def test_whoever_waits_is_told_when_it_is_closed_under_him(flights: Flights[str]) -> None:
    source = Made()
    follower, _ = flights.join("key", starting(source))
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(rest(follower))
        await source.waiting.wait()
        follower.close()
    assert reading.result() == []


async def test_an_error_reaches_everybody_after_what_came_before_it(flights: Flights[str]) -> None:
    followers = [flights.join("key", starting(Made("a", UpstreamLost("It broke."))))[0]]
    followers.append(flights.join("key", starting(Made()))[0])
    for follower in followers:
        assert await anext(follower) == "a"
        with pytest.raises(UpstreamLost):
            await anext(follower)


async def test_a_source_that_does_not_open_is_everybody_s_error(flights: Flights[str]) -> None:
    async def start() -> Made:
        raise UpstreamUnavailable("dead")

    followers = [flights.join("key", start)[0] for _ in range(2)]
    for follower in followers:
        with pytest.raises(UpstreamUnavailable):
            await follower.opened()
        with pytest.raises(UpstreamUnavailable):
            await anext(follower)
    assert len(flights) == 0


async def test_opened_returns_once_the_source_is_there(flights: Flights[str]) -> None:
    follower, _ = flights.join("key", starting(Made("a", END)))
    await follower.opened()
    assert await rest(follower) == ["a"]
    await follower.opened()


async def test_a_fault_of_ours_ends_this_flight_and_no_other(flights: Flights[str]) -> None:
    bad, _ = flights.join("bad", starting(Made(KeyError("a bug"))))
    good, _ = flights.join("good", starting(Made("a", END)))
    with pytest.raises(InternalError) as raised:
        await rest(bad)
    assert raised.value.detail == "KeyError"
    assert await rest(good) == ["a"]


async def test_the_source_is_read_ahead_of_the_fastest_follower_by_a_bound(flights: Flights[str]) -> None:
    source = Made(*(str(number) for number in range(AHEAD * 2)), END)
    fast, _ = flights.join("key", starting(source))
    slow, _ = flights.join("key", starting(Made()))
    await fast.opened()
    for _ in range(10):
        await asyncio.sleep(0)
    assert source.read == AHEAD
    seen = [await anext(fast) for _ in range(10)]
    for _ in range(10):
        await asyncio.sleep(0)
    assert source.read == AHEAD + 10
    assert [*seen, *await rest(fast)] == [str(number) for number in range(AHEAD * 2)]
    assert len(await rest(slow)) == AHEAD * 2


async def test_a_gateway_that_ends_takes_its_flights_along() -> None:
    source = Made("a")

    async def serve() -> None:
        async with asyncio.TaskGroup() as tasks:
            follower, _ = Flights[str](tasks).join("key", starting(source))
            await anext(follower)
            await asyncio.Event().wait()

    serving = asyncio.get_running_loop().create_task(serve())
    await source.waiting.wait()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert source.closed == 1
