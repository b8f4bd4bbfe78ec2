"""From a question to its first content: which replicas are tried, for how long, and what is given back."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from gateway.attempts import MAX_CHUNKS_BEFORE_CONTENT, Attempts, Opened
from gateway.errors import (
    GatewayError,
    InvalidRequest,
    Overloaded,
    UpstreamProtocolError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from gateway.health import State
from gateway.ledger import Entry
from gateway.ports import Answer, Fault
from gateway.routing import Pool
from gateway.settings import Health, OnPrem
from tests.unit.gateway.accounts import Accounts
from tests.unit.gateway.manual_clock import ManualClock
from tests.unit.gateway.upstream_double import (
    STALL,
    Read,
    ScriptedStream,
    ScriptedUpstream,
    Step,
    comment,
    failed,
    role,
    text,
)

pytestmark = pytest.mark.anyio

URLS = [f"http://site:808{n}" for n in (1, 2, 3)]
BODY = {"model": "llama-70b-scout", "messages": [{"role": "user", "content": "Hi"}]}
GONE = failed(UpstreamUnavailable("Cannot be reached.", detail="refused"), Fault.UNREACHABLE)
BUSY = failed(Overloaded("Busy.", retry_after_s=7), Fault.NONE)
REFUSED = failed(InvalidRequest("Your request is wrong."), Fault.NONE)
WHOLE = Answer(b"{}", {"choices": [{"index": 0}]}, {})


def streaming(*reads: Read) -> ScriptedStream:
    return ScriptedStream(*(reads or ([role()], [text("Hello")])))


@dataclass
class Bench:
    """Attempts over a replica for each script; `held` is what a request would hold."""

    attempts: Attempts
    upstream: ScriptedUpstream
    accounts: Accounts
    entry: Entry
    held: ExitStack = field(default_factory=ExitStack)

    @property
    def pool(self) -> Pool:
        return self.attempts.pool

    @property
    def in_flight(self) -> list[int]:
        return [replica.in_flight for replica in self.pool.replicas]

    @property
    def outcomes(self) -> dict[tuple[str, ...], float]:
        """How often each replica's tries came to what, by (outcome, replica)."""
        return self.accounts.counted("scout_upstream_attempts_total")

    async def stream(self) -> Opened:
        return await self.attempts.first_content(BODY, self.entry, self.held)

    async def whole(self) -> Answer:
        return await self.attempts.whole_answer(BODY, self.entry, self.held)

    async def fails(self, how: Callable[[], object]) -> GatewayError:
        with pytest.raises(GatewayError) as raised:
            await how()  # type: ignore[misc]
        assert self.in_flight == [0] * len(self.pool.replicas), "a try that failed must give its place back"
        return raised.value


@pytest.fixture
def bench(accounts: Accounts, clock: ManualClock):
    def make(
        *scripts: Sequence[Step], attempts: int = 2, timeout_s: float = 30, on_call: Callable[[str], None] | None = None
    ) -> Bench:
        pool = Pool(URLS[: len(scripts)], Health(), clock)
        for replica in pool.replicas:
            pool.report_probe(replica, Fault.NONE, "")
        upstream = ScriptedUpstream(dict(zip(URLS, scripts, strict=False)), on_call or (lambda url: None))
        settings = OnPrem(attempts=attempts, first_content_timeout_s=timeout_s)
        return Bench(Attempts(pool, upstream, settings), upstream, accounts, accounts.ledger.open("chat", "req_1"))

    return make


# ---- what works


async def test_the_question_goes_to_the_replica_as_it_is(bench) -> None:
    asked = bench([streaming()], [])
    await asked.stream()
    assert asked.upstream.calls == [("open", URLS[0], BODY, "req_1")]


async def test_a_stream_is_handed_over_at_its_first_content_with_all_that_came(bench) -> None:
    stream = streaming([role()], [comment(), text("Hel"), text("lo")], [text("!")])
    asked = bench([stream])
    opened = await asked.stream()
    assert (opened.replica.name, opened.stream) == ("replica-0", stream)
    assert opened.chunks == [role(), text("Hel"), text("lo")]
    assert stream.left == 1


async def test_a_stream_and_its_place_are_held_until_the_request_gives_them_back(bench) -> None:
    stream = streaming()
    asked = bench([stream])
    await asked.stream()
    assert (asked.in_flight, stream.closed) == ([1], False)
    asked.held.close()
    assert (asked.in_flight, stream.closed) == ([0], True)


