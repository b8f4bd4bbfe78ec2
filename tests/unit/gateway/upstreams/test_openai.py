"""The cloud as an upstream: what it is asked, what comes of its answers, and what each failure of it becomes."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.errors import DeadlineExceeded, Draining, Overloaded, UpstreamProtocolError, UpstreamTimeout
from gateway.errors import UpstreamUnavailable as Unavailable
from gateway.logs import make_log
from gateway.ports import AttemptFailed, Chunk, Fault, StoreFailed
from gateway.settings import Cloud as Settings
from gateway.stores.database import Database
from gateway.stores.egress import EgressLedger
from gateway.upstreams.http1 import Client
from gateway.upstreams.openai import OpenAiUpstream, asked, open_client
from shared import sse
from tests.support import cloud as acts
from tests.support.cleared import BODY, cleared
from tests.support.cloud import Act, Cloud, running_cloud
from tests.support.servers import free_port
from tests.support.upstream import event as upstream_event
from tests.unit.gateway.upstreams.cloud_bench import Bench, endless, read_all, read_failing
from tests.unit.gateway.upstreams.scripted_server import settle, until

pytestmark = pytest.mark.anyio

SOON_S = 0.05
"""A clock of the gateway's that a case waits for."""


@pytest.fixture
async def cloud() -> AsyncIterator[Cloud]:
    async with running_cloud() as cloud:
        yield cloud


@pytest.fixture
def client() -> Iterator[Client]:
    client = open_client(Settings())
    yield client
    client.close()


@pytest.fixture
def bench(cloud: Cloud, client: Client) -> Bench:
    return Bench(cloud, client)


# ---- what is sent


async def test_the_cloud_is_asked_for_a_stream_with_its_own_models_name(bench: Bench) -> None:
    stream = await bench.open()
    (sent,) = bench.cloud.received
    assert json.loads(sent) == {
        "model": acts.MODEL,
        "messages": BODY["messages"],
        "temperature": 0.2,
        "max_completion_tokens": 64,
        "stream": True,
        "stream_options": {"include_usage": True},
        "store": False,
    }
    assert bench.cloud.exchanges[0].path == "/v1/chat/completions"
    stream.close()


async def test_what_is_recorded_is_what_arrives(bench: Bench) -> None:
    stream = await bench.open()
    (entry,) = bench.ledger.entries
    assert [entry.body] == bench.cloud.received
    assert (entry.tenant, entry.conversation, entry.label) == ("summit", "c0ffee", "clear")
    assert (entry.request_id, entry.model) == ("req_1", acts.MODEL)
    stream.close()


async def test_the_ledger_on_disk_has_the_hash_of_what_arrived(bench: Bench, tmp_path: Path) -> None:
    with closing(Database(f"sqlite:///{tmp_path}/gateway.db")) as database:
        ledger = EgressLedger(database, lambda: 1_767_225_600.0)
        upstream = OpenAiUpstream(
            bench.client, Settings(), bench.cloud.base_url, acts.KEY, ledger, make_log(bench.logged)
        )
        (await upstream.open(cleared(), "req_1")).close()
        (entry,) = ledger.entries_now()
        assert ledger.verify_now().good
    (sent,) = bench.cloud.received
    assert (entry["bytes"], entry["body_sha256"]) == (len(sent), hashlib.sha256(sent).hexdigest())


def test_what_steers_our_engine_or_names_a_client_stays_here() -> None:
    ours = {"priority": 5, "cache_salt": "tenant", "return_token_ids": True, "user": "jane", "metadata": {"a": "b"}}
    body = {**BODY, **ours, "model": "llama-70b-scout", "n": 4, "stop": None}
    assert asked(body) == asked(BODY)


async def test_what_was_not_cleared_opens_nothing(bench: Bench) -> None:
    with pytest.raises(TypeError, match="only what the privacy step has cleared"):
        await bench.upstream().open(BODY, "req_1")  # type: ignore[arg-type]
    assert (bench.cloud.bytes_received, bench.ledger.entries) == (0, [])


async def test_what_cannot_be_recorded_is_not_sent(bench: Bench) -> None:
    def fail() -> None:
        raise StoreFailed("disk full")

    bench.ledger.on_append = fail
    failed = await bench.failure()
    assert (type(failed.error), failed.fault) == (Unavailable, Fault.NONE)
    assert bench.cloud.bytes_received == 0


# ---- an answer


async def test_an_answer_comes_chunk_by_chunk_with_its_usage(bench: Bench) -> None:
    stream = await bench.open(acts.says("Big", " trucks"))
    told = await read_all(stream)
    assert "".join(chunk.text for chunk in told) == "Big trucks"
    assert [chunk.finished for chunk in told if chunk.finished] == [((0, "stop"),)]
    assert told[-1].usage is not None
    assert told[-1].usage["completion_tokens"] == 3
    assert sse.Decoder().feed(told[1].raw)[0].data == json.dumps(*acts.words("Big"), separators=(",", ":")).encode()
    assert stream.over
    assert await stream.read() is None
    stream.close()
    await bench.all_closed()


