"""One entry per request, settled once, however the request ends."""

import asyncio
from collections.abc import Callable

import pytest

from gateway.errors import ClientGone, GatewayError, InvalidRequest, Overloaded, UpstreamLost
from gateway.ledger import OK, Entry
from tests.unit.gateway.accounts import Accounts
from tests.unit.gateway.manual_clock import ManualClock

FIELDS = [
    "timestamp",
    "level",
    "event",
    "request_id",
    "endpoint",
    "stream",
    "outcome",
    "detail",
    "key_id",
    "replica",
    "attempts",
    "resumed",
    "queued_s",
    "first_content_s",
    "duration_s",
    "finish_reason",
    "prompt_tokens",
    "completion_tokens",
]


UNTRUE = {"prompt_tokens": -4, "completion_tokens": 5}
"""What is left of an engine's count that is smaller than the tokens it was handed over."""


def say_ok(entry: Entry) -> None:
    entry.outcome = OK


def say_nothing(entry: Entry) -> None:
    pass


def say_lost(entry: Entry) -> None:
    entry.fail(UpstreamLost("Broken.", detail="cut"))


def raising(error: BaseException) -> Callable[[Entry], None]:
    def end(entry: Entry) -> None:
        raise error

    return end


ENDS = [
    pytest.param(say_ok, "ok", None, id="said to be ok"),
    pytest.param(say_lost, "upstream_lost", "cut", id="said to have failed"),
    pytest.param(say_nothing, "client_gone", None, id="nobody said"),
    pytest.param(raising(Overloaded("Busy.", detail="HTTP 503")), "overloaded", "HTTP 503", id="an error of ours"),
    pytest.param(raising(ClientGone("Left.")), "client_gone", None, id="the client left while it sent"),
    pytest.param(raising(asyncio.CancelledError()), "client_gone", None, id="cancelled"),
    pytest.param(raising(ZeroDivisionError()), "internal_error", "ZeroDivisionError", id="a fault of ours"),
]


@pytest.mark.parametrize(("end", "outcome", "detail"), ENDS)
def test_each_way_to_end_is_logged_and_counted_once(
    end: Callable[[Entry], None], outcome: str, detail: str | None, accounts: Accounts
) -> None:
    try:
        with accounts.ledger.open("chat", "req_1") as entry:
            assert accounts.count("scout_open_requests") == 1
            end(entry)
    except (GatewayError, asyncio.CancelledError, ZeroDivisionError):
        pass
    assert (accounts.line["outcome"], accounts.line["detail"]) == (outcome, detail)
    assert accounts.counted("scout_requests_total") == {("chat", outcome, "false"): 1}
    assert accounts.count("scout_request_duration_seconds_count", endpoint="chat", stream="false") == 1
    assert accounts.count("scout_open_requests") == 0


@pytest.mark.parametrize("error", [Overloaded("Busy."), asyncio.CancelledError(), ZeroDivisionError()], ids=repr)
def test_what_was_raised_goes_on(error: BaseException, accounts: Accounts) -> None:
    with pytest.raises(type(error)) as raised, accounts.ledger.open("chat", "req_1"):
        raise error
    assert raised.value is error


@pytest.mark.parametrize(
    ("error", "outcome"), [(Overloaded("Busy."), "overloaded"), (asyncio.CancelledError(), "client_gone")], ids=repr
)
def test_what_is_raised_overrules_what_was_said_before(error: BaseException, outcome: str, accounts: Accounts) -> None:
    with pytest.raises(type(error)), accounts.ledger.open("chat", "req_1") as entry:
        entry.outcome = OK
        raise error
    assert accounts.line["outcome"] == outcome


def test_an_entry_is_settled_only_once(accounts: Accounts) -> None:
    with accounts.ledger.open("chat", "req_1") as entry:
        entry.outcome = OK
    entry.fail(UpstreamLost("Too late."))
    entry.__exit__(None, None, None)
    assert accounts.line["outcome"] == "ok"
    assert accounts.counted("scout_requests_total") == {("chat", "ok", "false"): 1}
    assert accounts.count("scout_open_requests") == 0


