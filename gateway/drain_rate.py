"""How fast places come free, and hence when a refused client should come again.

Pure: `gateway.admission` reports every place that is given back, and asks when it turns a request away. Promises: the
answer is a whole number of seconds from 1 to 60, it never falls when more requests are ahead, clients that are refused
together come back one after the other, and memory is constant.
"""

import math
from collections import deque

BUCKETS = 20
"""Slices of the window. The newest is only partly over, so the rate is up to 1/20 too low, never too high."""

LONGEST_S = 60
"""Beyond it the official OpenAI client for JavaScript comes after its own, much shorter backoff instead."""


class DrainRate:
    """Counts places given back in a sliding window of `window_s` seconds.

    The default is about how long one place is held for an answer of 512 tokens. A much shorter window would see the
    waves in which equally long answers end, a much longer one would be late to notice a lost replica.
    """

    def __init__(self, window_s: float = 10.0) -> None:
        self._window_s = window_s
        self._counts = deque([0] * BUCKETS, maxlen=BUCKETS)
        self._newest = -math.inf  # the number of the last bucket; a clock may begin anywhere
        self._since = math.inf
        self._promised: dict[int, int] = {}  # second of the clock, rounded up: how many come again by then

    def ended(self, now: float) -> None:
        """A place was given back, however its request ended."""
        self._advance(now)
        if not any(self._counts):
            self._since = now
        self._counts[-1] += 1

    def per_second(self, now: float) -> float:
        """Places given back per second, on average over the window; 0 when there was none."""
        self._advance(now)
        return sum(self._counts) / self._window_s

    def retry_after_s(self, ahead: int, places: int, now: float) -> int:
        """Whole seconds, 1 to 60, until `ahead` waiting requests and the one that asks have been served.

        `places` is how many requests can be served at once; with none nothing drains, and the answer is 60.

        After a quiet time the window says little: a burst has just filled all places, and few or none have come back.
        Until a whole window has been measured since the first one came back, we take it that every place is given
        back once in a window, or the measured rate where that is higher. A window without a single end counts as
        quiet: then either nobody waited before, or all hang, and health checks deal with that sooner than a client
        would.
        """
        if places <= 0:
            return LONGEST_S
        rate = self.per_second(now)
        if rate == 0 or now - self._since < self._window_s:
            rate = max(rate, places / self._window_s)
        return max(1, min(LONGEST_S, math.ceil((ahead + 1) / rate)))

    def send_away(self, ahead: int, places: int, now: float) -> int:
        """As `retry_after_s`, for a client that is now refused and told so.

        Those that were sent away before and are not yet due back are ahead of it too. Without that all clients of a
        burst would be given the same second, and most of them be refused again when they come back together.
        """
        self._promised = {due: count for due, count in self._promised.items() if due > now}
        seconds = self.retry_after_s(ahead + sum(self._promised.values()), places, now)
        due = math.ceil(now + seconds)
        self._promised[due] = self._promised.get(due, 0) + 1
        return seconds

    def _advance(self, now: float) -> None:
        bucket = now * BUCKETS // self._window_s
        for _ in range(int(min(bucket - self._newest, BUCKETS))):
            self._counts.append(0)
        self._newest = bucket
