import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from tests.chaos.scripted.replica import Fault, replicas
from tests.chaos.scripted.stage import SHORT, Stage, until
from tests.chaos.tally import Tally
from tests.contract.gateway.conftest import Gate, gateway_over

__all__ = ["gateway_over"]

StageOf = Callable[..., AbstractAsyncContextManager[Stage]]

TALLIES = pytest.StashKey[dict[str, Tally]]()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def stage(gateway_over: Gate, request: pytest.FixtureRequest) -> StageOf:
    """Sets a stage: a gateway over so many replicas, with short clocks. When it is left nothing may be held."""

    @asynccontextmanager
    async def set_up(count: int = 3, **slices: Any) -> AsyncIterator[Stage]:
        settings = {**slices, **{name: {**short, **slices.get(name, {})} for name, short in SHORT.items()}}
        before = asyncio.all_tasks()
        faults: deque[Fault | None] = deque()
        async with replicas(count, faults) as found:
            async with gateway_over(*[one.upstream for one in found], **settings) as front:
                set_stage = Stage(front, found, faults)
                try:
                    yield set_stage
                finally:
                    print(set_stage.tally, *set_stage.tally.lost, sep="\n")  # shown where the test fails
                await set_stage.settle()
        await until(lambda: asyncio.all_tasks() <= before)  # no task outlives the gateway
        tally = set_stage.tally
        request.config.stash.setdefault(TALLIES, defaultdict(Tally))[request.path.name].add(tally)
        assert tally.lost == []
        assert [wrong for one in found for wrong in one.wrong] == []

    return set_up


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    tallies = config.stash.get(TALLIES, {})
    if tallies:
        terminalreporter.section("what became of the requests")
    for name, tally in sorted(tallies.items()):
        terminalreporter.line(f"{name:32} {tally}")