def test_the_line_has_all_that_became_known(accounts: Accounts, clock: ManualClock) -> None:
    with accounts.ledger.open("chat_completions", "req_1") as entry:
        entry.key_id = "0a1b2c3d"
        entry.stream = True
        entry.attempt("replica-2")
        entry.attempt_ended("replica-2", "upstream_unavailable")
        entry.attempt("replica-0")
        entry.attempt_ended("replica-0", OK)
        entry.queued_s = 1.23456
        entry.resumed = 1
        entry.broke("replica-0", "upstream_unavailable")
        entry.resume("resumed")
        clock.advance(0.25)
        entry.first_content()
        entry.usage = {"prompt_tokens": 30, "completion_tokens": 5, "total_tokens": 35}
        entry.finish_reason = "stop"
        entry.outcome = OK
        clock.advance(1.00006)
    line = accounts.line
    assert list(line) == FIELDS
    assert [line[field] for field in FIELDS[2:]] == [
        *("request", "req_1", "chat_completions", True, "ok", None, "0a1b2c3d", "replica-0", 2),
        *(1, 1.2346, 0.25, 1.2501, "stop", 30, 5),
    ]
    assert accounts.counted("scout_requests_total") == {("chat_completions", "ok", "true"): 1}
    assert accounts.counted("scout_upstream_attempts_total") == {
        ("upstream_unavailable", "replica-2"): 1,
        ("ok", "replica-0"): 1,
    }
    assert accounts.counted("scout_streams_broken_total") == {("upstream_unavailable", "replica-0"): 1}
    assert accounts.counted("scout_resumes_total") == {("resumed",): 1}
    assert accounts.counted("scout_tokens_total") == {("prompt",): 30, ("completion",): 5}
    assert accounts.count("scout_time_to_first_token_seconds_sum", endpoint="chat_completions") == 0.25
    seconds = accounts.count("scout_request_duration_seconds_sum", endpoint="chat_completions", stream="true")
    assert seconds == pytest.approx(1.25006)


def test_the_line_of_a_request_that_came_to_nothing_has_the_same_fields(accounts: Accounts) -> None:
    with accounts.ledger.open("chat", "req_1"):
        pass
    assert list(accounts.line) == FIELDS
    line = accounts.line
    assert (line["first_content_s"], line["attempts"], line["resumed"], line["queued_s"]) == (None, 0, 0, 0)
    assert accounts.counted("scout_time_to_first_token_seconds_count") == {}


def test_a_try_is_booked_to_the_replica_that_it_was_at_whoever_is_tried_meanwhile(accounts: Accounts) -> None:
    with accounts.ledger.open("chat", "req_1") as entry:
        entry.attempt("replica-0")
        entry.attempt("replica-1")
        entry.attempt_ended("replica-0", "upstream_timeout")
    assert accounts.counted("scout_upstream_attempts_total") == {("upstream_timeout", "replica-0"): 1}
    assert (accounts.line["replica"], accounts.line["attempts"]) == ("replica-1", 2)


def test_no_text_of_a_message_is_logged_even_where_an_error_quotes_it(accounts: Accounts) -> None:
    with pytest.raises(InvalidRequest), accounts.ledger.open("chat", "req_1"):
        raise InvalidRequest("You wrote 'my card is 4111', which is too long.")
    with pytest.raises(ValueError, match="4111"), accounts.ledger.open("chat", "req_2"):
        raise ValueError("invalid literal: 'my card is 4111'")
    assert len(accounts.lines) == 2
    assert "4111" not in str(accounts.lines)


@pytest.mark.parametrize(
    "usage",
    [{}, {"prompt_tokens": 3}, {"prompt_tokens": 3, "completion_tokens": None}, {"prompt_tokens": "3"}, UNTRUE],
    ids=["none", "half of it", "null", "no number", "cannot be true"],
)
def test_tokens_are_counted_only_where_the_engine_gave_both_numbers(
    usage: dict[str, object], accounts: Accounts
) -> None:
    with accounts.ledger.open("chat", "req_1") as entry:
        entry.usage = usage
        entry.outcome = OK
    assert accounts.counted("scout_tokens_total") == {}
    assert accounts.line["outcome"] == "ok"


def test_requests_that_are_open_at_once_are_counted(accounts: Accounts) -> None:
    with accounts.ledger.open("chat", "req_1"), accounts.ledger.open("chat", "req_2"):
        assert accounts.count("scout_open_requests") == 2
    assert accounts.count("scout_open_requests") == 0


def test_a_round_s_tries_are_the_request_s_and_its_outcome_is_not(accounts: Accounts) -> None:
    with accounts.ledger.open("chat", "req_1") as entry:
        for replica, error in (("replica-0", None), ("replica-2", UpstreamLost("It broke."))):
            round_ = entry.round()
            round_.attempt(replica)
            round_.queued_s = 0.5
            round_.first_content()  # of a model, which is not yet that of the client
            if error is not None:
                round_.fail(error)
            entry.add(round_)
        entry.add(entry.round())  # one that came to nobody
        entry.outcome = OK
    line = accounts.line
    assert [line[name] for name in ("outcome", "replica", "attempts", "queued_s", "first_content_s")] == [
        "ok",
        "replica-2",
        2,
        1.0,
        None,
    ]


def test_facts_of_a_door_stand_in_the_line(accounts: Accounts) -> None:
    with accounts.ledger.open("chat", "req_1") as entry:
        entry.facts |= {"route": "general.greeting"}
        entry.outcome = OK
    assert accounts.line["route"] == "general.greeting"
