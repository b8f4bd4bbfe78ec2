"""What a watch takes for silence, and for too long: told by a clock that stands still until a test moves it."""

import asyncio
from dataclasses import dataclass, field

import pytest

from gateway.watch import LOST_PATIENCE_S, SHORTEST_LOOK_S, Watch
from tests.unit.gateway.manual_clock import ManualClock

pytestmark = pytest.mark.anyio

IDLE_S = 0.03
"""So often the timer looks at the clock, which says something else."""


@dataclass
class Bench:
    """A watch over nothing, and what it has called."""

    idle_s: float = IDLE_S
    ends_at: float = 1e9
    clock: ManualClock = field(default_factory=ManualClock)
    silences: int = 0
    overdue: int = 0

    def __post_init__(self) -> None:
        def silence() -> None:
            self.silences += 1

        def late() -> None:
            self.overdue += 1

        self.watch = Watch(self.clock, idle_s=self.idle_s, ends_at=self.ends_at, on_silence=silence, on_overdue=late)

    async def looks(self) -> tuple[bool, bool]:
        """What it has called once it has looked at the clock again."""
        await asyncio.sleep(2 * IDLE_S + 2 * SHORTEST_LOOK_S)
        return bool(self.silences), bool(self.overdue)


async def test_silence_is_told_once_it_has_lasted_so_long_and_again_until_somebody_acts() -> None:
    bench = Bench()
    bench.watch.listen()
    bench.clock.advance(IDLE_S - 0.001)
    assert await bench.looks() == (False, False)
    bench.clock.advance(0.001)
    assert bench.watch.silent_s == pytest.approx(IDLE_S)
    assert await bench.looks() == (True, False)
    told = bench.silences
    await bench.looks()
    assert bench.silences > told
    bench.watch.close()


async def test_what_is_heard_begins_the_wait_anew() -> None:
    bench = Bench()
    bench.watch.listen()
    for _ in range(3):
        bench.clock.advance(IDLE_S - 0.001)
        assert bench.watch.heard() == bench.clock.now
    assert await bench.looks() == (False, False)
    bench.clock.advance(IDLE_S)
    assert await bench.looks() == (True, False)
    bench.watch.close()


async def test_time_in_which_the_client_is_waited_for_is_no_silence() -> None:
    bench = Bench()
    bench.watch.listen()
    bench.watch.heard()
    bench.watch.rest()
    bench.clock.advance(10 * IDLE_S)
    assert await bench.looks() == (False, False)
    bench.watch.listen()
    assert await bench.looks() == (False, False)
    bench.watch.close()


async def test_comments_use_the_patience_up() -> None:
    bench = Bench()
    for _ in range(2):
        bench.watch.listen()
        bench.clock.advance(IDLE_S / 2.5)
        assert bench.watch.heard_comment()
    bench.watch.listen()
    bench.clock.advance(IDLE_S / 2.5)
    assert not bench.watch.heard_comment()
    bench.watch.heard()
    bench.watch.listen()
    assert bench.watch.heard_comment()
    bench.watch.close()


async def test_a_wait_that_may_last_is_no_silence() -> None:
    bench = Bench()
    bench.watch.wait()
    bench.clock.advance(1000)
    assert await bench.looks() == (False, False)
    bench.watch.close()


async def test_once_its_replica_is_doubted_a_silent_stream_has_a_moment_only() -> None:
    bench = Bench(idle_s=100.0)
    bench.watch.listen()
    bench.watch.doubted()
    bench.clock.advance(LOST_PATIENCE_S - 0.001)
    assert await bench.looks() == (False, False)
    bench.clock.advance(0.001)
    await asyncio.sleep(LOST_PATIENCE_S)
    assert bench.silences
    bench.watch.close()


async def test_a_stream_that_still_hears_from_a_doubted_replica_is_left_alone() -> None:
    bench = Bench()
    bench.watch.listen()
    bench.watch.doubted()
    bench.clock.advance(IDLE_S / 2)
    bench.watch.heard()
    bench.clock.advance(IDLE_S / 2)
    assert await bench.looks() == (False, False)
    bench.watch.close()


async def test_a_doubted_replica_that_was_silent_before_is_told_of_at_once() -> None:
    bench = Bench(idle_s=100.0)
    bench.watch.listen()
    bench.clock.advance(2 * LOST_PATIENCE_S)
    bench.watch.doubted()
    assert await bench.looks() == (True, False)
    bench.watch.close()


@pytest.mark.parametrize("waits", [True, False])
async def test_when_the_time_is_up_that_is_told_whoever_is_waited_for(waits: bool) -> None:
    bench = Bench(ends_at=ManualClock().now + 50)
    if waits:
        bench.watch.listen()
    for _ in range(49):
        bench.clock.advance(1)
        bench.watch.heard()
    assert await bench.looks() == (False, False)
    bench.clock.advance(1)
    assert await bench.looks() == (False, True)
    bench.watch.close()


async def test_a_closed_watch_looks_no_more() -> None:
    bench = Bench(ends_at=0.0)
    bench.watch.close()
    bench.watch.close()
    assert await bench.looks() == (False, False)
