"""Judges what became of every request, and counts: whole, resumed, ended by a typed error, lost.

A request is lost unless its client can tell what it has: the whole answer, or a part of it and an error that says so.
Pure: the load generators bring `Result`s, and every file of the suite ends with `assert tally.lost == []`.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gateway.errors import GatewayError
from shared.headers import RESUMED
from shared.sse import DONE, Decoder

EVENT_STREAM = "text/event-stream"
PLAIN_TEXT = "text/plain"


def _leaves(kind: type[GatewayError]) -> Iterator[str]:
    yield kind.code
    for leaf in kind.__subclasses__():
        yield from _leaves(leaf)


CODES = frozenset(_leaves(GatewayError))
"""The closed set of error codes. A client may rely on it, so anything else is as good as no answer."""


@dataclass(frozen=True, slots=True)
class Result:
    """One request as its client met it. `status` is None where no head of an answer came.

    `ended` tells that the body ended as HTTP has it end; `failure` is what the client's library said otherwise.
    `left` marks a client that went away by itself: it is counted and asks for nothing.
    """

    status: int | None
    content_type: str = ""
    body: bytes = b""
    ended: bool = True
    failure: str = ""
    left: bool = False


class Lost(Exception):
    """The client cannot tell what it has; the message says why."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a stream of events says: its text by choice, how often it was resumed, its error's code, its usage."""

    texts: dict[int, str]
    resumed: int
    code: str | None
    usage: dict[str, Any] | None

    @property
    def text(self) -> str:
        return self.texts.get(0, "")


class Tally:
    """Counts over one run. `lost` holds a reason for each request that was."""

    def __init__(self) -> None:
        self.sent = 0
        self.whole = 0
        self.resumed = 0
        self.left = 0
        self.typed: Counter[str] = Counter()
        self.lost: list[str] = []

    def judge(self, result: Result, twin: str | None = None) -> None:
        """Counts one result. `twin` is the text of the same request's unbroken answer, where that is known."""
        self.sent += 1
        if result.left:
            self.left += 1
            return
        try:
            code, resumed = verdict(result, twin)
        except Lost as lost:
            self.lost.append(str(lost))
            return
        if code is not None:
            self.typed[code] += 1
            return
        self.whole += 1
        self.resumed += bool(resumed)

    def add(self, other: "Tally") -> None:
        """Takes another run's counts in."""
        self.sent += other.sent
        self.whole += other.whole
        self.resumed += other.resumed
        self.left += other.left
        self.typed.update(other.typed)
        self.lost += other.lost

    def __str__(self) -> str:
        codes = f" {dict(self.typed)}" if self.typed else ""
        left = f", left by the client {self.left}" if self.left else ""
        return (
            f"sent {self.sent}, whole {self.whole}, resumed {self.resumed}, "
            f"typed errors {self.typed.total()}{codes}{left}, lost {len(self.lost)}"
        )


def verdict(result: Result, twin: str | None = None) -> tuple[str | None, int]:
    """The code of the typed error, or None for a whole answer; and how often it was resumed. Raises Lost."""
    if result.status is None:
        raise Lost(f"no answer: {result.failure}")
    if not result.ended:
        raise Lost(f"{result.status}, torn after {len(result.body)} bytes: {result.failure}: {result.body[-200:]!r}")
    if result.status != 200:
        return _code_of(_json_of(result.body)), 0
    if result.content_type.startswith(EVENT_STREAM):
        heard = hear(result.body)
        _compare(heard.text, twin, whole=heard.code is None)
        return heard.code, heard.resumed
    if result.content_type.startswith(PLAIN_TEXT):
        _compare(result.body.decode(), twin, whole=True)
        return None, 0
    return None, _judge_json(_json_of(result.body), twin)


def hear(body: bytes) -> Heard:
    """Reads a stream of chunks that ended cleanly. Raises Lost where it is neither whole nor ends in a typed error."""
    decoder = Decoder()
    events = [event.data for event in decoder.feed(body) if event.data]
    if decoder.pending:
        raise Lost(f"ends inside an event: {decoder.pending[:200]!r}")
    if events.count(DONE) != 1 or events[-1] != DONE:
        raise Lost(f"ends without [DONE], or goes on after it: {events[-2:]!r}")
    told = [_json_of(event) for event in events[:-1]]
    code = None
    if told and "error" in told[-1]:
        code = _code_of(told.pop())
    if any("choices" not in chunk for chunk in told):
        raise Lost("an event that is no chunk, before the end")
    _one_answer(told, broken=code is not None)
    usages = [chunk["usage"] for chunk in told if chunk.get("usage") is not None]
    resumed = max((int(chunk.get(RESUMED, 0)) for chunk in told), default=0)
    return Heard(_texts(told), resumed, code, usages[-1] if usages else None)


def _one_answer(chunks: list[dict[str, Any]], *, broken: bool) -> None:
    """Whether these chunks are one answer and not two glued together."""
    if len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks}) != 1 and chunks:
        raise Lost(f"several ids: {sorted({chunk['id'] for chunk in chunks})}")
    roles: Counter[int] = Counter()
    finishes: Counter[int] = Counter()
    for choice in (choice for chunk in chunks for choice in chunk["choices"]):
        if finishes[choice["index"]] and choice["delta"].get("content"):
            raise Lost(f"text of choice {choice['index']} after its finish_reason")
        roles[choice["index"]] += "role" in choice["delta"]
        finishes[choice["index"]] += choice.get("finish_reason") is not None
    for index, count in roles.items():
        if count != 1:
            raise Lost(f"choice {index} has {count} role chunks")
        if finishes[index] > 1 or (finishes[index] == 0 and not broken):
            raise Lost(f"choice {index} has {finishes[index]} finish reasons")
    if not roles and not broken:
        raise Lost("a stream without any choice")


def _texts(chunks: list[dict[str, Any]]) -> dict[int, str]:
    texts: dict[int, str] = {}
    for choice in (choice for chunk in chunks for choice in chunk["choices"]):
        texts[choice["index"]] = texts.get(choice["index"], "") + (choice["delta"].get("content") or "")
    return texts


def _judge_json(answer: dict[str, Any], twin: str | None) -> int:
    choices = answer.get("choices")
    if not choices or any(choice.get("finish_reason") is None for choice in choices):
        raise Lost(f"200 without a finished choice: {str(answer)[:200]}")
    _compare(choices[0]["message"].get("content") or "", twin, whole=True)
    return 0


def _compare(text: str, twin: str | None, *, whole: bool) -> None:
    """A whole answer is its twin's, a broken one the beginning of it."""
    if twin is None or text == twin or (not whole and twin.startswith(text)):
        return
    common = next((i for i, (a, b) in enumerate(zip(text, twin, strict=False)) if a != b), min(len(text), len(twin)))
    raise Lost(
        f"not its unbroken twin from character {common}: {text[common : common + 60]!r}"
        f" for {twin[common : common + 60]!r}"
    )


def _code_of(body: dict[str, Any]) -> str:
    code = (body.get("error") or {}).get("code")
    if code not in CODES:
        raise Lost(f"an error of no code of ours: {str(body)[:200]}")
    return str(code)


def _json_of(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except ValueError:
        raise Lost(f"no JSON: {data[:200]!r}") from None
    if not isinstance(value, dict):
        raise Lost(f"no JSON object: {data[:200]!r}")
    return value
