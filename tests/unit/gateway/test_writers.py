"""One writer a conversation: who has to wait, in which order, and that nothing is left of those who went."""

import asyncio

import pytest

from gateway.errors import ConversationBusy
from gateway.writers import Writers, WriterTurn

pytestmark = pytest.mark.anyio

ONE, OTHER = "s_one", "s_other"
LONG_S = 60.0


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def waiting(writers: Writers, name: str, served: list[str]) -> "asyncio.Task[WriterTurn]":
    """A task that stands in line, and notes when it is served."""

    async def wait() -> WriterTurn:
        turn = await writers.take(ONE, LONG_S)
        served.append(name)
        return turn

    task = asyncio.create_task(wait())
    await settle()
    return task


async def test_a_second_message_is_refused_while_the_first_is_answered() -> None:
    writers = Writers()
    turn = await writers.take(ONE)
    with pytest.raises(ConversationBusy) as caught:
        await writers.take(ONE)
    assert (caught.value.status, caught.value.code, caught.value.retryable) == (409, "conversation_busy", True)
    turn.release()
    (await writers.take(ONE)).release()
    assert len(writers) == 0


async def test_conversations_do_not_wait_for_each_other() -> None:
    writers = Writers()
    turns = [await writers.take(ONE), await writers.take(OTHER)]
    assert len(writers) == 2
    for turn in turns:
        turn.release()
    assert len(writers) == 0


async def test_those_who_wait_are_served_in_the_order_in_which_they_came() -> None:
    writers, served = Writers(), list[str]()
    turn = await writers.take(ONE)
    tasks = [await waiting(writers, name, served) for name in "abc"]
    for number in range(3):
        assert len(served) == number
        turn.release()
        turn = await tasks[number]
    assert served == ["a", "b", "c"]
    turn.release()
    assert len(writers) == 0


async def test_releasing_twice_lets_one_in() -> None:
    writers, served = Writers(), list[str]()
    turn = await writers.take(ONE)
    first, second = await waiting(writers, "a", served), await waiting(writers, "b", served)
    turn.release()
    turn.release()
    await settle()
    assert served == ["a"]
    (await first).release()
    (await second).release()
    turn.release()
    assert len(writers) == 0


async def test_who_comes_while_the_turn_is_handed_over_does_not_pass() -> None:
    writers, served = Writers(), list[str]()
    turn = await writers.take(ONE)
    task = await waiting(writers, "a", served)
    turn.release()
    with pytest.raises(ConversationBusy):
        await writers.take(ONE)
    (await task).release()
    assert served == ["a"]


async def test_who_has_waited_too_long_is_refused_and_leaves_the_line() -> None:
    writers = Writers()
    turn = await writers.take(ONE)
    with pytest.raises(ConversationBusy):
        await writers.take(ONE, 0.001)
    turn.release()
    assert len(writers) == 0


async def test_a_cancelled_waiter_leaves_the_line() -> None:
    writers, served = Writers(), list[str]()
    turn = await writers.take(ONE)
    gone, next_one = await waiting(writers, "gone", served), await waiting(writers, "next", served)
    gone.cancel()
    await asyncio.wait([gone])
    turn.release()
    (await next_one).release()
    assert served == ["next"]
    assert len(writers) == 0


async def test_who_is_cancelled_as_it_gets_the_turn_passes_it_on() -> None:
    writers, served = Writers(), list[str]()
    turn = await writers.take(ONE)
    gone, next_one = await waiting(writers, "gone", served), await waiting(writers, "next", served)
    turn.release()
    gone.cancel()
    await asyncio.wait([gone])
    assert gone.cancelled()
    (await next_one).release()
    assert served == ["next"]
    assert len(writers) == 0
