"""OpenAI's dialect: the stream of chunks, and the error object in a body or in a stream.

Chunks pass through as the bytes in which they came. What we asked for and this client did not is taken out: the usage
chunk, which many clients cannot read (they index `choices[0]`), and the token ids.
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


def without_ids(raw: bytes) -> bytes:
    """The event without the token ids that we asked for and the client did not.

    Cut out of the bytes, since there is one event for each token. In JSON text a quote inside a string is escaped, so
    this key cannot be met inside of one.
    """
    return _cut(raw, b',"token_ids":[')


def without_prompt(raw: bytes) -> bytes:
    """The first event without the prompt's ids."""
    return _cut(_cut(raw, b',"token_ids":['), b',"prompt_token_ids":[').replace(b',"prompt_text":null', b"", 1)


def _cut(raw: bytes, key: bytes) -> bytes:
    start = raw.rfind(key)
    return raw if start < 0 else raw[:start] + raw[raw.index(b"]", start) + 1 :]


class OpenAiEncoder:
    """Server-sent events as OpenAI's clients read them."""

    content_type = CONTENT_TYPE
    headers: Sequence[tuple[str, str]] = ()

    def __init__(self, request_id: str, *, wants_usage: bool, wants_ids: bool = False) -> None:
        self._request_id = request_id
        self._wants_usage = wants_usage
        self._wants_ids = wants_ids

    def encode(self, chunks: Sequence[Chunk]) -> bytes:
        """The bytes to send for these chunks; b"" if there is nothing to say."""
        if len(chunks) == 1:  # which is what a stream at the pace of a model has
            return self._event(chunks[0])
        return b"".join([self._event(chunk) for chunk in chunks])

    def _event(self, chunk: Chunk) -> bytes:
        if chunk.usage is not None and not chunk.choices and not self._wants_usage:
            return b""
        if self._wants_ids:
            return chunk.raw
        if chunk.prompt_token_ids is not None:
            return without_prompt(chunk.raw)
        return without_ids(chunk.raw) if chunk.token_ids else chunk.raw

    def end(self) -> bytes:
        """What closes a whole answer."""
        return sse.encode(sse.DONE)

    def fail(self, error: GatewayError) -> bytes | None:
        """What closes a broken answer: an error the clients raise, then [DONE]."""
        return sse.encode(error_body(error, self._request_id)) + sse.encode(sse.DONE)
