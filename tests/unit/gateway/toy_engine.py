"""A replica in miniature, for tests of resuming: its tokens are bytes, and its model knows one text by heart.

It ends as vLLM does: at a stop string (left in the text), at the end of its text, or at the limit. Like vLLM it sends
tokens whose characters are not complete yet without text, and text only at a character's end.
"""

from collections.abc import Iterator, Sequence
from typing import Any

PROMPT = [1, 2, 3]
END = 0


def answer(script: bytes, body: dict[str, Any], sizes: Sequence[int]) -> Iterator[dict[str, Any]]:
    """The chunks of one leg, the n-th with `sizes[n]` tokens (1 when the sizes are used up)."""
    prompt = (body.get("kv_transfer_params") or {}).get("prompt_token_ids", PROMPT)
    assert prompt[: len(PROMPT)] == PROMPT
    assert bytes(prompt[len(PROMPT) :]) == script[: len(prompt) - len(PROMPT)], "the seam lost or made up a token"
    yield _chunk({"role": "assistant", "content": ""}, prompt_token_ids=prompt)
    left = [*script[len(prompt) - len(PROMPT) :], END]
    limit, stops, text, pending, told, sent = body.get("max_tokens"), body.get("stop", []), "", b"", "", 0
    batch: list[int] = []
    for place, token in enumerate(left, 1):
        batch.append(token)
        pending += b"" if token == END else bytes([token])
        if (whole := _decoded(pending)) is not None:
            text, pending = text + whole, b""
        stopped = any(stop in text for stop in stops)
        finish = "stop" if stopped or token == END else "length" if place == limit else None
        if finish or len(batch) >= (sizes[sent] if sent < len(sizes) else 1):
            yield _chunk({"content": text[len(told) :]}, batch, finish)
            told, batch, sent = text, [], sent + 1
        if finish:
            usage = {"prompt_tokens": len(prompt), "completion_tokens": place, "total_tokens": len(prompt) + place}
            yield {**_chunk({}), "choices": [], "usage": usage}
            return


def _decoded(pending: bytes) -> str | None:
    try:
        return pending.decode()
    except UnicodeDecodeError:
        return None


def _chunk(
    delta: dict[str, str], token_ids: list[int] | None = None, finish: str | None = None, **fields: Any
) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish, "token_ids": token_ids}
    return {"id": "chatcmpl-leg", "created": 7, "model": "m", "choices": [choice], **fields}
