import hashlib
import http.client
import socket
import threading
from pathlib import Path

import pytest

from tests.contract.nginx.conftest import Cluster
from tests.contract.nginx.edge import GATEWAY_KEY, eventually
from tests.contract.nginx.upstream import PATIENCE_S, Exchange


@pytest.mark.parametrize("chunked", [True, False], ids=["chunked", "until close"])
@pytest.mark.parametrize("way", ["balanced", "replica"])
def test_each_event_reaches_the_client_before_the_next_is_sent(cluster: Cluster, way: str, chunked: bool) -> None:
    edge, read = cluster.edge, threading.Semaphore(0)

    def stream(exchange: Exchange) -> None:
        exchange.begin_stream(chunked=chunked)
        for number in range(5):
            exchange.event(f"token {number}")
            # Only the client's having read it lets the next one go: a proxy that holds it back stops the stream here.
            assert read.acquire(timeout=PATIENCE_S)
        exchange.end_stream()

    for replica in cluster.replicas:
        replica.script = stream
    with edge.open(edge.balanced if way == "balanced" else edge.replica(0)) as response:
        assert response.getheader("content-type") == "text/event-stream; charset=utf-8"
        for number in range(5):
            assert response.readline() == f"data: token {number}\n".encode()
            assert response.readline() == b"\n"
            read.release()
        assert response.read() == b"data: [DONE]\n\n"


def test_the_engine_cannot_switch_buffering_on(cluster: Cluster) -> None:
    edge, read = cluster.edge, threading.Event()

    def stream(exchange: Exchange) -> None:
        exchange.begin_stream(chunked=False, x_accel_buffering="yes")
        exchange.event("first")
        assert read.wait(PATIENCE_S)
        exchange.end_stream()

    cluster.replicas[0].script = stream
    with edge.open(edge.replica(0)) as response:
        assert response.readline() == b"data: first\n"
        read.set()
        assert response.read() == b"\ndata: [DONE]\n\n"


def test_a_slow_client_slows_its_replica_down_and_nothing_is_written_to_a_disk(cluster: Cluster) -> None:
    edge, all_sent, size = cluster.edge, threading.Event(), 32 * 1024 * 1024

    def flood(exchange: Exchange) -> None:
        exchange.answer(body=b"x" * size)
        all_sent.set()

    cluster.replicas[0].script = flood
    with edge.open(edge.replica(0)) as response:
        assert not all_sent.wait(1)  # far more than the sockets on the way hold
        assert len(response.read()) == size
    assert all_sent.wait(PATIENCE_S)
    assert "temporary file" not in edge.error_log.read_text()


def test_answers_are_not_compressed_and_the_engine_is_not_asked_to(cluster: Cluster) -> None:
    edge, replica = cluster.edge, cluster.replicas[0]
    body = b'{"text": "' + b"a" * 4000 + b'"}'
    replica.script = lambda exchange: exchange.answer(body=body)
    answer = edge.ask(edge.replica(0), headers={"accept-encoding": "gzip, br"})
    assert (answer.body, answer.all("content-encoding")) == (body, [])
    assert replica.requests[-1].all("accept-encoding") == []


def test_a_client_that_leaves_a_stream_is_gone_for_the_replica_too(cluster: Cluster) -> None:
    edge, left = cluster.edge, threading.Event()

    def stream(exchange: Exchange) -> None:
        exchange.begin_stream()
        exchange.event("first")
        if exchange.wait_until_left():
            left.set()

    cluster.replicas[0].script = stream
    with edge.open(edge.replica(0), headers={"x-request-id": "left-in-stream"}) as response:
        assert response.readline() == b"data: first\n"
    assert left.wait(PATIENCE_S)
    assert edge.log_line("left-in-stream")["completion"] == ""


def test_a_client_that_leaves_before_the_answer_is_gone_for_the_replica_too(cluster: Cluster) -> None:
    edge, arrived, left = cluster.edge, threading.Event(), threading.Event()

    def hang(exchange: Exchange) -> None:
        arrived.set()
        if exchange.wait_until_left():
            left.set()

    cluster.replicas[0].script = hang
    connection = http.client.HTTPConnection("127.0.0.1", edge.replica(0), timeout=PATIENCE_S)
    headers = {"authorization": f"Bearer {GATEWAY_KEY.key}", "x-request-id": "left-early"}
    connection.request("POST", "/v1/chat/completions", body=b"{}", headers=headers)
    assert arrived.wait(PATIENCE_S)
    connection.close()
    assert left.wait(PATIENCE_S)
    assert edge.log_line("left-early")["status"] == 499


