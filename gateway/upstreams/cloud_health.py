"""Whether the cloud is worth asking: one circuit for the whole of it, with a client's request as its probe.

Pure, the time passed in; the states and pauses are those of `gateway.breaker`. Nobody probes the cloud beside the
traffic, for every question to it costs money and is recorded: after the pause one request is let through, and the
others wait for what becomes of it. A probe that is never heard of again, because its client left or another tier was
faster, gives its place up after `probe_timeout_s`.
"""

from gateway.breaker import Breaker, Circuit
from gateway.ports import Fault
from gateway.settings import Breaker as Settings


class CloudHealth:
    """Satisfies `gateway.tiers.cloud.CloudHealth`. Times are seconds on one clock that only goes forward."""

    def __init__(self, settings: Settings, *, probe_timeout_s: float) -> None:
        self._breaker = Breaker(settings)
        self._probe_timeout_s = probe_timeout_s
        self._probe_ends_at = 0.0

    def circuit(self, now: float) -> Circuit:
        """For the metrics."""
        return self._breaker.circuit(now)

    def admits(self, now: float) -> bool:
        """Whether a request may go there. Whoever is told yes while the circuit is not closed is the probe."""
        if self._breaker.admits(now):
            return True
        if self._breaker.probe_due(now):
            self._breaker.probe_started(now)
        elif self._breaker.circuit(now) is not Circuit.HALF_OPEN or now < self._probe_ends_at:
            return False
        self._probe_ends_at = now + self._probe_timeout_s
        return True

    def succeeded(self, now: float) -> None:
        """An answer has come to its first content, whoever asked: the circuit closes if it was on trial."""
        self._breaker.success(now)
        self._breaker.probe_succeeded(now)

    def failed(self, fault: Fault, now: float) -> None:
        """A request came to nothing. On trial only an answer counts: a busy cloud stays out a little longer."""
        if fault is Fault.NONE:
            self._probe_ends_at = now  # nothing was learnt, so the next request may find out
        elif fault is Fault.UNREACHABLE:
            self._breaker.trip(now, fault.value)
        else:
            if fault is Fault.SUSPECT:
                self._breaker.failure(now, fault.value)
            self._breaker.probe_failed(now, fault.value)
