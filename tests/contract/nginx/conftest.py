"""Two scriptable replicas behind a real nginx, fresh for each test or, where nothing is broken, for each file."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from tests.contract.nginx.edge import Edge, running_edge
from tests.contract.nginx.upstream import Upstream


@dataclass(frozen=True)
class Cluster:
    edge: Edge
    replicas: tuple[Upstream, ...]

    def received(self) -> int:
        return sum(len(replica.requests) for replica in self.replicas)


def start_cluster(stack: ExitStack, **site: Any) -> Cluster:
    replicas = (Upstream(), Upstream())
    for replica in replicas:
        stack.callback(replica.stop)
    edge = stack.enter_context(running_edge(engines=tuple(replica.address for replica in replicas), **site))
    return Cluster(edge, replicas)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with ExitStack() as stack:
        yield start_cluster(stack)


@pytest.fixture(scope="module")
def shared_cluster() -> Iterator[Cluster]:
    """For tests that change nothing."""
    with ExitStack() as stack:
        yield start_cluster(stack)


@pytest.fixture
def strict_cluster() -> Iterator[Cluster]:
    """Patient for one second, and takes bodies of one kilobyte."""
    with ExitStack() as stack:
        yield start_cluster(stack, read_timeout_s=1, max_body="1k")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """For tests that start a cluster of their own kind; ends it."""
    with ExitStack() as opened:
        yield opened
