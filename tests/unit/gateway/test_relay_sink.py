"""A stream that flows into a sink: what is ordinary goes there, and the iteration has the rest, in order."""

from collections.abc import AsyncIterator

import pytest

from gateway.ports import Chunk
from tests.unit.gateway.accounts import Accounts
from tests.unit.gateway.chunks import finish, text
from tests.unit.gateway.relay_bench import END, FIRST, REST, Bench, SeenClock, Start, benches, cut
from tests.unit.gateway.upstream_double import FlowingStream

pytestmark = pytest.mark.anyio


@pytest.fixture
async def start(accounts: Accounts) -> AsyncIterator[Start]:
    async with benches(accounts, SeenClock()) as start:
        yield start


class Told:
    """A sink, for as long as it is open; what it is told."""

    def __init__(self, room: int = 1000) -> None:
        self.chunks: list[Chunk] = []
        self._room = room

    @property
    def open(self) -> bool:
        return len(self.chunks) < self._room

    def tell(self, chunks: list[Chunk]) -> None:
        self.chunks += chunks

    @property
    def text(self) -> str:
        return "".join(chunk.text for chunk in self.chunks)


async def through(bench: Bench, sink: Told) -> str:
    """The text that came by iteration, the sink put in place after the first of it."""
    text = ""
    async for chunks in bench.relay:
        text += "".join(chunk.text for chunk in chunks)
        bench.relay.sink = sink
    return text


async def test_a_sink_has_what_flows_and_a_break_goes_on_into_it(start: Start) -> None:
    flows = FlowingStream(list(FIRST), [text("l", 12)], [text("a", 13)], cut())
    bench = await start(flows, FlowingStream(list(REST), [text("p", 14, leg=1)], *END))
    sink = Told()
    assert await through(bench, sink) == "Hello"
    assert sink.text == "lap"
    assert bench.resumes() == {"resumed": 1}
    assert [bench.accounts.line[name] for name in ("outcome", "completion_tokens")] == ["ok", 5]


async def test_a_sink_that_is_full_leaves_the_rest_to_the_iteration(start: Start) -> None:
    bench = await start(
        FlowingStream(list(FIRST), [text("l", 12)], [text("a", 13)], [text("p", 14)], [finish("stop", 4)], None)
    )
    sink = Told(room=1)
    assert await through(bench, sink) == "Helap"
    assert sink.text == "l"
    assert not bench.holds


async def test_a_comment_among_what_flows_is_no_progress_of_the_engine(start: Start) -> None:
    comment = Chunk(b": ping\n\n")
    bench = await start(FlowingStream(list(FIRST), [text("l", 12)], [comment], [finish("stop", 4)], None))
    sink = Told()
    assert await through(bench, sink) == "Hel"
    assert comment not in sink.chunks and sink.text == "l"
