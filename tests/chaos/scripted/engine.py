"""A small engine that generates as vLLM does at temperature 0, so that a resumed answer has an unbroken twin.

The next token is a function of all tokens before it, prompt or answer alike, and `kv_transfer_params.prompt_token_ids`
takes the prompt's place. So whoever hands over the right tokens gets the rest of the answer, and whoever hands over
one too many or one too few gets another answer. Some characters take two tokens, the first of which has no text.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from tests.support.upstream import MODEL, event

Body = Mapping[str, Any]

_WORDS = " the car| is| red| and| has|,| four| doors|.| We| sell| it|\n\n| today|!| für| 12|.500| €|ß| 東京|é| S|cou|t"
_TEXTS = tuple(text.encode() for text in _WORDS.split("|"))
HALF = len(_TEXTS)
"""The first half of a character: no text comes with it, and REST follows it always."""
REST = HALF + 1
END = HALF + 2
_CAR = " \N{AUTOMOBILE}".encode()
VOCABULARY = (*_TEXTS, _CAR[:3], _CAR[3:], b"")

DEFAULT_TOKENS = 32
ENDS_ONE_IN = 48


@dataclass(frozen=True, slots=True)
class Made:
    """One token, the text that comes with it, and how the answer ends if it ends here."""

    token_id: int
    text: str
    finish: str | None = None
    stop: str | None = None


def prompt_of(body: Body) -> list[int]:
    """The prompt's tokens: those handed over, or the messages', four bytes a token."""
    given = (body.get("kv_transfer_params") or {}).get("prompt_token_ids")
    if given is not None:
        return list(given)
    text = json.dumps(body["messages"], sort_keys=True).encode()
    return [int.from_bytes(text[at : at + 4], "little") for at in range(0, len(text), 4)]


def limit_of(body: Body) -> int:
    """The most tokens this request may get."""
    return int(body.get("max_completion_tokens") or body.get("max_tokens") or DEFAULT_TOKENS)


def generate(body: Body, index: int = 0) -> Iterator[Made]:
    """The answer, token by token. Stop strings are looked for in this leg's own text, as vLLM does."""
    state, last = index, -1
    for token_id in prompt_of(body):
        state, last = _after(state, token_id), token_id
    stops = [body["stop"]] if isinstance(body.get("stop"), str) else list(body.get("stop") or ())
    text, limit = "", limit_of(body)
    for count in range(1, limit + 1):
        token_id = _next(state, last, ends=not body.get("ignore_eos"))
        state, last = _after(state, token_id), token_id
        if token_id == END:
            yield Made(END, "", "stop")
            return
        piece = "" if token_id == HALF else (_CAR if token_id == REST else VOCABULARY[token_id]).decode()
        before, text = text, text + piece
        if (found := _first_stop(text, stops)) is not None:
            end, stop = found
            yield Made(token_id, text[len(before) : end], "stop", stop)
            return
        yield Made(token_id, piece, "length" if count == limit else None)


def twin(body: Body, index: int = 0) -> str:
    """The text of the unbroken answer as a client must see it."""
    text = "".join(made.text for made in generate(body, index))
    stops = [body["stop"]] if isinstance(body.get("stop"), str) else list(body.get("stop") or ())
    for stop in stops:
        if text.endswith(stop) and not body.get("include_stop_str_in_output"):
            return text.removesuffix(stop)
    return text


def token_ids(body: Body) -> list[int]:
    """The tokens of the unbroken answer."""
    return [made.token_id for made in generate(body)]


def events(body: Body, name: str) -> Iterator[bytes]:
    """The answer as a stream: the role, one chunk a token, the usage, [DONE]. Choices take turns."""
    prompt, wants_ids = prompt_of(body), bool(body.get("return_token_ids"))
    frame = {"id": name, "object": "chat.completion.chunk", "created": 1, "model": MODEL, "system_fingerprint": "f"}
    running = {index: generate(body, index) for index in range(body.get("n") or 1)}
    for index in running:
        role = {"index": index, "delta": {"role": "assistant", "content": ""}, "logprobs": None, "finish_reason": None}
        yield event({**frame, "choices": [role], **({"prompt_token_ids": prompt} if wants_ids else {})})
    count = 0
    while running:
        for index, answer in list(running.items()):
            made = next(answer)
            count += 1
            if made.finish is not None:
                del running[index]
            if made.text or made.finish or wants_ids:
                yield event({**frame, "choices": [_choice(made, index, body, wants_ids=wants_ids)]})
    yield event({**frame, "choices": [], "usage": usage(len(prompt), count)})
    yield event("[DONE]")


def whole(body: Body, name: str) -> bytes:
    """The answer in one piece."""
    made = list(generate(body))
    message = {"role": "assistant", "content": "".join(one.text for one in made)}
    choice = {"index": 0, "message": message, "finish_reason": made[-1].finish}
    frame = {"id": name, "object": "chat.completion", "created": 1, "model": MODEL, "choices": [choice]}
    return json.dumps({**frame, "usage": usage(len(prompt_of(body)), len(made))}).encode()


def usage(prompt: int, completion: int) -> dict[str, int]:
    """Token counts as vLLM gives them."""
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def log_odds(token_id: int) -> dict[str, Any]:
    """What a client that asks for logprobs is told of a token."""
    return {"token": str(token_id), "logprob": -1.0 / (token_id + 1), "bytes": None, "top_logprobs": []}


def _choice(made: Made, index: int, body: Body, *, wants_ids: bool) -> dict[str, Any]:
    odds = {"content": [log_odds(made.token_id)]} if body.get("logprobs") else None
    choice = {"index": index, "delta": {"content": made.text}, "logprobs": odds, "finish_reason": made.finish}
    if made.finish is not None:
        choice["stop_reason"] = made.stop
    return {**choice, "token_ids": [made.token_id]} if wants_ids else choice


def _next(state: int, last: int, *, ends: bool) -> int:
    if last == HALF:
        return REST
    if ends and state % ENDS_ONE_IN == 0:
        return END
    return state // ENDS_ONE_IN % (HALF + 1)


def _after(state: int, token_id: int) -> int:
    return crc32(token_id.to_bytes(4, "little"), state)


def _first_stop(text: str, stops: list[str]) -> tuple[int, str] | None:
    """Where the text ends by a stop string, and which: the one that is complete first."""
    ends = [(text.index(stop) + len(stop), place, stop) for place, stop in enumerate(stops) if stop in text]
    if not ends:
        return None
    end, _, stop = min(ends)
    return end, stop
