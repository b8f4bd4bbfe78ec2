"""Chunks as vLLM 0.32 sends them, made from their bytes by the gateway's own reader: bytes and facts agree.

The first makers write single chunks, for tests that spell out a stream. `leg` is a whole stream of the toy engine's,
for tests that cut one anywhere and let another replica go on.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.ports import Chunk
from gateway.upstreams import events
from shared import sse
from tests.unit.gateway import toy_engine

PROMPT = toy_engine.PROMPT
MODEL = "llama-70b-scout"


def of(body: Mapping[str, Any]) -> Chunk:
    """The chunk of a body."""
    raw = sse.encode(json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode())
    (event,) = sse.Decoder().feed(raw)
    return events.chunk(event)


def frame(number: int = 0) -> dict[str, Any]:
    """What every chunk of a leg begins with; each leg has an identity of its own."""
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion.chunk",
        "created": 1700000000 + number,
        "model": MODEL,
    }


def role(index: int = 0, *, leg: int = 0, prompt: Sequence[int] = PROMPT) -> Chunk:
    """The first chunk: it says who speaks, and is no content. Without a `prompt` nobody has asked for ids."""
    choice = {"index": index, "delta": {"role": "assistant", "content": ""}, "logprobs": None, "finish_reason": None}
    ids = {"prompt_token_ids": list(prompt), "prompt_text": None} if prompt else {}
    return of({**frame(leg), "choices": [choice], **ids})


def text(content: str, *ids: int, index: int = 0, leg: int = 0, finish: str | None = None, **fields: Any) -> Chunk:
    """A piece of the answer and its tokens; `finish` ends the choice with it. `fields` join or replace the choice's."""
    ending = {"finish_reason": finish, "stop_reason": None} if finish else {"finish_reason": None}
    tokens = {"token_ids": list(ids)} if ids else {}
    delta = {"content": content} if content else {}
    choice = {"index": index, "delta": delta, "logprobs": None, **ending, **tokens, **fields}
    return of({**frame(leg), "choices": [choice]})


def finish(reason: str = "stop", *ids: int, index: int = 0, leg: int = 0) -> Chunk:
    """An ending without text."""
    return text("", *ids, index=index, leg=leg, finish=reason)


def usage(prompt: int, completion: int, *, leg: int = 0) -> Chunk:
    """The count, which comes last."""
    counted = {"prompt_tokens": prompt, "total_tokens": prompt + completion, "completion_tokens": completion}
    return of({**frame(leg), "choices": [], "usage": counted, "system_fingerprint": "vllm-0.32.0"})


def comment() -> Chunk:
    """A keep-alive, which says nothing."""
    return events.chunk(sse.Event(b": ping\n\n", b""))


def leg(script: bytes, body: Mapping[str, Any], sizes: Sequence[int] = (), number: int = 0) -> Iterator[Chunk]:
    """What the toy engine answers to `body`, with the odds of each token where they are asked for."""
    for answered in toy_engine.answer(script, dict(body), sizes):
        choices = [_shown(choice, body) for choice in answered["choices"]]
        yield of({**answered, **frame(number), "choices": choices})


def _shown(choice: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    ids = choice.get("token_ids") or []
    shown = {name: value for name, value in choice.items() if name != "token_ids"}
    if ids and body.get("logprobs"):
        shown["logprobs"] = {"content": [{"token": f"<{token}>", "logprob": -1.0} for token in ids]}
    if choice["finish_reason"] is not None:
        shown["stop_reason"] = None
    if ids and body.get("return_token_ids"):
        shown["token_ids"] = ids
    return shown
