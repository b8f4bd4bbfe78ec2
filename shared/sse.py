"""Server-sent events without I/O: bytes in, whole events out, and back.

The decoder only finds where events end and what their data is. It keeps every event's bytes as they came, so that a
relay can pass them on untouched. Framing after the HTML standard, section 9.2.6 "Interpreting an event stream".
"""

import re
from typing import NamedTuple

DONE = b"[DONE]"
"""The data of the last event of an OpenAI-shaped stream."""

MAX_EVENT_BYTES = 1024 * 1024
"""One event of a chat stream is some hundred bytes, a whole tool call some thousand. More than this is a fault."""

_END_OF_EVENT = re.compile(rb"\r\n\r\n|\n\n|\r\r|\n\r\n|\r\n\n")
_LONGEST_END = len(b"\r\n\r\n")
_END_OF_LINE = re.compile(rb"\r\n|\n|\r")


class Event(NamedTuple):
    """One event: `raw` as it came, closing blank line included; `data` its data lines joined, b"" for a comment."""

    raw: bytes
    data: bytes


class Decoder:
    """Splits a byte stream, cut anywhere, into events."""

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._rest = b""
        self._searched = 0  # of the rest, so that a long event in many pieces is not searched again with each
        self._max_event_bytes = max_event_bytes
        self.too_large = False
        """Whether the event that has begun is past the bound: time to give the stream up."""

    @property
    def pending(self) -> bytes:
        """The beginning of an event that has not ended; b"" where the stream may end cleanly."""
        return self._rest

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that `chunk` completes, in order."""
        buffer = self._rest + chunk if self._rest else chunk
        events: list[Event] = []
        start = 0
        if b"\r" in buffer:
            for match in _END_OF_EVENT.finditer(buffer, self._searched):
                events.append(_parse(buffer[start : match.end()]))
                start = match.end()
        else:
            find = buffer.find
            end = find(b"\n\n", self._searched)
            while end >= 0:
                after = end + 2
                if find(b"\n", start, end) < 0 and buffer.startswith(b"data: ", start):
                    # A single data line: the whole of what vLLM and OpenAI send, and one for each token.
                    events.append(Event(buffer[start:after], buffer[start + 6 : end]))
                else:
                    events.append(_parse(buffer[start:after]))
                start = after
                end = find(b"\n\n", start)
        if start == len(buffer):  # which is what a stream at the pace of a model has
            self._rest, self._searched, self.too_large = b"", 0, False
            return events
        self._rest = buffer[start:]
        self._searched = max(0, len(self._rest) - _LONGEST_END + 1)  # an end may have come in part
        self.too_large = len(self._rest) > self._max_event_bytes
        return events


def _parse(raw: bytes) -> Event:
    lines = [line[5:].removeprefix(b" ") for line in _END_OF_LINE.split(raw) if line.startswith(b"data:")]
    return Event(raw, b"\n".join(lines))


def encode(data: bytes) -> bytes:
    """One event carrying `data`, which must be a single line."""
    if b"\n" in data or b"\r" in data:
        raise ValueError("the data of an event must be one line")
    return b"data: " + data + b"\n\n"
