"""The fixtures of the files that break real vLLM, and the table of what became of every request."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.chaos.front import Front, gateway_over
from tests.chaos.load import Twins, questions, unbroken
from tests.chaos.stack import Stack, StackDown, running
from tests.chaos.tally import Tally

SAID = pytest.StashKey[list[str]]()

AS_SHIPPED = "[chat]\ntemperature = 0.0\nmax_tokens = 160\n"
"""The conversation door samples; at temperature 0 its answers have twins too."""

SHORT_CLOCKS = (
    AS_SHIPPED
    + """
[health]
busy_interval_s = 0.5
failed_interval_s = 0.5
timeout_s = 2.0
stall_after_s = 4.0
canary_timeout_s = 2.0
"""
)
"""For what is found out by waiting only: the suite shall be short, and what the clocks decide is the same."""

Say = Callable[[str], None]


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SAID] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if lines := config.stash[SAID]:
        terminalreporter.section("what became of every request")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture
def say(request: pytest.FixtureRequest) -> Say:
    """Has a line shown at the end of the run, whether the test passes or not."""
    return request.config.stash[SAID].append


@pytest.fixture
def tally(request: pytest.FixtureRequest, say: Say) -> Iterator[Tally]:
    """The counts of one test, shown at the end of the run."""
    counts = Tally()
    yield counts
    say(f"{request.node.name}: {counts}")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    try:
        with running() as started:
            yield started
    except StackDown as error:
        pytest.exit(str(error), returncode=1)


@pytest.fixture(scope="session")
def gateway_url(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A gateway as it is shipped."""
    with gateway_over(stack, AS_SHIPPED, tmp_path_factory.mktemp("gateway")) as url:
        yield url


@pytest.fixture
async def front(stack: Stack, gateway_url: str) -> AsyncIterator[Front]:
    """The gateway as it is shipped, with two replicas at least."""
    async with Front(stack, gateway_url) as opened:
        yield opened


TwinsOf = Callable[[Front, int, int], Awaitable[Twins]]


@pytest.fixture(scope="session")
def twins_of() -> TwinsOf:
    """The unbroken answers to so many questions of each door, asked once, when they are first wanted."""
    known: dict[tuple[int, int], Twins] = {}

    async def twins(front: Front, completions: int, spoken_ones: int) -> Twins:
        asked = completions, spoken_ones
        if asked not in known:
            known[asked] = await unbroken(front.client, questions(*asked))
        return known[asked]

    return twins


Gateway = Callable[[str], str]


@pytest.fixture
def gateway(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Starts a gateway with other settings, for this test; takes the TOML, gives the URL."""
    with ExitStack() as gateways:
        yield lambda toml: gateways.enter_context(gateway_over(stack, toml, tmp_path_factory.mktemp("gateway")))
