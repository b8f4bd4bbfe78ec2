"""The agent's loop, with a model that does what a test wrote down."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.agent import MAX_ROUNDS, Agent, Done, Message, carried_on
from gateway.errors import Draining, GatewayError, UpstreamLost, UpstreamUnavailable
from gateway.events import Event, Finished, Seam, Served, Text, ToolAnswered, ToolCalled
from gateway.routes import Tier
from gateway.tool_calls import ToolCall
from tests.unit.gateway.toy_source import STALL, ToySource, called

pytestmark = pytest.mark.anyio

ASKED: list[Message] = [{"role": "system", "content": "You are Scout."}, {"role": "user", "content": "Any Kias?"}]
SEARCH = called("search", '{"make": "Kia"}')
LOST = UpstreamLost("It broke.")


@dataclass(frozen=True)
class Said:
    ok: bool = True
    content: str = '{"count": 2}'
    summary: str = "2 vehicles found"
    changed: bool = False


@dataclass
class Bench:
    """Models and tools that play a script, and what they were asked."""

    sources: list[ToySource | GatewayError]
    results: list[Said] = field(default_factory=list)
    successor: ToySource | None = None
    asked: list[list[Message]] = field(default_factory=list)
    finals: list[bool] = field(default_factory=list)
    ran: list[tuple[str, str]] = field(default_factory=list)
    carried: list[str] = field(default_factory=list)

    async def ask(self, messages: Sequence[Message], done: Done, *, final: bool) -> ToySource:
        self.asked.append(list(messages))
        self.finals.append(final)
        source = self.sources[len(self.asked) - 1]
        if isinstance(source, GatewayError):
            raise source
        return source

    async def run(self, call: ToolCall) -> Said:
        self.ran.append((call.name, call.arguments))
        return self.results.pop(0) if self.results else Said()

    async def carry_on(self, messages: Sequence[Message], text: str) -> ToySource | None:
        self.carried.append(text)
        return self.successor

    async def open(self) -> Agent:
        return await Agent.open(ASKED, self.ask, self.run, self.carry_on)

    async def events(self) -> list[Event]:
        return [event async for events in await self.open() for event in events]


async def test_an_answer_without_tools_is_one_round() -> None:
    bench = Bench([ToySource("Hel", "lo", usage={"prompt_tokens": 5, "completion_tokens": 2})])
    assert await bench.events() == [
        Served(Tier.ON_PREM, "toy", "replica-0"),
        Text("Hel"),
        Text("lo"),
        Finished("stop", {"prompt_tokens": 5, "completion_tokens": 2}),
    ]
    assert bench.asked == [ASKED]
    assert bench.finals == [False]


async def test_a_tool_is_run_and_its_result_asked_about_in_a_message_of_its_own() -> None:
    rounds = [ToySource(SEARCH, usage={"total_tokens": 3}), ToySource("Two.", usage={"total_tokens": 4})]
    bench = Bench([*rounds])
    assert await bench.events() == [
        Served(Tier.ON_PREM, "toy", "replica-0"),
        ToolCalled("call_0", "search", {"make": "Kia"}),
        ToolAnswered("call_0", "search", True, "2 vehicles found"),
        Served(Tier.ON_PREM, "toy", "replica-0"),
        Text("Two."),
        Finished("stop", {"total_tokens": 7}),
    ]
    assert bench.ran == [("search", '{"make": "Kia"}')]
    call = {"id": "call_0", "type": "function", "function": {"name": "search", "arguments": '{"make": "Kia"}'}}
    assert bench.asked[1] == [
        *ASKED,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_0", "content": '{"count": 2}'},
    ]
    assert [source.closed for source in rounds] == [1, 1]


async def test_what_there_is_to_remember_is_the_whole_exchange() -> None:
    bench = Bench([ToySource("Let me look.", SEARCH), ToySource("Two.")])
    agent = await bench.open()
    async for _ in agent:
        pass
    remembered = agent.messages("")
    assert [message["role"] for message in remembered] == ["assistant", "tool", "assistant"]
    assert (remembered[0]["content"], remembered[2]["content"]) == ("Let me look.", "Two.")
    assert agent.done.text == "Let me look.Two."


async def test_several_calls_of_a_round_are_run_in_their_order_and_their_progress_told() -> None:
    both = [*called("first", "{}", "a", 0), *called("second", "{}", "b", 1)]
    bench = Bench([ToySource(both), ToySource("Done.")], [Said(summary="one"), Said(summary="two", changed=True)])
    agent = await bench.open()
    events = [event async for batch in agent for event in batch]
    assert [event.id for event in events if isinstance(event, ToolCalled)] == ["a", "b"]
    assert [event.summary for event in events if isinstance(event, ToolAnswered)] == ["one", "two"]
    assert agent.done.summaries == ["one", "two"]
    assert agent.done.changed


async def test_a_tool_that_fails_is_told_to_the_model_and_to_the_client() -> None:
    failed = Said(ok=False, content='{"error": "no such vehicle"}', summary="no such vehicle")
    bench = Bench([ToySource(SEARCH), ToySource("There is none.")], [failed])
    agent = await bench.open()
    events = [event async for batch in agent for event in batch]
    assert ToolAnswered("call_0", "search", False, "no such vehicle") in events
    assert json.loads(bench.asked[1][-1]["content"]) == {"error": "no such vehicle"}
    assert agent.done.tools_failed


async def test_the_last_round_is_asked_without_tools_and_ends_the_loop() -> None:
    bench = Bench([ToySource(SEARCH) for _ in range(MAX_ROUNDS)])
    events = await bench.events()
    assert bench.finals == [False] * (MAX_ROUNDS - 1) + [True]
    assert len(bench.ran) == MAX_ROUNDS - 1
    assert isinstance(events[-1], Finished)


async def test_a_first_round_that_nobody_answers_is_the_request_s_error() -> None:
    with pytest.raises(UpstreamUnavailable):
        await Bench([UpstreamUnavailable("dead")]).open()


async def test_a_later_round_that_nobody_answers_breaks_the_answer() -> None:
    bench = Bench([ToySource(SEARCH), UpstreamUnavailable("dead")])
    agent = await bench.open()
    with pytest.raises(UpstreamUnavailable):
        async for _ in agent:
            pass
    assert bench.ran == [("search", '{"make": "Kia"}')]


# ---- breaks


async def test_a_call_that_breaks_off_is_asked_for_anew_and_run_once() -> None:
    bench = Bench([ToySource(called("search", '{"ma'), LOST), ToySource(SEARCH), ToySource("Two.")])
    events = await bench.events()
    assert bench.ran == [("search", '{"make": "Kia"}')]
    assert bench.asked[1] == ASKED
    assert not [event for event in events if isinstance(event, Seam)]
    assert isinstance(events[-1], Finished)


async def test_what_breaks_off_twice_is_given_up() -> None:
    bench = Bench([ToySource(LOST), ToySource(LOST)])
    agent = await bench.open()
    with pytest.raises(UpstreamLost):
        async for _ in agent:
            pass
    assert len(bench.asked) == 2


async def test_a_text_that_breaks_off_is_carried_on_by_another_tier_and_the_seam_is_told() -> None:
    cloud = ToySource(" and two Fords.", tier=Tier.OPENAI)
    bench = Bench([ToySource("One Kia", LOST)], successor=cloud)
    agent = await bench.open()
    events = [event async for batch in agent for event in batch]
    assert events == [
        Served(Tier.ON_PREM, "toy", "replica-0"),
        Text("One Kia"),
        Seam(Tier.ON_PREM, Tier.OPENAI),
        Served(Tier.OPENAI, "toy", None),
        Text(" and two Fords."),
        Finished("stop"),
    ]
    assert bench.carried == ["One Kia"]
    assert agent.messages("")[-1]["content"] == "One Kia and two Fords."
    assert cloud.closed == 1


async def test_a_text_that_nobody_may_carry_on_ends_in_the_error() -> None:
    agent = await Bench([ToySource("One Kia", LOST)]).open()
    with pytest.raises(UpstreamLost):
        async for _ in agent:
            pass


async def test_half_a_call_after_text_is_not_carried_on() -> None:
    bench = Bench([ToySource("Let me look.", called("search", '{"ma'), LOST)], successor=ToySource("no"))
    agent = await bench.open()
    with pytest.raises(UpstreamLost):
        async for _ in agent:
            pass
    assert bench.carried == []


def test_the_successor_is_shown_what_was_said_and_told_to_go_on() -> None:
    *before, said_before, order = carried_on(ASKED, "One Kia")
    assert before == ASKED
    assert said_before == {"role": "assistant", "content": "One Kia"}
    assert order["role"] == "system"


# ---- leaving


async def test_what_was_said_before_the_client_left_is_remembered_and_the_source_closed() -> None:
    source = ToySource("Hello", STALL)
    agent = await Bench([source]).open()
    await anext(agent)
    await anext(agent)
    agent.close()
    agent.close()
    assert source.closed == 1
    assert agent.messages("") == [{"role": "assistant", "content": "Hello"}]
    assert not agent.done.whole
    with pytest.raises(StopAsyncIteration):
        await anext(agent)


async def test_an_agent_that_is_stopped_while_it_waits_ends_with_the_error() -> None:
    source = ToySource("Hello", STALL)
    agent = await Bench([source]).open()
    await anext(agent)
    await anext(agent)
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(_next(agent))
        await source.stalled.wait()
        agent.stop(Draining("stopping"))
    assert isinstance(reading.result(), Draining)


async def test_an_agent_that_is_stopped_between_two_rounds_asks_nobody_any_more() -> None:
    bench = Bench([ToySource(SEARCH), ToySource("Two.")])
    agent = await bench.open()
    while not isinstance((await anext(agent))[-1], ToolAnswered):
        pass
    agent.stop(Draining("stopping"))
    with pytest.raises(Draining):
        await anext(agent)
    assert len(bench.asked) == 1


async def test_a_break_after_the_order_to_stop_is_not_repaired() -> None:
    class Breaks(ToySource):
        def stop(self, error: GatewayError) -> None:
            """Too late: it breaks anyhow."""

    bench = Bench([Breaks(LOST), ToySource("again")])
    agent = await bench.open()
    await anext(agent)
    agent._stopped = None
    agent.stop(Draining("stopping"))
    with pytest.raises(GatewayError):
        await anext(agent)
    assert len(bench.asked) == 1


async def test_an_answer_that_opens_after_the_client_has_left_is_closed() -> None:
    opened = asyncio.Event()
    late = ToySource("late")

    class Slow(Bench):
        async def ask(self, messages: Sequence[Message], done: Done, *, final: bool) -> ToySource:
            if self.asked:
                await opened.wait()
            return await super().ask(messages, done, final=final)

    bench = Slow([ToySource(SEARCH), late])
    agent = await bench.open()
    while not isinstance((await anext(agent))[-1], ToolAnswered):
        pass
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(_next(agent))
        await asyncio.sleep(0)
        agent.close()
        opened.set()
    assert isinstance(reading.result(), StopAsyncIteration)
    assert late.closed == 1


async def _next(agent: Agent) -> Any:
    try:
        return await anext(agent)
    except (GatewayError, StopAsyncIteration) as error:
        return error


def test_counts_that_are_none_are_not_added() -> None:
    done = Done()
    done.add_usage({"prompt_tokens": 3, "completion_tokens": "many", "total_tokens": -1})
    done.add_usage({"prompt_tokens": 4})
    assert done.usage == {"prompt_tokens": 7}
