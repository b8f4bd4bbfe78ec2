"""Where an answer with stop strings ends, and how much of its text may be shown meanwhile.

vLLM looks for stop strings itself, but only in what one replica has generated. When an answer is continued on another
replica a match may begin on one side of the seam and end on the other, so such answers are asked for with their stop
strings left in, and cut here, on the way to the client. Promised: the text, and the pieces in which it is released,
are those of vLLM 0.32 (`v1/engine/detokenizer.py`), however many replicas the answer comes from.
"""

from collections.abc import Mapping, Sequence
from typing import Any


def stop_strings(body: Mapping[str, Any]) -> list[str]:
    """The stop strings of a chat request, which may be one string, a list, or absent."""
    stop = body.get("stop")
    if not stop:
        return []
    return [stop] if isinstance(stop, str) else list(stop)


class StopFilter:
    """One answer's text on its way to the client, in the order in which it was generated.

    `stopped` is the stop string that ended the answer, None until one has. It is the one that is complete first; of
    those complete at the same character, the first of the list. `include` leaves it in the text. Without `include` the
    last characters, one fewer than the longest stop string has, are held back, since they may turn out to begin one.
    """

    __slots__ = ("_context", "_include", "_stops", "_tail", "stopped")

    def __init__(self, stops: Sequence[str], *, include: bool) -> None:
        """`stops` must be one or more, none of them empty: vLLM refuses a request with an empty one."""
        self._stops = tuple(stops)
        self._include = include
        self._context = max(map(len, stops)) - 1
        self._tail = ""  # as much of the text so far as a stop string still to be completed can begin in
        self.stopped: str | None = None

    def push(self, text: str) -> str:
        """What may be shown now that this text has come: "" if nothing, and for good once the answer has stopped."""
        if self.stopped is not None:
            return ""
        seen = self._tail + text
        shown = len(self._tail) if self._include else 0
        if (end := self._find(seen)) is not None:
            self._tail = ""
            return seen[shown:end]
        kept = max(0, len(seen) - self._context)
        self._tail = seen[kept:]
        return text if self._include else seen[:kept]

    def end(self) -> str:
        """What was held back, when the answer has ended by itself; "" when a stop string ended it."""
        rest = "" if self._include else self._tail
        self._tail = ""
        return rest

    def _find(self, seen: str) -> int | None:
        """Where the text must be cut. The tail alone holds no stop string, or the answer had ended before."""
        first = len(seen) + 1
        cut = None
        for stop in self._stops:
            begin = seen.find(stop)
            end = begin + len(stop)
            if begin >= 0 and end < first:
                first, self.stopped = end, stop
                cut = end if self._include else begin
        return cut
