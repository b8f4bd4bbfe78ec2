"""How long a stream may be silent, and how long it may last: one timer for the whole of it, which looks at the clock.

The relay tells what it hears, on the path of every chunk, and that must not cost a timer each. So nothing is set again
when a chunk comes: the timer fires when silence would have been too long, sees how long it has been, and goes on.
Silence is time in which the replica is waited for: a client that is slow to read uses nothing of it up.
"""

import asyncio
import math
from collections.abc import Callable

from gateway.ports import Clock

LOST_PATIENCE_S = 1.0
"""A stream that was silent for so long when its replica is found to have failed is broken; one that is not, goes on."""

LAST_WORDS_S = 5.0
"""Between two looks once the time is up: for a client to take the stream's error. One that does not take it is left."""

SHORTEST_LOOK_S = 0.02


class Watch:
    """Calls `on_silence` when the replica is waited for and says nothing for `idle_s`; again, until somebody acts.

    Calls `on_overdue` from `ends_at` on. Times are those of `clock`; timers are the running loop's. It is set when
    it is made, and ends with `close`, which may be called any number of times.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        idle_s: float,
        ends_at: float,
        on_silence: Callable[[], None],
        on_overdue: Callable[[], None],
    ) -> None:
        self.waiting = False
        """Whether the replica is waited for, and not the client."""
        self._clock = clock
        self._idle_s = self._patience_s = idle_s
        self._ends_at = ends_at
        self._on_silence = on_silence
        self._on_overdue = on_overdue
        self._heard_at = clock()
        self._silent_at = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._look_later(self._heard_at)

    @property
    def silent_s(self) -> float:
        """How long nothing has been heard."""
        return self._clock() - self._heard_at

    def listen(self) -> None:
        """The replica is waited for, with what is left of the patience."""
        self._silent_at = self._clock() + self._patience_s
        self.waiting = True

    def wait(self) -> None:
        """Something is waited for that may take as long as there is time at all."""
        self._silent_at = math.inf
        self.waiting = True

    def rest(self) -> None:
        """Nothing is waited for, but the client."""
        self.waiting = False

    def heard(self) -> float:
        """A piece of the answer came. Returns when: now."""
        self._heard_at = now = self._clock()
        self._patience_s = self._idle_s
        self._silent_at = now + self._idle_s
        return now

    def heard_comment(self) -> bool:
        """The line is alive, which says nothing of the engine, and its wait goes on. Whether there is patience left."""
        self._patience_s = self._silent_at - self._clock()
        return self._patience_s > 0

    def doubted(self) -> None:
        """The replica was found to have failed. A stream that still hears from it is left alone."""
        now = self._clock()
        self._patience_s = min(self._patience_s, LOST_PATIENCE_S)
        self._silent_at = min(self._silent_at, max(now, self._heard_at + LOST_PATIENCE_S))
        self.close()
        self._look_later(now)

    def close(self) -> None:
        """Looks no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_later(self, now: float) -> None:
        due = self._silent_at if self.waiting else now + min(self._idle_s, max(self._patience_s, LOST_PATIENCE_S))
        self._set(max(SHORTEST_LOOK_S, min(due, self._ends_at) - now))

    def _set(self, wait_s: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._look)

    def _look(self) -> None:
        now = self._clock()
        if now >= self._ends_at:
            self._set(LAST_WORDS_S)
            self._on_overdue()
            return
        self._look_later(now)
        if self.waiting and now >= self._silent_at:
            self._on_silence()
