"""What goes wrong between us and vLLM, translated once: foreign exceptions and statuses in, our errors out.

A translation says two things: what the client is told, and what the failure means for the replica. Nginx stands
between: on a replica's own port its 502 means that the engine cannot be reached.
"""

from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json

from gateway.errors import (
    ContextLengthExceeded,
    GatewayError,
    InvalidRequest,
    Overloaded,
    RequestTooLarge,
    UpstreamProtocolError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from gateway.ports import AttemptFailed, Fault
from gateway.upstreams.http1 import ConnectFailed, Disconnected

MAX_MESSAGE_CHARS = 1000  # of the engine's explanation why it refuses a request; it may quote the request
MAX_RETRY_AFTER_S = 60  # the official clients do not wait longer

UNREACHABLE = "The model server cannot be reached. Try again in a few seconds."
BROKEN_OFF = "The model server broke off the connection. Try again."
FAULTY = "The model server answered with a fault of its own. Try again."


def from_exception(error: Exception) -> AttemptFailed:
    """The most specific match first. Timeouts of a whole attempt are not here: the attempt's owner has them."""
    detail = f"{type(error).__name__}: {error}"
    if isinstance(error, ConnectFailed):
        gone = UpstreamUnavailable(UNREACHABLE, retry_after_s=2, detail=detail)
        return AttemptFailed(gone, Fault.UNREACHABLE, reached=False)
    if isinstance(error, Disconnected):
        return AttemptFailed(UpstreamUnavailable(BROKEN_OFF, detail=detail), Fault.SUSPECT, cut=True)
    return AttemptFailed(UpstreamProtocolError(FAULTY, detail=detail), Fault.SUSPECT)


def from_status(status: int, body: bytes, retry_after: str | None, connected: str | None = None) -> AttemptFailed:
    """An answer that is not 200, told by its status and, where it is about the request, by its error object.

    `connected` is nginx's word on a 502 or 504 of its own: how long connecting to the engine took, or "-" where it
    could not; on the balanced port one of these for each replica tried (nginx 1.22: "-, 0.003").
    """
    explanation = _error_object(body)
    message = explanation.get("message")
    said = message[:MAX_MESSAGE_CHARS] if isinstance(message, str) else ""
    detail = f"HTTP {status}"
    if status in (400, 422):
        return AttemptFailed(_refused(said, explanation.get("param")), Fault.NONE)
    if status == 413:
        error: GatewayError = RequestTooLarge("The request is larger than the model server takes.", detail=detail)
        return AttemptFailed(error, Fault.NONE)
    if status in (429, 503):
        busy = Overloaded("The model is busy. Try again later.", retry_after_s=_seconds(retry_after), detail=detail)
        return AttemptFailed(busy, Fault.BUSY)
    if status in (401, 403):
        refused = UpstreamUnavailable(UNREACHABLE, detail=f"{detail}: the key towards on-prem is refused")
        return AttemptFailed(refused, Fault.UNREACHABLE)
    sent = connected is not None and any(character.isdigit() for character in connected)
    if status == 502 or (status == 504 and connected and not sent):
        # nginx cannot connect, or (502 only) the engine has died over the request.
        gone = UpstreamUnavailable(UNREACHABLE, retry_after_s=2, detail=detail)
        return AttemptFailed(gone, Fault.UNREACHABLE, cut=sent)
    if status == 504:
        return AttemptFailed(UpstreamTimeout("The model did not answer in time.", detail=detail), Fault.SUSPECT)
    if status == 500:
        return AttemptFailed(UpstreamUnavailable(FAULTY, detail=detail), Fault.SUSPECT)
    return AttemptFailed(UpstreamProtocolError(FAULTY, detail=detail), Fault.SUSPECT)


def in_band(error: Any) -> AttemptFailed:
    """An error object in the middle of a stream, where vLLM's `code` is the status it would have sent."""
    code = error.get("code") if isinstance(error, Mapping) else None
    message = error.get("message") if isinstance(error, Mapping) else None
    if code in (400, 422) and isinstance(message, str):
        return AttemptFailed(_refused(message[:MAX_MESSAGE_CHARS], None), Fault.NONE)
    return AttemptFailed(UpstreamUnavailable(FAULTY, detail=f"an error event, code {code!r}"), Fault.SUSPECT)


def _refused(message: str, param: Any) -> GatewayError:
    name = param if isinstance(param, str) else None
    if "maximum context length" in message:  # vLLM has no code of its own for it
        return ContextLengthExceeded(message, param=name)
    return InvalidRequest(message or "The model server refused the request as invalid.", param=name)


def _error_object(body: bytes) -> Mapping[str, Any]:
    try:
        parsed = from_json(body)
    except ValueError:
        return {}
    error = parsed.get("error") if isinstance(parsed, dict) else None
    return error if isinstance(error, dict) else {}


def _seconds(retry_after: str | None) -> int:
    if retry_after is None or not retry_after.isascii() or not retry_after.isdigit():
        return 1
    return min(max(int(retry_after), 1), MAX_RETRY_AFTER_S)
