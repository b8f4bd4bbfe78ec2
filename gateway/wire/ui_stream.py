"""The AI SDK's UI message stream, which `useChat` reads by default: events and errors in, server-sent parts out.

Its schema is a closed union: an unknown type or a null where a field is optional kills the stream, so nothing is sent
that versions 5, 6 and 7 do not all know. What is ours stands in `messageMetadata`, which they merge and hand on.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.errors import GatewayError
from gateway.events import Event, Finished, Seam, Served, Text, ToolAnswered, ToolCalled
from gateway.wire.openai import error_body
from shared import sse

MARK = ("x-vercel-ai-ui-message-stream", "v1")
"""The header by which other clients tell this stream from another."""

FINISH_REASONS = {"stop": "stop", "length": "length", "content_filter": "content-filter", "tool_calls": "tool-calls"}


class UiStreamEncoder:
    """One answer, which is one message. `facts` are told at its start: who it is for, and by which route it came."""

    content_type = "text/event-stream; charset=utf-8"
    headers: Sequence[tuple[str, str]] = (MARK,)

    def __init__(self, request_id: str, facts: Mapping[str, str]) -> None:
        self._request_id = request_id
        self._facts = facts
        self._begun = False
        self._text: str | None = None
        self._texts = 0
        self._served: list[str] = []
        self._seams: list[dict[str, str]] = []

    def encode(self, events: Sequence[Event]) -> bytes:
        """The parts that tell these events."""
        return b"".join([_part(part) for event in events for part in self._parts(event)])

    def end(self) -> bytes:
        """What closes a whole answer."""
        return sse.encode(sse.DONE)

    def fail(self, error: GatewayError) -> bytes | None:
        """What closes a broken answer: the error's JSON as the part's text, then [DONE]."""
        text = error_body(error, self._request_id).decode()
        return b"".join([*map(_part, self._close_text()), _part({"type": "error", "errorText": text}), self.end()])

    def _parts(self, event: Event) -> Iterator[dict[str, Any]]:
        match event:
            case Served():
                yield from self._begin()
                yield {"type": "message-metadata", "messageMetadata": self._told_of(event)}
            case Text():
                if self._text is None:
                    self._texts += 1
                    self._text = f"t{self._texts}"
                    yield {"type": "text-start", "id": self._text}
                yield {"type": "text-delta", "id": self._text, "delta": event.text}
            case ToolCalled():
                yield from self._close_text()
                call = {"toolCallId": event.id, "toolName": event.name, "input": dict(event.arguments)}
                yield {"type": "tool-input-available", **call, "dynamic": True}
            case ToolAnswered(ok=True):
                answer = {"toolCallId": event.id, "output": event.summary}
                yield {"type": "tool-output-available", **answer, "dynamic": True}
            case ToolAnswered():
                yield {
                    "type": "tool-output-error",
                    "toolCallId": event.id,
                    "errorText": event.summary,
                    "dynamic": True,
                }
            case Seam():
                self._seams.append({"before": event.before, "after": event.after})
                yield {"type": "message-metadata", "messageMetadata": {"seams": list(self._seams)}}
            case Finished():
                yield from self._close_text()
                yield {"type": "finish-step"}
                reason = FINISH_REASONS.get(event.reason, "other")
                told = {"usage": dict(event.usage), "resumed": event.resumed}
                yield {"type": "finish", "finishReason": reason, "messageMetadata": told}

    def _begin(self) -> Iterator[dict[str, Any]]:
        if not self._begun:
            self._begun = True
            told = {"requestId": self._request_id, **self._facts}
            yield {"type": "start", "messageId": f"msg_{self._request_id}", "messageMetadata": told}
            yield {"type": "start-step"}

    def _told_of(self, event: Served) -> dict[str, Any]:
        self._served.append(event.tier)
        told = {"servedBy": event.tier, "tiers": list(self._served)}
        named = {"model": event.model, "replica": event.replica, "cache": event.cache}
        return told | {name: value for name, value in named.items() if value is not None}

    def _close_text(self) -> Iterator[dict[str, Any]]:
        if self._text is not None:
            yield {"type": "text-end", "id": self._text}
            self._text = None


def _part(part: Mapping[str, Any]) -> bytes:
    return sse.encode(json.dumps(part, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"))
