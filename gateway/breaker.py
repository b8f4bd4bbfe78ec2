"""One replica's circuit: traffic that fails too often takes the replica out, and it comes back by steps.

Pure state, the time passed in. Closed lets traffic through and counts its outcomes. Open lets nothing through. After a
pause the prober's canary may try, once, and no client's request ever does. A canary that succeeds closes the circuit,
and the share of its limit that the replica may fill grows back; one that fails opens it again, for twice as long.
"""

from collections import deque
from enum import StrEnum

from gateway.settings import Breaker as Settings

RAMP_START = 0.1  # a judgment: of the limit right after closing; above 0, so that one request is always possible
_BUCKET_S = 1.0


class Circuit(StrEnum):
    """Only `closed` lets traffic through; `half_open` means that the one probe is under way."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """Times are seconds on one clock that only goes forward. `why` is the reason of the last opening, else empty."""

    def __init__(self, settings: Settings) -> None:
        self.why = ""
        self._settings = settings
        self._circuit = Circuit.CLOSED
        self._outcomes = _Window(settings.window_s)
        self._pause_s = settings.open_s
        self._open_until = 0.0
        self._closed_at: float | None = None

    def circuit(self, now: float) -> Circuit:
        """The circuit's state. A pause that is over leaves it open until a probe starts, so `now` changes nothing."""
        return self._circuit

    def admits(self, now: float) -> bool:
        """Whether traffic may go there: only while closed, never on trial."""
        return self._circuit is Circuit.CLOSED

    def success(self, now: float) -> None:
        """A request ended well. One that ends after the circuit opened was begun before, and says nothing new."""
        if self._circuit is Circuit.CLOSED:
            self._outcomes.add(now, failed=False)

    def failure(self, now: float, reason: str) -> None:
        """A request failed by the replica's fault. Opens when the window has enough outcomes and enough are bad."""
        if self._circuit is not Circuit.CLOSED:
            return
        self._outcomes.add(now, failed=True)
        volume, failures = self._outcomes.count()
        if volume >= self._settings.min_volume and failures >= self._settings.failure_ratio * volume:
            self._open(now, f"{failures} of {volume} requests failed, the last: {reason}", self._settings.open_s)

    def trip(self, now: float, reason: str) -> None:
        """Opens whatever the outcomes are. A pause that runs is kept; a probe that runs has failed."""
        if self._circuit is Circuit.CLOSED:
            self._open(now, reason, self._settings.open_s)
        elif self._circuit is Circuit.HALF_OPEN:
            self.probe_failed(now, reason)
        else:
            self.why = reason

    def probe_due(self, now: float) -> bool:
        """Whether the one probe may start. Never while closed, where nothing needs a probe."""
        return self._circuit is Circuit.OPEN and now >= self._open_until

    def probe_started(self, now: float) -> None:
        """Takes the place of the one probe. Without effect where none is due."""
        if self.probe_due(now):
            self._circuit = Circuit.HALF_OPEN

    def probe_succeeded(self, now: float) -> None:
        """Closes; the ramp starts. Without effect unless the one probe is under way."""
        if self._circuit is Circuit.HALF_OPEN:
            self._close(ramp_from=now)

    def probe_failed(self, now: float, reason: str) -> None:
        """Opens again, for twice as long. Without effect unless the one probe is under way."""
        if self._circuit is Circuit.HALF_OPEN:
            self._open(now, reason, min(self._pause_s * 2, self._settings.max_open_s))

    def limit_share(self, now: float) -> float:
        """The share of its limit, above 0 and at most 1, that the replica may fill now."""
        if self._circuit is not Circuit.CLOSED:
            return RAMP_START
        if self._closed_at is None or now - self._closed_at >= self._settings.ramp_s:
            return 1.0
        return RAMP_START + (1.0 - RAMP_START) * (now - self._closed_at) / self._settings.ramp_s

    def reset(self, now: float) -> None:
        """Closes without a ramp, all forgotten: it was not the replica's fault."""
        self._close(ramp_from=None)

    def _open(self, now: float, reason: str, pause_s: float) -> None:
        self._circuit = Circuit.OPEN
        self.why = reason
        self._pause_s = min(pause_s, self._settings.max_open_s)
        self._open_until = now + self._pause_s
        self._outcomes.clear()

    def _close(self, ramp_from: float | None) -> None:
        self._circuit = Circuit.CLOSED
        self.why = ""
        self._closed_at = ramp_from
        self._outcomes.clear()


class _Window:
    """Outcomes of the last `length_s` seconds in buckets of one second, so that memory does not grow with traffic.

    A bucket goes when all of it is too old: an outcome is forgotten up to one second late, never early.
    """

    def __init__(self, length_s: float) -> None:
        self._length_s = length_s
        self._buckets: deque[tuple[float, int, int]] = deque()

    def add(self, now: float, *, failed: bool) -> None:
        while self._buckets and self._buckets[0][0] + _BUCKET_S <= now - self._length_s:
            self._buckets.popleft()
        start = now // _BUCKET_S * _BUCKET_S
        if self._buckets and self._buckets[-1][0] == start:
            _, volume, failures = self._buckets.pop()
        else:
            volume, failures = 0, 0
        self._buckets.append((start, volume + 1, failures + failed))

    def count(self) -> tuple[int, int]:
        """All outcomes, and the failures among them, as of the last one added."""
        return sum(bucket[1] for bucket in self._buckets), sum(bucket[2] for bucket in self._buckets)

    def clear(self) -> None:
        self._buckets.clear()
