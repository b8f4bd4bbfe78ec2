"""Gauges that are read off their sources when they are scraped, so that they cannot drift from them."""

from collections.abc import Callable, Mapping
from typing import Protocol

from gateway.admission import Admission
from gateway.budget import RetryBudget
from gateway.health import State
from gateway.line import Priority
from gateway.link import Path
from gateway.metrics import Metrics
from gateway.pool import SERVING, Pool, Replica


class Paths(Protocol):
    """Who has looked which way the packets take."""

    @property
    def paths(self) -> Mapping[str, Path]: ...


def watch(metrics: Metrics, pool: Pool, admission: Admission, retries: RetryBudget) -> None:
    """The pool's, the queue's and the budget's gauges."""
    for replica in pool.replicas:
        metrics.in_flight.labels(replica.name).set_function(_in_flight(replica))
        metrics.ready.labels(replica.name).set_function(_serves(pool, replica))
        for state in State:
            metrics.state.labels(replica.name, state.value).set_function(_is_in(pool, replica, state))
    for priority in Priority:
        metrics.waiting.labels(priority.name.lower()).set_function(_waiting(admission, priority))
    metrics.site_down.set_function(lambda: float(pool.site.down))
    metrics.retries_left.set_function(lambda: retries.left)


def watch_link(metrics: Metrics, source: Paths) -> None:
    """How many of the replicas' hosts are reached by which path."""
    for path in Path:
        metrics.link_path.labels(path.value).set_function(_hosts_by(source, path))


def _in_flight(replica: Replica) -> Callable[[], float]:
    return lambda: float(replica.in_flight)


def _serves(pool: Pool, replica: Replica) -> Callable[[], float]:
    return lambda: float(pool.state(replica)[0] in SERVING)


def _is_in(pool: Pool, replica: Replica, state: State) -> Callable[[], float]:
    return lambda: float(pool.state(replica)[0] is state)


def _waiting(admission: Admission, priority: Priority) -> Callable[[], float]:
    return lambda: float(admission.line.waiting(priority))


def _hosts_by(source: Paths, path: Path) -> Callable[[], float]:
    return lambda: float(sum(found is path for found in source.paths.values()))
