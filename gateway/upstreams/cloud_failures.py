"""What goes wrong between us and the cloud, translated once: exceptions, statuses and error events in, our errors out.

Differs from `gateway.upstreams.failures` in what a status means there: a refusal for what the request says is no
verdict for the client, whom another tier may still answer, and a refused key or an empty account takes the cloud out.
Promises: of the cloud's own words nothing goes on, for they may quote the request; its error codes go to our log.
"""

import re
from collections.abc import Mapping
from typing import Any

import openai

from gateway.errors import GatewayError, Overloaded, UpstreamProtocolError, UpstreamTimeout, UpstreamUnavailable
from gateway.ports import AttemptFailed, Fault
from gateway.upstreams.egress import NotRecorded
from gateway.upstreams.failures import MAX_RETRY_AFTER_S
from gateway.upstreams.http1 import ConnectFailed, Disconnected

UNREACHABLE = "The cloud's model cannot be reached. Try again later."
REFUSED = "The cloud's model does not take this request."
BUSY = "The cloud's model is busy. Try again later."
BROKEN_OFF = "The cloud's model broke off the connection. Try again."
FAULTY = "The cloud's model answered with a fault of its own. Try again."
NOT_SENT = "The cloud's model could not be asked. Try again in a few seconds."
LATE = "The cloud's model did not answer in time."

OUT_OF_CREDIT = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
"""Codes of a 429 that waiting does not help against (OpenAI's guide to error codes)."""
OVERLOAD = frozenset({"rate_limit_exceeded", "slow_down", "overloaded_error"})
"""Codes and types of an error event that stand for the statuses 429 and 503."""

_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def from_exception(error: Exception) -> AttemptFailed:
    """The most specific match first. Timeouts of ours are not here: `late` is for their owner."""
    detail = f"{type(error).__name__}: {error}"
    if isinstance(error, NotRecorded):
        return AttemptFailed(UpstreamUnavailable(NOT_SENT, detail=detail), Fault.NONE)
    if isinstance(error, ConnectFailed):
        return AttemptFailed(UpstreamUnavailable(UNREACHABLE, detail=detail), Fault.UNREACHABLE, reached=False)
    if isinstance(error, Disconnected):
        return broken_off(detail)
    if isinstance(error, openai.APIStatusError):
        retry_after = error.response.headers.get("retry-after")
        return from_status(error.status_code, error.body, retry_after)
    if isinstance(error, openai.OpenAIError):  # its text may be the cloud's
        return faulty(type(error).__name__)
    return faulty(detail)


def from_status(status: int, error: object, retry_after: str | None = None) -> AttemptFailed:
    """An answer that is not 200. `error` is the error object of its body, or whatever came in its place."""
    codes = _codes(error)
    detail = " ".join([f"HTTP {status}", *codes])
    if status in (401, 403, 404) or OUT_OF_CREDIT.intersection(codes):
        # The key, the model's name or the account: an operator's matter, and every further request would be as vain.
        return AttemptFailed(UpstreamUnavailable(UNREACHABLE, detail=detail), Fault.UNREACHABLE)
    if status == 429:
        busy = Overloaded(BUSY, retry_after_s=_seconds(retry_after), detail=detail)
        return AttemptFailed(busy, Fault.BUSY)
    if status in (400, 413, 422):
        return AttemptFailed(UpstreamUnavailable(REFUSED, detail=detail), Fault.NONE)
    if status in (408, 504):
        return AttemptFailed(UpstreamTimeout(LATE, detail=detail), Fault.SUSPECT)
    if status == 503:  # of the whole service, not of our share of it: this does open the circuit
        down = Overloaded(BUSY, retry_after_s=_seconds(retry_after), detail=detail)
        return AttemptFailed(down, Fault.SUSPECT)
    answered: type[GatewayError] = UpstreamUnavailable if status >= 500 else UpstreamProtocolError
    return AttemptFailed(answered(FAULTY, detail=detail), Fault.SUSPECT)


def in_band(error: object) -> AttemptFailed:
    """An error object in the middle of a stream."""
    codes = _codes(error)
    detail = " ".join(["an error event", *codes])
    if OUT_OF_CREDIT.intersection(codes):
        return AttemptFailed(UpstreamUnavailable(UNREACHABLE, detail=detail), Fault.UNREACHABLE)
    if OVERLOAD.intersection(codes):
        return AttemptFailed(Overloaded(BUSY, detail=detail), Fault.BUSY)
    return AttemptFailed(UpstreamUnavailable(FAULTY, detail=detail), Fault.SUSPECT)


def broken_off(detail: str) -> AttemptFailed:
    """The connection, or the answer, ended before its end."""
    return AttemptFailed(UpstreamUnavailable(BROKEN_OFF, detail=detail), Fault.SUSPECT, cut=True)


def faulty(detail: str) -> AttemptFailed:
    """What came is no chat completion."""
    return AttemptFailed(UpstreamProtocolError(FAULTY, detail=detail), Fault.SUSPECT)


def late(detail: str) -> AttemptFailed:
    """A clock of ours ran out."""
    return AttemptFailed(UpstreamTimeout(LATE, detail=detail), Fault.SUSPECT)


def _codes(error: object) -> list[str]:
    """The error object's `code` and `type`, where they are identifiers and not sentences."""
    fields: Mapping[str, Any] = error if isinstance(error, Mapping) else {}
    named = (fields.get("code"), fields.get("type"))
    return [str(name) for name in named if isinstance(name, str | int) and _CODE.fullmatch(str(name))]


def _seconds(retry_after: str | None) -> int:
    if retry_after is None or not retry_after.isascii() or not retry_after.isdigit():
        return 1
    return min(max(int(retry_after), 1), MAX_RETRY_AFTER_S)
