"""When a replica counts as drained: nothing in flight, and that for a while; or the deadline has passed.

Pure: readings and the time go in, a verdict comes out. One zero proves nothing: the engine's gauges lag behind, and a
request that was on its way when the mark was set arrives after it. Who cannot be read does not block: the others
decide.
"""

from dataclasses import dataclass
from enum import Enum, auto


class Verdict(Enum):
    """What a drain does next."""

    WAIT = auto()
    DRAINED = auto()
    DEADLINE = auto()


@dataclass(frozen=True, slots=True)
class Reading:
    """Requests in flight on one replica, as the gateways and as its engine count them; None: there is no count.

    The two are not added up. The engine counts what the gateways sent and what came over nginx's balanced port.
    """

    gateways: int | None
    engine: int | None

    @property
    def left(self) -> int | None:
        """The larger count; None when nobody can be read, which is no proof of anything."""
        return max((count for count in (self.gateways, self.engine) if count is not None), default=None)

    def __str__(self) -> str:
        return f"in flight: {_told(self.gateways)} by the gateways' count, {_told(self.engine)} by the engine's"


class Settling:
    """Judges one drain, reading by reading."""

    def __init__(self, began: float, deadline_s: float, settle_s: float) -> None:
        self._deadline = began + deadline_s
        self._settle_s = settle_s
        self._zero_since: float | None = None

    def judge(self, now: float, left: int | None) -> Verdict:
        """DRAINED after `settle_s` of zeros without another reading in between, else DEADLINE when it has passed."""
        if left != 0:
            self._zero_since = None
        elif self._zero_since is None:
            self._zero_since = now
        if self._zero_since is not None and now - self._zero_since >= self._settle_s:
            return Verdict.DRAINED
        return Verdict.DEADLINE if now >= self._deadline else Verdict.WAIT


def _told(count: int | None) -> str:
    return "unknown" if count is None else str(count)
