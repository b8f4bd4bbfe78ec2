"""What each failure of the cloud's means: for the client, for the circuit, and for our log."""

import httpx2
import openai
import pytest

from gateway.errors import GatewayError, Overloaded, UpstreamProtocolError, UpstreamTimeout, UpstreamUnavailable
from gateway.ports import Fault
from gateway.upstreams.cloud_failures import MAX_RETRY_AFTER_S, from_exception, from_status, in_band, late
from gateway.upstreams.egress import NotRecorded
from gateway.upstreams.http1 import ConnectFailed, Disconnected, ProtocolBroken
from tests.support.cloud import SAID, error

REQUEST = httpx2.Request("POST", "http://cloud.example/v1/chat/completions")


@pytest.mark.parametrize(
    ("status", "code", "expected", "fault"),
    [
        (400, "context_length_exceeded", UpstreamUnavailable, Fault.NONE),
        (401, "invalid_api_key", UpstreamUnavailable, Fault.UNREACHABLE),
        (403, None, UpstreamUnavailable, Fault.UNREACHABLE),
        (404, "model_not_found", UpstreamUnavailable, Fault.UNREACHABLE),
        (408, None, UpstreamTimeout, Fault.SUSPECT),
        (413, None, UpstreamUnavailable, Fault.NONE),
        (422, None, UpstreamUnavailable, Fault.NONE),
        (429, "rate_limit_exceeded", Overloaded, Fault.BUSY),
        (429, "insufficient_quota", UpstreamUnavailable, Fault.UNREACHABLE),
        (500, None, UpstreamUnavailable, Fault.SUSPECT),
        (502, None, UpstreamUnavailable, Fault.SUSPECT),
        (503, None, Overloaded, Fault.SUSPECT),
        (504, None, UpstreamTimeout, Fault.SUSPECT),
        (307, None, UpstreamProtocolError, Fault.SUSPECT),
        (418, None, UpstreamProtocolError, Fault.SUSPECT),
    ],
)
def test_a_status_says_whose_fault_it_is(
    status: int, code: str | None, expected: type[GatewayError], fault: Fault
) -> None:
    failed = from_status(status, error(code, "scripted"))
    assert (type(failed.error), failed.fault, failed.cut) == (expected, fault, False)
    assert failed.error.status >= 500, "another tier may still answer"
    assert failed.error.detail == " ".join(["HTTP", str(status), *([code] if code else []), "scripted"])


@pytest.mark.parametrize("body", [error("bad", "x"), SAID, None, [SAID], {"code": SAID, "type": 5}])
def test_the_clouds_own_words_go_neither_to_the_client_nor_to_the_log(body: object) -> None:
    told = from_status(400, body).error
    assert SAID not in f"{told.message} {told.detail}"


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("7", 7),
        ("0", 1),
        ("86400", MAX_RETRY_AFTER_S),
        (None, 1),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 1),
        ("-5", 1),
        ("\N{SUPERSCRIPT TWO}", 1),
    ],
)
def test_a_busy_cloud_says_when_to_come_again(given: str | None, seconds: int) -> None:
    assert from_status(429, None, given).error.retry_after_s == seconds
    assert from_status(503, None, given).error.retry_after_s == seconds


@pytest.mark.parametrize(
    ("body", "expected", "fault"),
    [
        (error("server_error", "server_error"), UpstreamUnavailable, Fault.SUSPECT),
        (error("rate_limit_exceeded", "tokens"), Overloaded, Fault.BUSY),
        (error("insufficient_quota", "insufficient_quota"), UpstreamUnavailable, Fault.UNREACHABLE),
        (SAID, UpstreamUnavailable, Fault.SUSPECT),
        ({"code": 500}, UpstreamUnavailable, Fault.SUSPECT),
    ],
)
def test_an_error_event_says_whose_fault_it_is(body: object, expected: type[GatewayError], fault: Fault) -> None:
    failed = in_band(body)
    assert (type(failed.error), failed.fault) == (expected, fault)
    assert SAID not in f"{failed.error.message} {failed.error.detail}"


def test_what_could_not_be_recorded_is_our_own_fault() -> None:
    assert from_exception(NotRecorded("StoreFailed")).fault is Fault.NONE


def test_a_cloud_without_a_connection_is_gone() -> None:
    failed = from_exception(ConnectFailed("refused"))
    assert (failed.fault, failed.reached, failed.cut) == (Fault.UNREACHABLE, False, False)


def test_a_connection_that_breaks_is_a_cut() -> None:
    failed = from_exception(Disconnected("gone", answered=True, reused=False))
    assert (failed.fault, failed.reached, failed.cut) == (Fault.SUSPECT, True, True)


def test_an_error_of_the_sdks_is_told_by_its_status_and_its_body() -> None:
    response = httpx2.Response(429, headers={"retry-after": "4"}, request=REQUEST)
    failed = from_exception(openai.RateLimitError(SAID, response=response, body=error("slow_down", "requests")))
    assert (failed.error.retry_after_s, failed.error.detail) == (4, "HTTP 429 slow_down requests")


def test_of_another_error_of_the_sdks_only_its_kind_is_told() -> None:
    failed = from_exception(openai.APIConnectionError(message=SAID, request=REQUEST))
    assert (failed.error.detail, failed.fault) == ("APIConnectionError", Fault.SUSPECT)


def test_what_is_not_http_is_a_fault() -> None:
    assert isinstance(from_exception(ProtocolBroken("no head")).error, UpstreamProtocolError)


def test_a_clock_that_runs_out_is_a_timeout() -> None:
    failed = late("idle")
    assert (type(failed.error), failed.fault, failed.error.detail) == (UpstreamTimeout, Fault.SUSPECT, "idle")
