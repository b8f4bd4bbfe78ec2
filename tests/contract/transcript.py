"""A stream as it was received, whole, and the questions that the cases ask of it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import httpx

from shared.sse import DONE, Decoder

Chunk = dict[str, Any]


@dataclass(frozen=True)
class Transcript:
    """`chunks` are the JSON events before `[DONE]`, `after_done` the bytes after it; comments are left out."""

    status: int
    headers: httpx.Headers
    chunks: tuple[Chunk, ...]
    done: bool
    after_done: bytes

    def choices(self, index: int = 0) -> list[dict[str, Any]]:
        """That choice's part of every chunk that has one."""
        return [choice for chunk in self.chunks for choice in chunk["choices"] if choice["index"] == index]

    def deltas(self, field: str, index: int = 0) -> list[Any]:
        """The field's value in every delta that carries one; an empty string is none."""
        return [choice["delta"][field] for choice in self.choices(index) if choice["delta"].get(field)]

    def text(self, index: int = 0) -> str:
        return "".join(self.deltas("content", index))

    def finishes(self, index: int = 0) -> list[str]:
        return [choice["finish_reason"] for choice in self.choices(index) if choice["finish_reason"] is not None]

    def usages(self) -> list[dict[str, Any]]:
        return [chunk["usage"] for chunk in self.chunks if chunk.get("usage") is not None]

    def tool_calls(self, index: int = 0) -> list[dict[str, Any]]:
        """The calls put together as OpenAI's clients do: by `index`, arguments joined."""
        calls: dict[int, dict[str, Any]] = {}
        for part in (part for parts in self.deltas("tool_calls", index) for part in parts):
            call = calls.setdefault(part["index"], {"id": None, "type": None, "name": "", "arguments": ""})
            call["id"] = call["id"] or part.get("id")
            call["type"] = call["type"] or part.get("type")
            function = part.get("function") or {}
            call["name"] += function.get("name") or ""
            call["arguments"] += function.get("arguments") or ""
        return [calls[position] for position in sorted(calls)]


def read(response: httpx.Response) -> Transcript:
    """Reads an open streamed response to its end."""
    return assemble(response, response.iter_raw())


def assemble(response: httpx.Response, pieces: Iterable[bytes]) -> Transcript:
    """The transcript of a body that arrived in these pieces. The body must end with a whole event."""
    decoder = Decoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    assert decoder.pending == b"", f"the body ends inside an event: {decoder.pending[:200]!r}"
    datas = [event.data for event in events if event.data]
    end = datas.index(DONE) if DONE in datas else len(datas)
    last = next((place for place, event in enumerate(events) if event.data == DONE), len(events))
    return Transcript(
        status=response.status_code,
        headers=response.headers,
        chunks=tuple(json.loads(data) for data in datas[:end]),
        done=DONE in datas,
        after_done=b"".join(event.raw for event in events[last + 1 :]),
    )
