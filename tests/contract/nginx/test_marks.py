"""A replica that is being drained: nothing new on the balanced port, nothing that is under way is cut."""

import subprocess
import threading
from collections.abc import Callable
from contextlib import ExitStack

import psutil
import pytest

from inference.marks import NginxEdge
from tests.contract.nginx.conftest import Cluster
from tests.contract.nginx.edge import Edge, eventually, running_edge
from tests.contract.nginx.refusal import assert_refused
from tests.contract.nginx.upstream import PATIENCE_S, Exchange, Upstream

RELOADED = "; reloaded"


def mark(edge: Edge, *replicas: int) -> None:
    """Mark replicas, one after the other, and wait until nginx has read it."""
    for replica in replicas:
        _and_wait(edge, NginxEdge(edge.prefix).mark, replica)


def unmark(edge: Edge, replica: int) -> None:
    _and_wait(edge, NginxEdge(edge.prefix).unmark, replica)


def _and_wait(edge: Edge, put: Callable[[int], str], replica: int) -> None:
    before = edge.processes()[1:]
    assert put(replica).endswith(RELOADED)

    def taken_over() -> bool:
        fresh = [worker for worker in edge.processes()[1:] if worker not in before]
        return len(fresh) >= 2 and all(_has_left(worker) for worker in before)

    eventually(taken_over, "the workers of the new configuration have taken over")


def _has_left(worker: psutil.Process) -> bool:
    """Whether it takes no new connection any more: it is gone, or streams on and says so in its title."""
    try:
        return "shutting down" in " ".join(worker.cmdline()) or worker.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_marked_replica_gets_nothing_new_on_the_balanced_port(cluster: Cluster) -> None:
    mark(cluster.edge, 0)
    assert [cluster.edge.ask(cluster.edge.balanced).status for _ in range(12)] == [200] * 12
    assert [len(replica.requests) for replica in cluster.replicas] == [0, 12]


def test_its_own_port_stays_open_for_gateways_which_have_marks_of_their_own(cluster: Cluster) -> None:
    mark(cluster.edge, 0)
    assert cluster.edge.ask(cluster.edge.replica(0)).status == 200
    assert cluster.edge.ask(cluster.edge.replica(0), "GET", "/metrics").status == 200
    assert len(cluster.replicas[0].requests) == 2


def test_streams_under_way_on_it_stay_whole_on_both_ports(cluster: Cluster) -> None:
    edge, go_on = cluster.edge, threading.Event()

    def stream(exchange: Exchange) -> None:
        exchange.begin_stream()
        exchange.event("before")
        assert go_on.wait(PATIENCE_S)
        exchange.event("after")
        exchange.end_stream()

    for replica in cluster.replicas:
        replica.script = stream
    with ExitStack() as streams:
        ports = [edge.balanced] * 4 + [edge.replica(0)] * 2
        running = [streams.enter_context(edge.open(port)) for port in ports]
        assert [response.readline() for response in running] == [b"data: before\n"] * 6
        assert len(cluster.replicas[0].requests) >= 3, "some of the balanced ones are on it"
        mark(edge, 0)
        go_on.set()
        assert [response.read() for response in running] == [b"\ndata: after\n\ndata: [DONE]\n\n"] * 6


def test_undo_brings_it_back(cluster: Cluster) -> None:
    mark(cluster.edge, 0)
    unmark(cluster.edge, 0)
    for _ in range(8):
        assert cluster.edge.ask(cluster.edge.balanced).status == 200
    assert min(len(replica.requests) for replica in cluster.replicas) > 0


@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/chat/completions"), ("GET", "/health")])
def test_when_all_are_marked_the_balanced_port_says_so_in_our_shape(cluster: Cluster, method: str, path: str) -> None:
    mark(cluster.edge, 0, 1)
    assert_refused(cluster.edge.ask(cluster.edge.balanced, method, path), 502, "upstream_unavailable")
    assert cluster.received() == 0
    assert cluster.edge.ask(cluster.edge.replica(1)).status == 200


def test_a_mark_outlives_a_restart_of_nginx(cluster: Cluster) -> None:
    mark(cluster.edge, 1)
    cluster.edge.stop()
    cluster.edge.start()
    assert [cluster.edge.ask(cluster.edge.balanced).status for _ in range(4)] == [200] * 4
    assert [len(replica.requests) for replica in cluster.replicas] == [4, 0]


def test_nginx_calls_a_marked_configuration_valid(cluster: Cluster) -> None:
    mark(cluster.edge, 0, 1)
    # nginx opens its standard output by name, and may do so with its own log.
    with cluster.edge.access_log.open("ab") as out:
        tested = subprocess.run(cluster.edge.command("-t"), stdout=out, stderr=subprocess.PIPE, text=True, check=False)
    assert tested.returncode == 0, tested.stderr
    assert "[warn]" not in tested.stderr


def test_the_only_replica_may_be_marked_too(stack: ExitStack) -> None:
    alone = Upstream()
    stack.callback(alone.stop)
    edge = stack.enter_context(running_edge(engines=(alone.address,)))
    mark(edge, 0)
    assert_refused(edge.ask(edge.balanced), 502, "upstream_unavailable")
    unmark(edge, 0)
    assert edge.ask(edge.balanced).status == 200
    assert len(alone.requests) == 1