def test_a_stream_that_its_replica_breaks_off_ends_torn_and_never_cleanly(cluster: Cluster) -> None:
    def break_off(exchange: Exchange) -> None:
        exchange.begin_stream()
        exchange.event("first")
        exchange.drop()

    cluster.replicas[0].script = break_off
    with (
        cluster.edge.open(cluster.edge.replica(0)) as response,
        pytest.raises(http.client.IncompleteRead),
    ):
        response.read()


def test_connections_are_kept_on_both_sides(cluster: Cluster) -> None:
    edge, replica = cluster.edge, cluster.replicas[0]
    connection = http.client.HTTPConnection("127.0.0.1", edge.replica(0), timeout=PATIENCE_S)
    headers = {"authorization": f"Bearer {GATEWAY_KEY.key}"}
    sockets = set()
    for _ in range(20):
        connection.request("POST", "/v1/chat/completions", body=b"{}", headers=headers)
        sockets.add(connection.sock)
        with connection.getresponse() as response:
            assert response.read() == b"{}"
    connection.close()
    # One client connection is one worker of nginx, and so one connection to the replica.
    assert (len(sockets), replica.connections, len(replica.requests)) == (1, 1, 20)


def test_kept_connections_survive_streams(cluster: Cluster) -> None:
    def stream(exchange: Exchange) -> None:
        exchange.begin_stream()
        exchange.event("only")
        exchange.end_stream()

    cluster.replicas[0].script = stream
    for _ in range(20):
        assert cluster.edge.ask(cluster.edge.replica(0)).body == b"data: only\n\ndata: [DONE]\n\n"
    # Every client connection is new here; each of the two workers keeps one to the replica.
    assert cluster.replicas[0].connections <= 2


@pytest.mark.parametrize("chunked", [False, True], ids=["content-length", "chunked"])
def test_a_large_body_arrives_whole_and_never_touches_a_disk(cluster: Cluster, chunked: bool) -> None:
    edge, replica = cluster.edge, cluster.replicas[0]
    piece = hashlib.sha256(b"seed").digest() * 32768  # 1 MiB
    body = piece * 15
    answer = edge.ask(edge.replica(0), body=iter([piece] * 15) if chunked else body)
    assert answer.status == 200
    assert hashlib.sha256(replica.requests[0].body).digest() == hashlib.sha256(body).digest()
    # At level `warn` nginx tells of every body that it writes to a file.
    assert "temporary file" not in edge.error_log.read_text()


def test_concurrent_requests_are_shared_evenly_on_the_balanced_port(cluster: Cluster) -> None:
    together = threading.Barrier(20)

    def meet(exchange: Exchange) -> None:
        together.wait(PATIENCE_S)
        exchange.answer()

    for replica in cluster.replicas:
        replica.script = meet
    statuses: list[int] = []
    clients = [
        threading.Thread(target=lambda: statuses.append(cluster.edge.ask(cluster.edge.balanced).status))
        for _ in range(20)
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join(PATIENCE_S)
    assert statuses == [200] * 20
    assert [len(replica.requests) for replica in cluster.replicas] == [10, 10]


def test_a_busy_replica_gets_fewer_requests_and_not_every_second_one(cluster: Cluster) -> None:
    edge, go_on = cluster.edge, threading.Event()

    def hold_the_first(exchange: Exchange) -> None:
        if cluster.received() == 1:
            exchange.begin_stream()
            exchange.event("held")
            assert go_on.wait(PATIENCE_S)
            exchange.end_stream()
        else:
            exchange.answer()

    for replica in cluster.replicas:
        replica.script = hold_the_first
    with edge.open(edge.balanced) as held:
        assert held.readline() == b"data: held\n"
        for _ in range(6):
            answer = edge.ask(edge.balanced)
            # A request counts until nginx is through with it, and not until it is answered: its line in the log tells.
            edge.log_line(answer.one("x-request-id"))
        counts = sorted(len(replica.requests) for replica in cluster.replicas)
        go_on.set()
        held.read()
    assert counts == [1, 6]


def test_an_idle_client_is_asked_whether_it_is_still_there(cluster: Cluster) -> None:
    edge = cluster.edge
    with socket.create_connection(("127.0.0.1", edge.replica(0))) as client:
        ends = f":{edge.replica(0):04X}", f":{client.getsockname()[1]:04X}"
        # Fields of a line: number, local and remote address, state (01: open), queues, timer (02: keep-alive), ...
        assert eventually(lambda: _timer_of(*ends) == "02", "a keep-alive timer at nginx's end")


def _timer_of(local: str, remote: str) -> str | None:
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    found = [line[5] for line in lines if line[1].endswith(local) and line[2].endswith(remote) and line[3] == "01"]
    return found[0].partition(":")[0] if found else None
