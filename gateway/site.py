"""Tells the loss of the whole site from that of a replica.

Pure state, the time passed in. When not one of several replicas can be connected to, what failed is what they share:
the host, nginx, or the link. That is one event, and no fault of each replica. Feed it faults of the connection only: an
nginx that answers 502 for a dead engine has been reached.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SiteEvent:
    """The site went down or came up, `at` that second of the clock. `outage_s` is how long it was down, 0 when down.

    `at_once`: the replicas were lost together, as when a link breaks; otherwise one by one, the last one now.
    """

    down: bool
    at: float
    text: str
    outage_s: float = 0.0
    at_once: bool = False


class Site:
    """Which replicas cannot be connected to. With a single replica the site and the replica are the same: no events."""

    def __init__(self, names: Iterable[str], window_s: float = 2.0) -> None:
        self._names = frozenset(names)
        self._window_s = window_s
        self._lost: dict[str, float] = {}
        self._event: SiteEvent | None = None

    @property
    def down(self) -> bool:
        return self._event is not None and self._event.down

    @property
    def since(self) -> float | None:
        """When the site last went down or came up; None while it has done neither."""
        return None if self._event is None else self._event.at

    @property
    def text(self) -> str:
        """The last event in words; empty while there was none."""
        return "" if self._event is None else self._event.text

    def unreachable(self, name: str, now: float, reason: str) -> SiteEvent | None:
        """No connection to this replica. The event, if it is the last one that could be reached."""
        self._lost.setdefault(name, now)
        if self.down or len(self._names) < 2 or not self._names <= self._lost.keys():
            return None
        spread_s = now - min(self._lost.values())
        at_once = spread_s <= self._window_s
        how = f"within {spread_s:.1f} s" if at_once else f"one by one, the last after {spread_s:.0f} s"
        text = f"none of the {len(self._names)} replicas can be reached, lost {how}: {reason}"
        self._event = SiteEvent(True, now, text, at_once=at_once)
        return self._event

    def reachable(self, name: str, now: float) -> SiteEvent | None:
        """This replica's address answers. The event, if the site was down."""
        self._lost.pop(name, None)
        if self._event is None or not self._event.down:
            return None
        outage_s = now - self._event.at
        self._event = SiteEvent(False, now, f"{name} can be reached again after {outage_s:.1f} s", outage_s)
        return self._event