async def test_a_tool_call_comes_in_its_pieces(bench: Bench) -> None:
    stream = await bench.open(acts.calls("search_inventory", make="Ford"))
    told = await read_all(stream)
    assert [chunk.tools for chunk in told] == [True, True, True, False, False]
    stream.close()


async def test_a_content_filter_ends_an_answer_as_a_reason(bench: Bench) -> None:
    stream = await bench.open(acts.says("I", finish_reason="content_filter"))
    assert ((0, "content_filter"),) in [chunk.finished for chunk in await read_all(stream)]
    stream.close()


async def test_chunks_that_come_while_one_waits_are_passed_on_as_long_as_more_is_wanted(bench: Bench) -> None:
    go_on = asyncio.Semaphore(0)
    stream = await bench.open(acts.on_command(go_on, "a", "b", "c"))
    passed: list[str] = []

    def pass_on(chunks: list[Chunk]) -> list[Chunk] | None:
        passed.extend(chunk.text for chunk in chunks)
        return chunks if passed[-1] == "c" else None

    assert [chunk.text for chunk in await stream.read() or ()] == [""]
    reading = asyncio.create_task(stream.read(pass_on))
    for number in (1, 2, 3):
        await settle()
        go_on.release()
        await until(lambda number=number: len(passed) == number)
    assert [chunk.text for chunk in await reading or ()] == ["c"]
    stream.close()


async def test_an_event_in_pieces_is_told_once_it_is_whole(bench: Bench) -> None:
    told = upstream_event(*acts.words("Hi"))

    async def in_pieces(exchange: acts.Exchange) -> None:
        await exchange.start_stream()
        for piece in (told[:20], told[20:]):
            await exchange.send_chunk(piece)
            await settle()
        await exchange.client_left.wait()

    stream = await bench.open(in_pieces)
    assert [chunk.raw for chunk in await stream.read() or ()] == [told]
    stream.close()


async def test_the_end_is_not_passed_on(bench: Bench) -> None:
    stream = await bench.open(acts.slowly(0.01, "a", "b"))
    passed: list[Chunk] = []

    def pass_on(chunks: list[Chunk]) -> list[Chunk] | None:
        passed.extend(chunks)
        return None

    told: list[Chunk] = []
    while (chunks := await stream.read(pass_on)) is not None:
        told += chunks
    assert "".join(chunk.text for chunk in (*passed, *told)) == "ab"
    assert stream.over
    stream.close()


# ---- closing


async def test_closing_in_the_middle_cuts_the_connection_at_once_and_may_be_done_again(bench: Bench) -> None:
    stream = await bench.open(acts.goes_silent("Hi"))
    stream.close()
    stream.close()
    assert bench.connections() == 0
    await until(bench.cloud.exchanges[0].client_left.is_set)
    assert not stream.over


