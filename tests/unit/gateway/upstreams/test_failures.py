"""What a failure means: to the client (the error), to us (try again?), and of the replica (the fault)."""

import json
from typing import Any

import pytest

from gateway.ports import AttemptFailed, Fault
from gateway.upstreams.failures import MAX_MESSAGE_CHARS, from_exception, from_status, in_band
from gateway.upstreams.http1 import ConnectFailed, Disconnected, ProtocolBroken

ADDRESS = "100.64.0.7"
TOO_LONG = "This model's maximum context length is 32768 tokens. However, you requested 40000 tokens."


def error_body(**fields: Any) -> bytes:
    return json.dumps({"error": fields}).encode()


def meaning(failed: AttemptFailed) -> tuple[int, str, bool, Fault]:
    return failed.error.status, failed.error.code, failed.error.retryable, failed.fault


@pytest.mark.parametrize(
    ("status", "client_sees", "code", "retryable", "fault"),
    [
        (400, 400, "invalid_request", False, Fault.NONE),
        (422, 400, "invalid_request", False, Fault.NONE),
        (413, 413, "request_too_large", False, Fault.NONE),
        (429, 503, "overloaded", True, Fault.BUSY),
        (503, 503, "overloaded", True, Fault.BUSY),
        (401, 503, "upstream_unavailable", True, Fault.UNREACHABLE),
        (403, 503, "upstream_unavailable", True, Fault.UNREACHABLE),
        (502, 503, "upstream_unavailable", True, Fault.UNREACHABLE),
        (500, 503, "upstream_unavailable", True, Fault.SUSPECT),
        (504, 504, "upstream_timeout", True, Fault.SUSPECT),
        (404, 502, "upstream_protocol_error", True, Fault.SUSPECT),
        (301, 502, "upstream_protocol_error", True, Fault.SUSPECT),
        (204, 502, "upstream_protocol_error", True, Fault.SUSPECT),
        (418, 502, "upstream_protocol_error", True, Fault.SUSPECT),
    ],
)
@pytest.mark.parametrize(
    "body", [b"", b"<html>nginx</html>", error_body(message=ADDRESS)], ids=["no body", "HTML", "JSON"]
)
def test_each_status_means_one_thing_whatever_came_with_it(
    status: int, client_sees: int, code: str, retryable: bool, fault: Fault, body: bytes
) -> None:
    assert meaning(from_status(status, body, None)) == (client_sees, code, retryable, fault)


@pytest.mark.parametrize("status", [401, 403, 404, 413, 429, 500, 502, 503, 504])
def test_of_a_failure_that_is_not_about_the_request_the_client_gets_our_words(status: int) -> None:
    failed = from_status(status, error_body(message=f"traceback at {ADDRESS}"), None)
    assert ADDRESS not in failed.error.message
    assert (failed.error.detail or "").startswith(f"HTTP {status}")


@pytest.mark.parametrize("status", [400, 422])
def test_a_refusal_tells_the_client_what_the_engine_says_of_its_request(status: int) -> None:
    failed = from_status(status, error_body(message="top_p must be in (0, 1]", param="top_p"), None)
    assert (failed.error.message, failed.error.param) == ("top_p must be in (0, 1]", "top_p")


def test_a_refusal_is_not_kept_for_our_log_since_it_may_quote_the_request() -> None:
    assert from_status(400, error_body(message="cannot parse 'my card is 4111'"), None).error.detail is None


def test_a_long_refusal_is_cut() -> None:
    failed = from_status(400, error_body(message="x" * 5000), None)
    assert failed.error.message == "x" * MAX_MESSAGE_CHARS


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"\xff\xfe",
        b"[]",
        b'"text"',
        b"{}",
        b'{"error": "text"}',
        b'{"error": null}',
        error_body(),
        error_body(message=None),
        error_body(message={"no": "text"}, param=["no", "text"]),
        b'{"error": {"message": "cut off',
    ],
)
def test_a_refusal_without_a_readable_reason_has_one_of_ours(body: bytes) -> None:
    failed = from_status(400, body, None)
    assert failed.error.message == "The model server refused the request as invalid."
    assert failed.error.param is None


def test_a_prompt_that_does_not_fit_has_a_code_of_its_own() -> None:
    failed = from_status(400, error_body(message=TOO_LONG, param="input_tokens"), None)
    assert meaning(failed) == (400, "context_length_exceeded", False, Fault.NONE)
    assert (failed.error.message, failed.error.param) == (TOO_LONG, "input_tokens")


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        (None, 1),
        ("", 1),
        ("0", 1),
        ("7", 7),
        ("60", 60),
        ("3600", 60),
        ("1.5", 1),
        ("-3", 1),
        ("²", 1),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 1),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_replica_says_when_to_come_again_within_what_clients_obey(
    status: int, retry_after: str | None, seconds: int
) -> None:
    assert from_status(status, b"", retry_after).error.retry_after_s == seconds


