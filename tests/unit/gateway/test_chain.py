"""The race of the tiers: who is asked when, who wins, and that nothing of the losers is left."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from gateway.chain import NO_TIER, first_to_answer
from gateway.errors import (
    DeadlineExceeded,
    GatewayError,
    InvalidRequest,
    QueueFull,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from gateway.routes import Plan, Step, Tier
from gateway.tiers.source import Source
from tests.unit.gateway.toy_source import ToySource

pytestmark = pytest.mark.anyio

SOON, NEVER = 0.01, 3600.0
DEAD = UpstreamUnavailable("dead")

Act = Callable[[], Awaitable[Source]]


@dataclass
class Tiers:
    """What each tier does when it is asked, and what became of it."""

    acts: dict[Tier, Act]
    asked: list[Tier] = field(default_factory=list)
    failed: list[tuple[Tier, str]] = field(default_factory=list)
    cancelled: list[Tier] = field(default_factory=list)
    give_up_s: float = NEVER
    patience_s: float = NEVER

    async def race(self, *, passed_s: float = 0.0) -> Source:
        last = (Tier.STATIC,)
        steps = tuple(Step(tier, self.patience_s, last_resort=tier in last) for tier in self.acts)
        return await first_to_answer(
            Plan(steps, self.give_up_s),
            self._open,
            passed_s=passed_s,
            on_failed=lambda tier, error: self.failed.append((tier, error.code)),
        )

    async def _open(self, step: Step) -> Source:
        self.asked.append(step.tier)
        try:
            return await self.acts[step.tier]()
        except asyncio.CancelledError:
            self.cancelled.append(step.tier)
            raise


def answers(source: ToySource) -> Act:
    async def act() -> Source:
        return source

    return act


def fails(error: GatewayError = DEAD) -> Act:
    async def act() -> Source:
        raise error

    return act


async def hangs() -> Source:
    await asyncio.Event().wait()
    raise AssertionError


def waits_for(event: asyncio.Event, source: ToySource) -> Act:
    async def act() -> Source:
        await event.wait()
        return source

    return act


async def test_the_first_tier_that_answers_is_the_only_one_asked() -> None:
    source = ToySource()
    tiers = Tiers({Tier.ON_PREM: answers(source), Tier.OPENAI: hangs, Tier.STATIC: hangs})
    assert await tiers.race() is source
    assert tiers.asked == [Tier.ON_PREM]
    assert source.closed == 0


async def test_a_tier_that_fails_is_followed_by_the_next_at_once() -> None:
    source = ToySource(tier=Tier.DATABASE)
    tiers = Tiers({Tier.ON_PREM: fails(), Tier.OPENAI: fails(QueueFull("full")), Tier.DATABASE: answers(source)})
    assert await tiers.race() is source
    assert tiers.failed == [(Tier.ON_PREM, "upstream_unavailable"), (Tier.OPENAI, "queue_full")]


async def test_a_late_tier_gets_company_and_may_still_win() -> None:
    late, came = ToySource(), asyncio.Event()

    async def openai() -> Source:
        came.set()  # on-prem answers only now, while the cloud is being asked
        return await hangs()

    tiers = Tiers({Tier.ON_PREM: waits_for(came, late), Tier.OPENAI: openai}, patience_s=SOON)
    assert await tiers.race() is late
    assert tiers.asked == [Tier.ON_PREM, Tier.OPENAI]
    assert tiers.cancelled == [Tier.OPENAI]


async def test_the_loser_is_cancelled_at_once() -> None:
    cloud = ToySource(tier=Tier.OPENAI)
    tiers = Tiers({Tier.ON_PREM: hangs, Tier.OPENAI: answers(cloud)}, patience_s=SOON)
    assert await tiers.race() is cloud
    assert tiers.cancelled == [Tier.ON_PREM]


async def test_of_two_that_answer_at_once_the_earlier_in_the_chain_is_kept_and_the_other_closed() -> None:
    go, first, second = asyncio.Event(), ToySource(), ToySource(tier=Tier.OPENAI)

    async def opens_both() -> Source:
        go.set()
        return second

    tiers = Tiers({Tier.ON_PREM: waits_for(go, first), Tier.OPENAI: opens_both}, patience_s=SOON)
    won = await tiers.race()
    assert won in (first, second)
    loser = second if won is first else first
    assert (won.closed, loser.closed in (0, 1)) == (0, True)  # type: ignore[attr-defined]
    assert loser.closed == 1 or Tier.ON_PREM in tiers.cancelled


async def test_a_last_resort_waits_until_all_others_have_failed() -> None:
    gate, canned = asyncio.Event(), ToySource(tier=Tier.STATIC)

    async def openai() -> Source:
        gate.set()
        raise DEAD

    async def on_prem() -> Source:
        await gate.wait()
        raise UpstreamTimeout("late")

    tiers = Tiers({Tier.ON_PREM: on_prem, Tier.OPENAI: openai, Tier.STATIC: answers(canned)}, patience_s=SOON)
    assert await tiers.race() is canned
    assert tiers.asked == [Tier.ON_PREM, Tier.OPENAI, Tier.STATIC]
    assert sorted(tiers.failed) == [(Tier.ON_PREM, "upstream_timeout"), (Tier.OPENAI, "upstream_unavailable")]


async def test_a_last_resort_answers_when_it_is_time_to_give_up() -> None:
    canned = ToySource(tier=Tier.STATIC)
    tiers = Tiers({Tier.ON_PREM: hangs, Tier.STATIC: answers(canned)}, give_up_s=SOON)
    assert await tiers.race() is canned
    assert tiers.cancelled == [Tier.ON_PREM]


async def test_time_that_has_passed_before_the_race_counts() -> None:
    canned = ToySource(tier=Tier.STATIC)
    tiers = Tiers({Tier.ON_PREM: hangs, Tier.STATIC: answers(canned)}, give_up_s=100.0)
    assert await tiers.race(passed_s=100.0) is canned


async def test_the_first_failure_is_told_when_nobody_answers() -> None:
    tiers = Tiers({Tier.ON_PREM: fails(QueueFull("full", retry_after_s=7)), Tier.OPENAI: fails()})
    with pytest.raises(QueueFull) as raised:
        await tiers.race()
    assert raised.value.retry_after_s == 7


async def test_a_plan_without_tiers_is_an_error_that_says_when_to_come_again() -> None:
    with pytest.raises(UpstreamUnavailable, match=NO_TIER) as raised:
        await Tiers({}).race()
    assert raised.value.retry_after_s == 1


async def test_a_request_that_is_itself_at_fault_is_not_tried_elsewhere() -> None:
    tiers = Tiers({Tier.ON_PREM: fails(InvalidRequest("no")), Tier.OPENAI: hangs, Tier.STATIC: hangs})
    with pytest.raises(InvalidRequest):
        await tiers.race()
    assert tiers.asked == [Tier.ON_PREM]


async def test_a_deadline_that_passed_is_no_fault_of_the_request() -> None:
    canned = ToySource(tier=Tier.STATIC)
    tiers = Tiers({Tier.ON_PREM: fails(DeadlineExceeded("late")), Tier.STATIC: answers(canned)})
    assert await tiers.race() is canned


async def test_a_fault_of_ours_ends_the_race_as_it_is_and_leaves_nothing_running() -> None:
    async def breaks() -> Source:
        raise KeyError("a bug")

    tiers = Tiers({Tier.ON_PREM: hangs, Tier.OPENAI: breaks}, patience_s=SOON)
    with pytest.raises(KeyError):
        await tiers.race()
    assert tiers.cancelled == [Tier.ON_PREM]


async def test_whoever_is_cancelled_takes_all_tiers_along() -> None:
    both = asyncio.Event()

    async def second() -> Source:
        both.set()
        return await hangs()

    tiers = Tiers({Tier.ON_PREM: hangs, Tier.OPENAI: second}, patience_s=SOON)
    async with asyncio.TaskGroup() as group:
        racing = group.create_task(tiers.race())
        await both.wait()
        racing.cancel()
    assert sorted(tiers.cancelled) == sorted([Tier.ON_PREM, Tier.OPENAI])


async def test_an_answer_that_came_just_as_we_were_cancelled_is_closed() -> None:
    source, opened = ToySource(), asyncio.Event()

    async def opens() -> Source:
        opened.set()
        return source

    tiers = Tiers({Tier.ON_PREM: opens})
    async with asyncio.TaskGroup() as group:
        racing = group.create_task(tiers.race())
        await opened.wait()
        racing.cancel()
    assert racing.cancelled()
    assert source.closed == 1