async def test_a_whole_answer_holds_its_place_until_the_request_gives_it_back(bench) -> None:
    asked = bench([WHOLE])
    assert await asked.whole() is WHOLE
    assert asked.upstream.calls == [("ask", URLS[0], BODY, "req_1")]
    assert asked.in_flight == [1]
    asked.held.close()
    assert asked.in_flight == [0]


async def test_what_was_tried_is_booked(bench) -> None:
    asked = bench([GONE], [streaming()])
    await asked.stream()
    assert (asked.entry.replica, asked.entry.attempts) == ("replica-1", 2)
    assert asked.outcomes == {("upstream_unavailable", "replica-0"): 1, ("ok", "replica-1"): 1}


# ---- what is tried again


@pytest.mark.parametrize("failure", [GONE, BUSY], ids=["gone", "busy"])
async def test_a_failure_that_another_replica_may_not_have_is_tried_there(bench, failure: Exception) -> None:
    asked = bench([failure], [streaming()])
    assert (await asked.stream()).replica.name == "replica-1"
    whole = bench([failure], [WHOLE])
    assert await whole.whole() is WHOLE


async def test_a_try_gives_back_what_it_holds_before_the_next_one_starts(bench) -> None:
    broken = streaming([role()], GONE)
    seen = []
    asked = bench([broken], [streaming()], on_call=lambda url: seen.append((url, asked.in_flight, broken.closed)))
    await asked.stream()
    assert seen == [(URLS[0], [1, 0], False), (URLS[1], [0, 1], True)]


async def test_a_stream_that_breaks_before_content_is_tried_again_and_its_chunks_are_forgotten(bench) -> None:
    asked = bench([streaming([role()], GONE)], [streaming([role(), text("Hello")])])
    assert (await asked.stream()).chunks == [role(), text("Hello")]


async def test_no_replica_is_tried_twice(bench) -> None:
    asked = bench([GONE], [BUSY], attempts=5)
    await asked.fails(asked.stream)
    assert asked.upstream.asked == URLS[:2]


@pytest.mark.parametrize("attempts", [1, 2, 3])
async def test_no_more_replicas_are_tried_than_the_budget_allows(bench, attempts: int) -> None:
    asked = bench([GONE], [GONE], [GONE], attempts=attempts)
    await asked.fails(asked.stream)
    assert asked.upstream.asked == URLS[:attempts]


async def test_when_all_tries_fail_the_last_failure_is_told_and_the_client_need_not_try(bench) -> None:
    asked = bench([GONE], [BUSY])
    error = await asked.fails(asked.stream)
    assert error is BUSY.error
    assert error.spent


async def test_when_no_other_replica_is_ready_for_a_second_try_the_client_may_try(bench) -> None:
    asked = bench([GONE])
    assert not (await asked.fails(asked.stream)).spent


async def test_a_request_that_is_at_fault_is_not_tried_again(bench) -> None:
    asked = bench([REFUSED], [streaming()])
    error = await asked.fails(asked.stream)
    assert error is REFUSED.error
    assert error.__cause__ is REFUSED
    assert not error.spent
    assert asked.upstream.asked == URLS[:1]
    assert asked.outcomes == {("invalid_request", "replica-0"): 1}


async def test_a_fault_of_our_own_is_not_hidden_and_gives_everything_back(bench) -> None:
    stream = streaming([role()], ZeroDivisionError())
    asked = bench([stream], [streaming()])
    with pytest.raises(ZeroDivisionError):
        await asked.stream()
    assert (asked.in_flight, stream.closed) == ([0, 0], True)


# ---- what is no answer


@pytest.mark.parametrize(
    "reads",
    [
        pytest.param([None], id="the end at once"),
        pytest.param([[role()], None], id="the end after the role"),
        pytest.param([[role()] * (MAX_CHUNKS_BEFORE_CONTENT + 1)], id="chunks without content in one go"),
        pytest.param([[role()]] * (MAX_CHUNKS_BEFORE_CONTENT + 1), id="chunks without content one by one"),
    ],
)
async def test_a_stream_that_never_says_anything_is_tried_elsewhere_and_makes_suspect(bench, reads: list[Read]) -> None:
    silent = streaming(*reads)
    asked = bench([silent], [streaming()])
    assert (await asked.stream()).replica.name == "replica-1"
    assert silent.closed
    assert asked.outcomes[("upstream_protocol_error", "replica-0")] == 1
    assert asked.pool.seconds_until_probe(asked.pool.replicas[0]) == 0


async def test_content_just_within_the_bound_counts(bench) -> None:
    asked = bench([streaming(*[[role()]] * MAX_CHUNKS_BEFORE_CONTENT, [text("Hello")])])
    assert len((await asked.stream()).chunks) == MAX_CHUNKS_BEFORE_CONTENT + 1


