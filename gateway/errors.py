"""Every way a request can fail: one base, and leaves split by whose fault it is.

`code` is at once the code on the wire, the metrics' label and the log's field, so the set is closed: a new way to fail
is a new class here. Leaves carry constants only; they are rendered by each protocol's encoder in `gateway.wire`.
"""

from typing import ClassVar


class GatewayError(Exception):
    """`message` goes to the client: what is wrong and what to do; never an upstream's raw text, a key or an address.

    `param` names the request's field at fault, `retry_after_s` is when to come again, in whole seconds, and `detail`
    is for our own log. `spent` is set when our own tries, or the time for them, are used up: another round
    by the client's library would be as vain.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    type: ClassVar[str] = "server_error"
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        retry_after_s: int | None = None,
        detail: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s
        self.detail = detail
        self.spent = False


# ---- the caller's fault


class InvalidJson(GatewayError):
    """The body is not JSON, or not an object."""

    status, code, type = 400, "invalid_json", "invalid_request_error"


class InvalidField(GatewayError):
    """A known field is absent, or of the wrong type; `param` names it."""

    status, code, type = 422, "invalid_field", "invalid_request_error"


class InvalidRequest(GatewayError):
    """The request is well formed, and the model server refused it for what it says."""

    status, code, type = 400, "invalid_request", "invalid_request_error"


class ContextLengthExceeded(GatewayError):
    """Prompt and answer do not fit the model's context together."""

    status, code, type = 400, "context_length_exceeded", "invalid_request_error"


class Unauthenticated(GatewayError):
    """No key, or not one of ours."""

    status, code, type = 401, "invalid_api_key", "authentication_error"


class PathNotFound(GatewayError):
    """There is nothing at this path."""

    status, code, type = 404, "not_found", "invalid_request_error"


class MethodNotAllowed(GatewayError):
    """The path is right, the method is not."""

    status, code, type = 405, "method_not_allowed", "invalid_request_error"


class ModelNotFound(GatewayError):
    """A model that we do not serve."""

    status, code, type = 404, "model_not_found", "invalid_request_error"


class SessionNotFound(GatewayError):
    """No conversation of this caller has that id."""

    status, code, type = 404, "session_not_found", "invalid_request_error"


class ConversationBusy(GatewayError):
    """Another message of this conversation is being answered."""

    status, code, type, retryable = 409, "conversation_busy", "conflict_error", True


class RequestTooLarge(GatewayError):
    """The body is over the bound."""

    status, code, type = 413, "request_too_large", "invalid_request_error"


class ClientGone(GatewayError):
    """The client left before we had answered. Nobody reads this; the log and the metrics do (nginx's 499)."""

    status, code, type = 499, "client_gone", "client_error"


class QueueFull(GatewayError):
    """More is waiting than may wait, or a place did not come free in time; `retry_after_s` is from the drain rate."""

    status, code, type, retryable = 429, "queue_full", "overloaded_error", True


class DeadlineExceeded(GatewayError):
    """The deadline that the client set, or ours, passed; the message says where. In a stream it comes in-band."""

    status, code, type = 504, "deadline_exceeded", "deadline_error"


# ---- the upstream's fault


class UpstreamUnavailable(GatewayError):
    """No replica could be reached, or none is ready."""

    status, code, type, retryable = 503, "upstream_unavailable", "upstream_error", True


class UpstreamTimeout(GatewayError):
    """No first content before the deadline."""

    status, code, type, retryable = 504, "upstream_timeout", "upstream_error", True


class UpstreamProtocolError(GatewayError):
    """The replica answered something that is no chat completion."""

    status, code, type, retryable = 502, "upstream_protocol_error", "upstream_error", True


class UpstreamLost(GatewayError):
    """The stream broke after content had been sent: told in-band, since the status is long gone."""

    status, code, type, retryable = 502, "upstream_lost", "upstream_error", True


class Overloaded(GatewayError):
    """Every replica refuses more work for now."""

    status, code, type, retryable = 503, "overloaded", "overloaded_error", True


# ---- ours


class Draining(GatewayError):
    """This gateway is stopping: a stream that outlived its grace ends with this."""

    status, code, type, retryable = 503, "draining", "server_error", True


class StoreUnavailable(GatewayError):
    """The database does not answer."""

    status, code, type, retryable = 503, "store_unavailable", "server_error", True


class InternalError(GatewayError):
    """A fault of our own; the log has it under the request's id."""

    status, code, type = 500, "internal_error", "server_error"