@pytest.mark.parametrize(
    ("error", "code", "fault", "cut", "reached"),
    [
        pytest.param(
            ConnectFailed(f"ConnectionRefusedError: {ADDRESS}"),
            *("upstream_unavailable", Fault.UNREACHABLE, False, False),
            id="no connection",
        ),
        pytest.param(
            Disconnected(f"reset by {ADDRESS}", answered=False, reused=False),
            *("upstream_unavailable", Fault.SUSPECT, True, True),
            id="broken off before a word",
        ),
        pytest.param(
            Disconnected(f"reset by {ADDRESS}", answered=True, reused=True),
            *("upstream_unavailable", Fault.SUSPECT, True, True),
            id="broken off in the body",
        ),
        pytest.param(
            ProtocolBroken(f"not HTTP: {ADDRESS}"),
            *("upstream_protocol_error", Fault.SUSPECT, False, True),
            id="anything else",
        ),
    ],
)
def test_each_broken_connection_may_be_tried_elsewhere(
    error: Exception, code: str, fault: Fault, cut: bool, reached: bool
) -> None:
    failed = from_exception(error)
    assert (failed.error.code, failed.error.retryable, failed.fault) == (code, True, fault)
    assert (failed.cut, failed.reached) == (cut, reached)
    assert ADDRESS not in failed.error.message
    assert failed.error.detail == f"{type(error).__name__}: {error}"


@pytest.mark.parametrize(
    ("status", "connected", "cut"),
    [
        *((502, None, False), (502, "", False), (502, "-", False), (502, "0.002", True), (500, "0.002", False)),
        # On the balanced port: one value for each replica tried.
        *((502, "-, -", False), (502, "-, 0.003", True), (502, "0.000, -", True)),
    ],
)
def test_an_engine_that_dies_over_a_request_is_told_from_one_that_is_gone(
    status: int, connected: str | None, cut: bool
) -> None:
    failed = from_status(status, b"", None, connected)
    assert (failed.cut, failed.reached) == (cut, True)


@pytest.mark.parametrize(
    ("connected", "code", "fault"),
    [
        ("-", "upstream_unavailable", Fault.UNREACHABLE),
        ("0.001", "upstream_timeout", Fault.SUSPECT),
        (None, "upstream_timeout", Fault.SUSPECT),
        ("", "upstream_timeout", Fault.SUSPECT),
    ],
)
def test_an_engine_that_nginx_connects_to_in_vain_is_gone_and_one_that_is_silent_is_late(
    connected: str | None, code: str, fault: Fault
) -> None:
    failed = from_status(504, b"", None, connected)
    assert (failed.error.code, failed.fault, failed.cut) == (code, fault, False)


@pytest.mark.parametrize(
    ("error", "code", "fault"),
    [
        ({"message": "bad grammar", "code": 400}, "invalid_request", Fault.NONE),
        ({"message": "bad grammar", "code": 422}, "invalid_request", Fault.NONE),
        ({"message": TOO_LONG, "code": 400}, "context_length_exceeded", Fault.NONE),
        ({"message": "EngineCore died", "code": 500}, "upstream_unavailable", Fault.SUSPECT),
        ({"message": None, "code": 400}, "upstream_unavailable", Fault.SUSPECT),
        ({"message": "no code"}, "upstream_unavailable", Fault.SUSPECT),
        ("just text", "upstream_unavailable", Fault.SUSPECT),
        (["a", "list"], "upstream_unavailable", Fault.SUSPECT),
    ],
)
def test_an_error_in_a_stream_means_what_its_code_would_have_meant_as_a_status(
    error: Any, code: str, fault: Fault
) -> None:
    failed = in_band(error)
    assert (failed.error.code, failed.fault) == (code, fault)


def test_an_error_in_a_stream_is_cut_and_only_told_where_it_is_about_the_request() -> None:
    assert in_band({"message": "x" * 5000, "code": 400}).error.message == "x" * MAX_MESSAGE_CHARS
    died = in_band({"message": f"died at {ADDRESS}", "code": 500}).error
    assert ADDRESS not in died.message
    assert died.detail == "an error event, code 500"


def test_a_replica_that_cannot_be_reached_may_be_back_in_two_seconds() -> None:
    assert from_exception(ConnectFailed("refused")).error.retry_after_s == 2
    assert from_status(502, b"", None).error.retry_after_s == 2