async def test_keep_alive_comments_are_neither_kept_nor_counted(bench) -> None:
    asked = bench([streaming(*[[comment()]] * (2 * MAX_CHUNKS_BEFORE_CONTENT), [text("Hello")])])
    assert (await asked.stream()).chunks == [text("Hello")]


async def test_if_no_replica_does_better_the_client_is_told_so(bench) -> None:
    asked = bench([streaming(None)])
    assert isinstance(await asked.fails(asked.stream), UpstreamProtocolError)


# ---- what it says of the replica


@pytest.mark.parametrize(
    ("fault", "state", "probe_in_s"),
    [(Fault.NONE, State.READY, 30), (Fault.SUSPECT, State.READY, 0), (Fault.UNREACHABLE, State.FAILED, 1)],
    ids=lambda value: str(value),
)
async def test_a_failed_try_is_reported_of_its_replica(bench, fault: Fault, state: State, probe_in_s: float) -> None:
    asked = bench([failed(UpstreamUnavailable("No.", detail="why"), fault)], [streaming()])
    await asked.stream()
    tried, other = asked.pool.replicas
    assert (tried.belief.state, asked.pool.seconds_until_probe(tried)) == (state, probe_in_s)
    assert tried.belief.reason == ("why" if state is State.FAILED else "answers probes")
    assert (other.belief.state, asked.pool.seconds_until_probe(other)) == (State.READY, 30)


async def test_the_next_request_passes_over_a_replica_that_was_found_gone(bench) -> None:
    asked = bench([GONE], [streaming(), streaming()])
    await asked.stream()
    await asked.stream()
    assert asked.upstream.asked == [URLS[0], URLS[1], URLS[1]]


async def test_when_nobody_is_ready_the_client_is_told_to_come_again_and_we_are_told_why(bench) -> None:
    asked = bench([], [])
    for replica in asked.pool.replicas:
        asked.pool.report(replica, Fault.UNREACHABLE, "refused at 100.64.0.7")
    error = await asked.fails(asked.stream)
    assert isinstance(error, UpstreamUnavailable)
    assert (error.retry_after_s, error.spent, asked.upstream.asked) == (2, False, [])
    assert error.detail == "replica-0 failed: refused at 100.64.0.7, replica-1 failed: refused at 100.64.0.7"
    assert "100.64.0.7" not in error.message


# ---- the deadline. Its length is the only real time here: as short as can be, and never measured.


@pytest.mark.parametrize(
    "stalling",
    [
        pytest.param(lambda: STALL, id="no headers"),
        pytest.param(lambda: streaming(STALL), id="no chunk"),
        pytest.param(lambda: streaming([role()], STALL), id="no content"),
    ],
)
async def test_a_replica_that_does_not_begin_in_time_is_given_up(bench, stalling: Callable[[], Step]) -> None:
    step = stalling()
    asked = bench([step], [streaming()], timeout_s=0.01)
    error = await asked.fails(asked.stream)
    assert isinstance(error, UpstreamTimeout)
    assert error.spent
    assert "within 0.01 seconds" in error.message
    assert step is STALL or step.closed
    assert asked.outcomes == {("upstream_timeout", "replica-0"): 1}
    assert asked.pool.seconds_until_probe(asked.pool.replicas[0]) == 0


async def test_all_tries_share_one_deadline(bench) -> None:
    asked = bench([GONE], [STALL], [streaming()], attempts=3, timeout_s=0.01)
    assert isinstance(await asked.fails(asked.stream), UpstreamTimeout)
    assert asked.upstream.asked == URLS[:2]


async def test_a_whole_answer_has_the_deadline_too(bench) -> None:
    asked = bench([STALL], timeout_s=0.01)
    assert isinstance(await asked.fails(asked.whole), UpstreamTimeout)


# ---- the client leaves


@pytest.mark.parametrize("read", [[STALL], [[role()], STALL]], ids=["before a chunk", "before content"])
async def test_a_client_that_leaves_ends_the_try_and_is_nobodys_failure(bench, read: list[Read]) -> None:
    stream = streaming(*read)
    asked = bench([stream], [streaming()])
    believed = [replica.belief for replica in asked.pool.replicas]
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(asked.stream())
        await stream.stalled.wait()
        assert asked.in_flight == [1, 0]
        waiting.cancel()
    assert waiting.cancelled()
    assert (asked.in_flight, stream.closed, asked.upstream.asked) == ([0, 0], True, URLS[:1])
    assert [replica.belief for replica in asked.pool.replicas] == believed
    assert asked.outcomes == {}