async def test_an_opening_that_is_cancelled_leaves_nothing(bench: Bench) -> None:
    bench.cloud.script(acts.hang)
    tasks = asyncio.all_tasks()
    opening = asyncio.create_task(bench.upstream().open(cleared(), "req_1"))
    exchange = await bench.cloud.exchange(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert bench.connections() == 0
    await until(lambda: exchange.client_left.is_set() and asyncio.all_tasks() <= tasks)


async def test_a_reader_that_is_cancelled_can_close(bench: Bench) -> None:
    stream = await bench.open(acts.goes_silent("Hi"))
    reading = asyncio.create_task(read_all(stream))
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    stream.close()
    assert bench.connections() == 0


async def test_an_interruption_is_what_the_reader_is_told(bench: Bench) -> None:
    stream = await bench.open(acts.goes_silent("Hi"))
    reading = asyncio.create_task(read_failing(stream))
    await asyncio.sleep(0)
    stopped = AttemptFailed(Draining("stopping"), Fault.NONE)
    stream.interrupt(stopped)
    assert (await reading)[1] is stopped
    stream.close()


async def test_a_slow_reader_slows_the_cloud(bench: Bench) -> None:
    text = "x" * 32 * 1024
    stream = await bench.open(acts.says(*[text] * 400))
    held = bench.cloud.exchanges[0].writer.transport
    await until(held.get_write_buffer_size)
    assert sum(len(chunk.text) for chunk in await read_all(stream)) == 400 * len(text)
    stream.close()


# ---- failures


@pytest.mark.parametrize(
    ("act", "expected", "fault"),
    [
        pytest.param(acts.refuses(429, "rate_limit_exceeded", retry_after="7"), Overloaded, Fault.BUSY, id="limit"),
        pytest.param(acts.refuses(429, "insufficient_quota"), Unavailable, Fault.UNREACHABLE, id="credit"),
        pytest.param(acts.refuses(500), Unavailable, Fault.SUSPECT, id="fault"),
        pytest.param(acts.refuses(503), Overloaded, Fault.SUSPECT, id="overload"),
        pytest.param(acts.refuses(400, "context_length_exceeded"), Unavailable, Fault.NONE, id="refused"),
        pytest.param(acts.refuses(404, "model_not_found"), Unavailable, Fault.UNREACHABLE, id="no model"),
        pytest.param(acts.refuses(307), UpstreamProtocolError, Fault.SUSPECT, id="redirect"),
        pytest.param(acts.refuses(200), UpstreamProtocolError, Fault.SUSPECT, id="no stream"),
    ],
)
async def test_a_refusal_is_told_in_our_words(bench: Bench, act: Act, expected: type, fault: Fault) -> None:
    failed = await bench.failure(act)
    assert (type(failed.error), failed.fault) == (expected, fault)
    assert len(bench.cloud.received) == len(bench.ledger.entries) == 1, "the SDK must not try again"
    assert acts.SAID not in failed.error.message + bench.logged.getvalue()


async def test_the_time_to_come_again_is_the_clouds(bench: Bench) -> None:
    assert (await bench.failure(acts.refuses(429, retry_after="7"))).error.retry_after_s == 7


async def test_a_refused_key_is_logged_for_the_operator(bench: Bench) -> None:
    failed = await bench.failure(key="sk-a-key-that-is-wrong")
    assert failed.fault is Fault.UNREACHABLE
    line = json.loads(bench.logged.getvalue())
    assert (line["event"], line["request_id"], line["code"]) == ("cloud", "req_1", "upstream_unavailable")
    assert line["detail"] == "HTTP 401 invalid_api_key invalid_request_error"


async def test_a_cloud_that_nobody_serves_is_unreachable(bench: Bench) -> None:
    failed = await bench.failure(base_url=f"http://127.0.0.1:{free_port()}/v1")
    assert (type(failed.error), failed.fault, failed.reached) == (Unavailable, Fault.UNREACHABLE, False)


async def test_a_cloud_that_does_not_answer_is_given_up(bench: Bench) -> None:
    failed = await bench.failure(acts.hang, first_content_timeout_s=SOON_S)
    assert (type(failed.error), failed.fault) == (UpstreamTimeout, Fault.SUSPECT)
    await until(bench.cloud.exchanges[0].client_left.is_set)


async def test_a_connection_torn_before_the_answer_is_a_cut(bench: Bench) -> None:
    failed = await bench.failure(acts.reset_at_once)
    assert (type(failed.error), failed.fault, failed.cut) == (Unavailable, Fault.SUSPECT, True)


async def test_a_compressed_stream_is_refused(bench: Bench) -> None:
    async def compressed(exchange: acts.Exchange) -> None:
        await exchange.answer(200, b"\x1f\x8b", {"content-type": "text/event-stream", "content-encoding": "gzip"})

    assert isinstance((await bench.failure(compressed)).error, UpstreamProtocolError)


@pytest.mark.parametrize(
    ("act", "expected", "fault", "cut"),
    [
        pytest.param(acts.truncated("Hi"), Unavailable, Fault.SUSPECT, True, id="no [DONE]"),
        pytest.param(acts.breaks_off("Hi"), Unavailable, Fault.SUSPECT, True, id="torn"),
        pytest.param(acts.errs(None, "server_error", "Hi"), Unavailable, Fault.SUSPECT, False, id="error"),
        pytest.param(acts.errs("rate_limit_exceeded", "tokens", "Hi"), Overloaded, Fault.BUSY, False, id="limit"),
        pytest.param(
            acts.stream(*acts.words("Hi"), acts.DONE), Unavailable, Fault.SUSPECT, True, id="no finish_reason"
        ),
        pytest.param(
            acts.stream(*acts.words("Hi"), "{", acts.DONE),
            UpstreamProtocolError,
            Fault.SUSPECT,
            False,
            id="no JSON",
        ),
        pytest.param(
            endless("Hi"),
            UpstreamProtocolError,
            Fault.SUSPECT,
            False,
            id="too large",
        ),
    ],
)
async def test_a_broken_stream_says_what_came_and_then_how_it_broke(
    bench: Bench, act: Act, expected: type, fault: Fault, cut: bool
) -> None:
    stream = await bench.open(act)
    text, failed = await read_failing(stream)
    assert text == "Hi"
    assert (type(failed.error), failed.fault, failed.cut) == (expected, fault, cut)
    assert not stream.over
    stream.close()
    await bench.all_closed()


async def test_a_stream_that_falls_silent_is_given_up(bench: Bench) -> None:
    stream = await bench.open(acts.goes_silent("Hi"), idle_timeout_s=SOON_S)
    text, failed = await read_failing(stream)
    assert (text, type(failed.error), failed.fault) == ("Hi", UpstreamTimeout, Fault.SUSPECT)
    assert failed.error.detail == "the clock that ran out: idle"
    stream.close()


async def test_a_stream_without_content_is_given_up_though_it_is_not_idle(bench: Bench) -> None:
    stream = await bench.open(acts.goes_silent(), first_content_timeout_s=SOON_S)
    _, failed = await read_failing(stream)
    assert failed.error.detail == "the clock that ran out: first content"
    stream.close()


async def test_a_stream_without_end_is_ended(bench: Bench) -> None:
    stream = await bench.open(acts.goes_silent("Hi"), total_timeout_s=SOON_S)
    text, failed = await read_failing(stream)
    assert (text, type(failed.error), failed.fault) == ("Hi", DeadlineExceeded, Fault.NONE)
    stream.close()
