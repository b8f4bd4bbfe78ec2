"""OpenAI's dialect: the stream of chunks, and the error object in a body or in a stream.

Chunks pass through as the bytes in which they came. One thing is taken out: the usage chunk, which we always ask for
and many clients cannot read (they index `choices[0]`), unless this client asked for it too.
"""

import json
from collections.abc import Sequence
from typing import Any

from gateway.errors import GatewayError
from gateway.ports import Chunk
from shared import sse

CONTENT_TYPE = "text/event-stream; charset=utf-8"


def error_body(error: GatewayError, request_id: str) -> bytes:
    """The JSON of an error, `{"error": {...}}`."""
    detail: dict[str, Any] = {
        "message": error.message,
        "type": error.type,
        "param": error.param,
        "code": error.code,
        "request_id": request_id,
        "retryable": error.retryable,
    }
    if error.retry_after_s is not None:
        detail["retry_after"] = error.retry_after_s
    return json.dumps({"error": detail}, ensure_ascii=False, separators=(",", ":")).encode()


class OpenAiEncoder:
    """Server-sent events as OpenAI's clients read them."""

    content_type = CONTENT_TYPE

    def __init__(self, request_id: str, *, wants_usage: bool) -> None:
        self._request_id = request_id
        self._wants_usage = wants_usage

    def encode(self, chunks: Sequence[Chunk]) -> bytes:
        """The bytes to send for these chunks; b"" if there is nothing to say."""
        if self._wants_usage:
            return b"".join([chunk.raw for chunk in chunks])
        return b"".join([chunk.raw for chunk in chunks if not (chunk.usage is not None and not chunk.body["choices"])])

    def end(self) -> bytes:
        """What closes a whole answer."""
        return sse.encode(sse.DONE)

    def fail(self, error: GatewayError) -> bytes | None:
        """What closes a broken answer: an error the clients raise, then [DONE]."""
        return sse.encode(error_body(error, self._request_id)) + sse.encode(sse.DONE)
