"""One flight for all who ask the same: nobody misses anything, and nothing flies on for nobody."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from gateway.errors import ClientGone, Draining, InternalError, UpstreamLost, UpstreamUnavailable
from gateway.single_flight import AHEAD, Flights, Follower

pytestmark = pytest.mark.anyio

END = StopAsyncIteration()


class Made:
    """A source that gives one event at a time of those that the test has put in."""

    def __init__(self, *events: str | Exception) -> None:
        self.head = "a head"
        self.closed = 0
        self.read = 0
        self.waiting = asyncio.Event()
        self._events = deque(events)
        self._more = asyncio.Event()

    def put(self, *events: str | Exception) -> None:
        self._events.extend(events)
        self._more.set()

    async def __anext__(self) -> list[str]:
        while not self._events:
            self._more.clear()
            self.waiting.set()
            await self._more.wait()
        event = self._events.popleft()
        if isinstance(event, Exception):
            raise event
        self.read += 1
        return [event]

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def faults() -> list[Exception]:
    return []


@pytest.fixture
async def flights(faults: list[Exception]) -> AsyncIterator[Flights[str]]:
    async with asyncio.TaskGroup() as tasks:  # left only when no task is
        yield Flights(tasks, faults.append)


def starting(source: Made, started: list[Made] | None = None) -> Callable[[], Awaitable[Made]]:
    async def start() -> Made:
        if started is not None:
            started.append(source)
        return source

    return start


async def never() -> Made:
    raise AssertionError("there is a flight already")


async def settle() -> None:
    for _ in range(2 * AHEAD):
        await asyncio.sleep(0)


async def rest(follower: Follower[str]) -> list[str]:
    return [event async for events in follower for event in events]


async def some(follower: Follower[str], count: int) -> list[str]:
    """So many events, which must come to exactly that."""
    seen: list[str] = []
    while len(seen) < count:
        seen += await anext(follower)
    assert len(seen) == count
    return seen


def numbers(count: int) -> list[str]:
    return [str(number) for number in range(count)]


# ---- sharing


async def test_two_who_ask_the_same_share_one_generation(flights: Flights[str]) -> None:
    source, started = Made("a", "b", END), list[Made]()
    first, leads = flights.join("key", starting(source, started))
    second, follows = flights.join("key", never)
    assert (leads, follows, len(flights)) == (True, False, 1)
    assert [await rest(first), await rest(second)] == [["a", "b"], ["a", "b"]]
    assert started == [source]
    assert source.closed == 1


async def test_who_comes_late_gets_it_from_the_beginning(flights: Flights[str]) -> None:
    source = Made("a", "b")
    first, _ = flights.join("key", starting(source))
    assert await some(first, 2) == ["a", "b"]
    late, _ = flights.join("key", never)
    assert await anext(late) == ["a", "b"], "what is there already comes at once"
    source.put("c", END)
    assert [await rest(first), await rest(late)] == [["c"], ["c"]]


async def test_other_questions_fly_by_themselves(flights: Flights[str]) -> None:
    one, other = (flights.join(key, starting(Made(key, END)))[0] for key in ("one", "other"))
    assert [await rest(one), await rest(other)] == [["one"], ["other"]]


async def test_a_flight_that_has_ended_is_forgotten_and_still_read_to_its_end(flights: Flights[str]) -> None:
    first, _ = flights.join("key", starting(Made("a", END)))
    second, _ = flights.join("key", never)
    assert await rest(first) == ["a"]
    assert len(flights) == 0
    again, leads = flights.join("key", starting(Made("b", END)))
    assert leads
    assert [await rest(second), await rest(again)] == [["a"], ["b"]]


async def test_all_are_told_the_head_once_the_source_is_there(flights: Flights[str]) -> None:
    opens = asyncio.Event()
    source = Made()

    async def start() -> Made:
        await opens.wait()
        return source

    followers = [flights.join("key", start)[0], flights.join("key", never)[0]]
    heads = [asyncio.create_task(follower.opened()) for follower in followers]
    await settle()
    assert not any(head.done() for head in heads)
    opens.set()
    assert [await head for head in heads] == ["a head", "a head"]
    late, _ = flights.join("key", never)
    assert await late.opened() == "a head"
    source.put(END)


# ---- leaving


async def test_the_first_may_leave_and_the_others_are_served_on(flights: Flights[str]) -> None:
    source = Made("a")
    first, _ = flights.join("key", starting(source))
    second, _ = flights.join("key", never)
    await anext(first)
    first.close()
    first.close()
    late, leads = flights.join("key", never)
    assert not leads
    source.put("b", END)
    assert [await rest(second), await rest(late)] == [["a", "b"], ["a", "b"]]
    with pytest.raises(StopAsyncIteration):
        await anext(first)


async def test_who_is_cancelled_while_he_waits_takes_nothing_from_anybody(flights: Flights[str]) -> None:
    source = Made()
    first, _ = flights.join("key", starting(source))
    second, _ = flights.join("key", never)
    reading = asyncio.create_task(rest(first))
    await source.waiting.wait()
    reading.cancel()
    await asyncio.wait({reading})
    source.put("a", END)
    assert [await rest(first), await rest(second)] == [["a"], ["a"]]


async def test_when_the_last_one_leaves_the_source_is_closed_and_the_next_question_begins_anew(
    flights: Flights[str],
) -> None:
    source = Made("a")
    first, _ = flights.join("key", starting(source))
    second, _ = flights.join("key", never)
    await anext(first)
    await source.waiting.wait()
    first.close()
    assert len(flights) == 1
    second.close()
    assert len(flights) == 0
    anew, leads = flights.join("key", starting(Made("fresh")))
    assert leads
    assert await anext(anew) == ["fresh"]
    assert source.closed == 1
    assert len(flights) == 1, "the end of the former flight has not taken its successor along"
    anew.close()


async def test_who_leaves_before_the_task_has_begun_has_asked_for_nothing(flights: Flights[str]) -> None:
    started: list[Made] = []
    follower, _ = flights.join("key", starting(Made(), started))
    follower.close()
    await settle()
    assert started == []
    assert len(flights) == 0


async def test_who_leaves_before_the_source_is_there_takes_it_along(flights: Flights[str]) -> None:
    began, cancelled = asyncio.Event(), asyncio.Event()

    async def start() -> Made:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError

    follower, _ = flights.join("key", start)
    opening = asyncio.create_task(follower.opened())
    await began.wait()
    follower.close()
    await cancelled.wait()
    with pytest.raises(ClientGone):
        await opening


async def test_whoever_waits_is_told_when_it_is_closed_under_him(flights: Flights[str]) -> None:
    source = Made()
    follower, _ = flights.join("key", starting(source))
    reading = asyncio.create_task(rest(follower))
    await source.waiting.wait()
    follower.close()
    assert await reading == []


async def test_a_source_that_heeds_no_cancellation_is_not_read_again(flights: Flights[str]) -> None:
    class Deaf(Made):
        """Its reader leaves in the middle of a read, which goes on to its end."""

        async def __anext__(self) -> list[str]:
            follower.close()
            return await super().__anext__()

    source = Deaf("a", "b")
    follower, _ = flights.join("key", starting(source))
    await settle()
    assert (source.read, source.closed) == (1, 1)


# ---- breaking


async def test_an_error_reaches_everybody_after_what_came_before_it(flights: Flights[str]) -> None:
    source = Made("a", UpstreamLost("It broke."))
    followers = [flights.join("key", starting(source))[0], flights.join("key", never)[0]]
    for follower in followers:
        assert await anext(follower) == ["a"]
        with pytest.raises(UpstreamLost):
            await anext(follower)
    assert source.closed == 1
    assert len(flights) == 0


async def test_a_source_that_does_not_open_is_everybodys_error(flights: Flights[str]) -> None:
    async def start() -> Made:
        raise UpstreamUnavailable("dead")

    followers = [flights.join("key", start)[0], flights.join("key", never)[0]]
    for follower in followers:
        with pytest.raises(UpstreamUnavailable):
            await follower.opened()
        with pytest.raises(UpstreamUnavailable):
            await anext(follower)
    assert len(flights) == 0


async def test_who_has_left_is_not_told_of_an_error(flights: Flights[str]) -> None:
    follower, _ = flights.join("key", starting(Made("a", UpstreamLost("It broke."))))
    await settle()
    follower.close()
    assert await rest(follower) == []


async def test_a_fault_of_ours_ends_this_flight_and_no_other(flights: Flights[str], faults: list[Exception]) -> None:
    source = Made(KeyError("a customer's name"))
    bad, _ = flights.join("bad", starting(source))
    good, _ = flights.join("good", starting(Made("a", END)))
    with pytest.raises(InternalError) as raised:
        await rest(bad)
    assert (raised.value.detail, [type(fault) for fault in faults]) == ("KeyError", [KeyError])
    assert source.closed == 1
    assert await rest(good) == ["a"]


async def test_a_gateway_that_ends_takes_its_flights_along_and_tells_those_who_follow() -> None:
    source = Made("a")
    followers: list[Follower[str]] = []

    async def serve() -> None:
        async with asyncio.TaskGroup() as tasks:
            followers.append(Flights[str](tasks, pytest.fail).join("key", starting(source))[0])
            await asyncio.Event().wait()

    serving = asyncio.create_task(serve())
    await source.waiting.wait()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert source.closed == 1
    assert await anext(followers[0]) == ["a"]
    with pytest.raises(Draining):
        await anext(followers[0])


# ---- pace and room


async def test_the_source_is_read_ahead_of_the_fastest_follower_by_a_bound(flights: Flights[str]) -> None:
    source = Made(*numbers(3 * AHEAD), END)
    fast, _ = flights.join("key", starting(source))
    slow, _ = flights.join("key", never)
    await settle()
    assert source.read == AHEAD, "though nobody has read anything yet"
    seen = await anext(fast)
    await settle()
    assert source.read == 2 * AHEAD
    assert [*seen, *await rest(fast)] == numbers(3 * AHEAD), "the slow one holds nobody up"
    assert await rest(slow) == numbers(3 * AHEAD)


async def test_when_the_fastest_leaves_the_source_waits_for_the_next_fastest(flights: Flights[str]) -> None:
    source = Made(*numbers(3 * AHEAD), END)
    fast, _ = flights.join("key", starting(source))
    slow, _ = flights.join("key", never)
    await settle()
    await anext(fast)
    await settle()
    fast.close()
    await settle()
    assert source.read == 2 * AHEAD
    assert await rest(slow) == numbers(3 * AHEAD)


async def test_who_never_reads_takes_the_source_along_when_it_leaves(flights: Flights[str]) -> None:
    source = Made(*numbers(2 * AHEAD), END)
    follower, _ = flights.join("key", starting(source))
    await settle()
    follower.close()
    await settle()
    assert (source.read, source.closed) == (AHEAD, 1)


async def test_who_comes_after_more_than_can_be_replayed_begins_a_flight_of_his_own() -> None:
    async with asyncio.TaskGroup() as tasks:
        flights = Flights[str](tasks, pytest.fail, max_replayed=2)
        source = Made("a", "b")
        first, _ = flights.join("key", starting(source))
        assert await some(first, 2) == ["a", "b"]
        second, leads = flights.join("key", never)
        assert not leads, "so much can be"
        source.put("c")
        assert await anext(first) == ["c"]
        own, leads = flights.join("key", starting(Made("x", END)))
        assert leads
        source.put("d", END)
        assert [await rest(each) for each in (first, second, own)] == [["d"], ["a", "b", "c", "d"], ["x"]]


async def test_what_all_have_read_is_not_kept_when_nobody_may_come_any_more() -> None:
    class Counted(str):
        """An event of which it is known how many there are."""

        alive = 0

        def __init__(self, _: object) -> None:
            Counted.alive += 1

        def __del__(self) -> None:
            Counted.alive -= 1

    async with asyncio.TaskGroup() as tasks:
        flights = Flights[str](tasks, pytest.fail, max_replayed=2)
        source = Made()
        first, _ = flights.join("key", starting(source))
        second, _ = flights.join("key", never)
        for number in range(10):
            source.put(Counted(number))
            await anext(first)
        assert Counted.alive == 10, "the slower one needs them"
        assert await anext(second) == numbers(10)
        assert Counted.alive == 0
        for number in range(5):
            source.put(Counted(number))
            await anext(first)
        second.close()
        assert Counted.alive == 0
        source.put("last", END)
        assert await rest(first) == ["last"]
