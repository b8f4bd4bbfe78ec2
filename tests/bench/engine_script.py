"""The bytes that the mock engine answers with, prepared once: chunks, answers and errors in the shape of vLLM 0.32."""

import json

from tests.bench.sse_source import WORDS

MODEL = "llama-70b-scout"
_ID = "chatcmpl-8bf138849e8d7539"
CREATED = 1793610000
PROMPT_IDS = [0, 2, 297, 3, *range(271, 411), 2, 291, 3, 271]
_FINGERPRINT = "vllm-0.32.0-27651f31"
_USAGE = {
    "prompt_tokens": len(PROMPT_IDS),
    "total_tokens": len(PROMPT_IDS) + 32,
    "completion_tokens": 32,
    "prompt_tokens_details": {"cached_tokens": 128, "created_cache_tokens": 0},
}
_DONE = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"


def _chunk(**fields: object) -> bytes:
    """One event in its HTTP chunk."""
    whole = {"id": _ID, "object": "chat.completion.chunk", "created": CREATED, "model": MODEL, **fields}
    event = b"data: " + json.dumps(whole, separators=(",", ":")).encode() + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(event), event)


def _choice(delta: dict[str, str], finish_reason: str | None, **more: object) -> list[dict[str, object]]:
    return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason, **more}]


class EngineScript:
    """The bytes of every stream, prepared once. `with_ids`: as vLLM answers to `return_token_ids`."""

    def __init__(self, with_ids: bool, with_usage: bool) -> None:
        def ids(token: int) -> list[int] | None:
            return [token] if with_ids else None

        self.first = _chunk(
            choices=_choice({"role": "assistant", "content": ""}, None),
            prompt_token_ids=PROMPT_IDS if with_ids else None,
            prompt_text=None,
        )
        self.middle = [
            _chunk(choices=_choice({"content": word}, None, token_ids=ids(825 + n))) for n, word in enumerate(WORDS)
        ]
        last = _choice({"content": "."}, "stop", stop_reason=None, token_ids=ids(980))
        if with_usage:
            usage = _chunk(choices=[], usage=_USAGE, system_fingerprint=_FINGERPRINT)
            self.last = _chunk(choices=last) + usage + _DONE
        else:
            self.last = _chunk(choices=last, system_fingerprint=_FINGERPRINT) + _DONE

    def event(self, index: int, chunks: int) -> bytes:
        """What is written for the event at `index` of an answer of `chunks` events, the role's among them."""
        if index == 0:
            return self.first
        return self.last if index == chunks - 1 else self.middle[index % len(self.middle)]


def whole_response(status: bytes, value: object, kind: bytes = b"application/json") -> bytes:
    """An answer of known length: of bytes as they are, or of anything else as JSON."""
    body = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    head = b"HTTP/1.1 %b\r\ndate: Mon, 02 Nov 2026 09:00:00 GMT\r\nserver: uvicorn\r\ncontent-length: %d\r\n"
    return head % (status, len(body)) + b"content-type: " + kind + b"\r\n\r\n" + body


NOT_FOUND = whole_response(b"404 Not Found", {"detail": "Not Found"})
RENDER_IS_OFF = whole_response(
    b"403 Forbidden",
    {
        "error": {
            "message": "Scale-out endpoints are disabled. Restart vllm serve with --enable-scale-out to enable them.",
            "type": "PermissionDeniedError",
            "param": None,
            "code": 403,
        }
    },
)


def whole_text(tokens: int) -> str:
    """The text of an answer of that many tokens: what a client must have got in the end."""
    return "".join(WORDS[n % len(WORDS)] for n in range(1, tokens)) + "."


def json_answer(with_ids: bool) -> bytes:
    """The JSON answer of 32 tokens."""
    message = {"role": "assistant", "content": whole_text(32), "refusal": None, "reasoning": None}
    ids = list(range(825, 857)) if with_ids else None
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop", "token_ids": ids}
    whole = {
        "id": _ID,
        "object": "chat.completion",
        "created": CREATED,
        "model": MODEL,
        "choices": [choice],
        "system_fingerprint": _FINGERPRINT,
        "usage": _USAGE,
        "prompt_token_ids": PROMPT_IDS if with_ids else None,
    }
    return whole_response(b"200 OK", whole)
