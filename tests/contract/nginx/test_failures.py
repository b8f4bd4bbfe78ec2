import json
import socket
import threading
from contextlib import ExitStack

import pytest

from shared.headers import UPSTREAM_CONNECT
from tests.contract.nginx.conftest import Cluster
from tests.contract.nginx.edge import GATEWAY_KEY, running_edge
from tests.contract.nginx.refusal import assert_refused
from tests.contract.nginx.upstream import Exchange, Upstream


def _dead_address(stack: ExitStack) -> str:
    """An address that refuses connections for as long as the test runs: bound, and never listened on."""
    held = stack.enter_context(socket.socket())
    held.bind(("127.0.0.1", 0))
    return f"127.0.0.1:{held.getsockname()[1]}"


def test_a_dead_replica_is_502_on_its_own_port(stack: ExitStack) -> None:
    alive = Upstream()
    stack.callback(alive.stop)
    edge = stack.enter_context(running_edge(engines=(_dead_address(stack), alive.address)))
    for method, path in (("POST", "/v1/chat/completions"), ("GET", "/health")):
        assert_refused(edge.ask(edge.replica(0), method, path), 502, "upstream_unavailable")
    assert edge.ask(edge.replica(1)).status == 200
    assert len(alive.requests) == 1


def test_the_balanced_port_passes_a_dead_replica_over(stack: ExitStack) -> None:
    alive = Upstream()
    stack.callback(alive.stop)
    edge = stack.enter_context(running_edge(engines=(_dead_address(stack), alive.address)))
    answers = [edge.ask(edge.balanced) for _ in range(12)]
    assert [answer.status for answer in answers] == [200] * 12
    assert len(alive.requests) == 12
    lines = [edge.log_line(answer.one("x-request-id")) for answer in answers]
    tried_both = [line["upstream_status"] for line in lines if "," in line["upstream_addr"]]
    # Two refusals put it out for ten seconds (max_fails): the other requests never saw it.
    assert tried_both == ["502, 200"] * 2


def test_a_replica_that_comes_back_is_asked_again_at_once_on_its_own_port(stack: ExitStack) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        edge = stack.enter_context(running_edge(engines=(f"127.0.0.1:{listener.getsockname()[1]}",)))
        for _ in range(5):
            assert_refused(edge.ask(edge.replica(0), "GET", "/health"), 502, "upstream_unavailable")
        listener.listen()
        answering = threading.Thread(target=_answer_once, args=(listener,))
        answering.start()
        assert edge.ask(edge.replica(0), "GET", "/health").status == 200
        answering.join()


def _answer_once(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")


def test_a_post_that_was_sent_to_a_dying_replica_is_not_sent_to_another(cluster: Cluster) -> None:
    for replica in cluster.replicas:
        replica.script = Exchange.drop
    assert_refused(cluster.edge.ask(cluster.edge.balanced), 502, "upstream_unavailable")
    assert cluster.received() == 1


def test_a_get_is_tried_on_another_replica(cluster: Cluster) -> None:
    for replica in cluster.replicas:
        replica.script = Exchange.drop
    assert_refused(cluster.edge.ask(cluster.edge.balanced, "GET", "/v1/models"), 502, "upstream_unavailable")
    assert [len(replica.requests) for replica in cluster.replicas] == [1, 1]


def test_an_error_tells_an_engine_that_could_not_be_connected_to_from_one_that_died_over_the_request(
    stack: ExitStack,
) -> None:
    dying = Upstream(Exchange.drop)
    stack.callback(dying.stop)
    edge = stack.enter_context(running_edge(engines=(_dead_address(stack), dying.address)))
    assert edge.ask(edge.replica(0)).one(UPSTREAM_CONNECT) == "-"
    answer = edge.ask(edge.replica(1))
    assert_refused(answer, 502, "upstream_unavailable")
    assert 0 <= float(answer.one(UPSTREAM_CONNECT)) < 3
    # No word where there is nothing to say: nobody was asked, or the error is the engine's own.
    assert edge.ask(edge.replica(1), key="wrong").all(UPSTREAM_CONNECT) == []
    dying.script = lambda exchange: exchange.answer(502)
    assert edge.ask(edge.replica(1)).all(UPSTREAM_CONNECT) == []


def test_on_the_balanced_port_an_error_tells_it_of_each_replica_that_was_tried(stack: ExitStack) -> None:
    dying = Upstream(Exchange.drop)
    stack.callback(dying.stop)
    edge = stack.enter_context(running_edge(engines=(_dead_address(stack), dying.address)))
    told = {edge.ask(edge.balanced).one(UPSTREAM_CONNECT) for _ in range(2)}
    both = next(each for each in told if "," in each)
    refused, cut = both.split(", ")
    assert refused == "-"
    assert float(cut) >= 0


def test_a_replica_that_does_not_even_refuse_is_504_and_was_not_connected_to(stack: ExitStack) -> None:
    listener = stack.enter_context(socket.socket())
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    # Once its queue is full, the kernel drops further connections without a word, as a machine does that is gone.
    for _ in range(2):
        waiting = stack.enter_context(socket.socket())
        waiting.setblocking(False)
        waiting.connect_ex(listener.getsockname())
    edge = stack.enter_context(running_edge(engines=(f"127.0.0.1:{listener.getsockname()[1]}",)))
    answer = edge.ask(edge.replica(0))
    assert_refused(answer, 504, "upstream_timeout")
    assert answer.one(UPSTREAM_CONNECT) == "-"


@pytest.mark.parametrize("way", ["balanced", "replica"])
def test_a_silent_replica_is_504_and_told_that_nobody_waits(strict_cluster: Cluster, way: str) -> None:
    edge, left = strict_cluster.edge, threading.Event()

    def hang(exchange: Exchange) -> None:
        if exchange.wait_until_left():
            left.set()

    for replica in strict_cluster.replicas:
        replica.script = hang
    answer = edge.ask(edge.balanced if way == "balanced" else edge.replica(0))
    assert_refused(answer, 504, "upstream_timeout")
    assert float(answer.one(UPSTREAM_CONNECT)) >= 0
    assert left.wait(10)
    assert strict_cluster.received() == 1


def test_the_time_out_is_for_silence_and_not_for_the_length_of_an_answer(strict_cluster: Cluster) -> None:
    edge, tick = strict_cluster.edge, threading.Event()

    def slow(exchange: Exchange) -> None:
        exchange.begin_stream()
        for number in range(4):
            exchange.event(str(number))
            tick.wait(0.5)  # nothing sets it: the pause itself is what is tested
        exchange.end_stream()

    strict_cluster.replicas[0].script = slow
    answer = edge.ask(edge.replica(0))
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert edge.log_line(answer.one("x-request-id"))["request_time"] >= 1.9


OVERLOADED = b'{"error":{"message":"queue is full","type":"ServiceUnavailableError","param":null,"code":503}}'


def test_a_503_of_the_engine_passes_through_untouched_and_puts_nobody_out(cluster: Cluster) -> None:
    full, free = cluster.replicas
    full.script = lambda exchange: exchange.answer(503, OVERLOADED)
    answers = [cluster.edge.ask(cluster.edge.balanced) for _ in range(20)]
    refused = [answer for answer in answers if answer.status == 503]
    assert {answer.body for answer in refused} == {OVERLOADED}
    assert {tuple(answer.all("retry-after")) for answer in refused} == {()}
    # No request was sent on to the other replica, and the full one was asked more often than max_fails allows.
    assert (len(full.requests), len(free.requests)) == (len(refused), 20 - len(refused))
    assert len(refused) > 4


@pytest.mark.parametrize("status", [400, 401, 404, 413, 422, 429, 500, 502, 504])
def test_every_error_of_the_engine_passes_through_untouched(shared_cluster: Cluster, status: int) -> None:
    body = json.dumps({"error": {"message": "the engine's own", "code": status}}).encode()
    shared_cluster.replicas[0].script = lambda exchange: exchange.answer(status, body)
    answer = shared_cluster.edge.ask(shared_cluster.edge.replica(0))
    assert (answer.status, answer.body) == (status, body)


@pytest.mark.parametrize("chunked", [False, True], ids=["content-length", "chunked"])
def test_a_body_over_the_limit_is_413(strict_cluster: Cluster, chunked: bool) -> None:
    body = b"x" * 1025
    answer = strict_cluster.edge.ask(strict_cluster.edge.balanced, body=iter([body]) if chunked else body)
    assert_refused(answer, 413, "request_too_large")
    assert strict_cluster.edge.ask(strict_cluster.edge.balanced, body=body[:-1]).status == 200
    assert strict_cluster.received() == 1


GET_HEALTH = b"GET /health HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /v1/completions HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        pytest.param(b"garbage\r\n\r\n", 400, id="no request line"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, id="TLS"),
        pytest.param(b"GET /health HTTP/1.1\r\n\r\n", 400, id="no host"),
        pytest.param(GET_HEALTH + b"Host: y\r\n\r\n", 400, id="two hosts"),
        pytest.param(POST + b"Content-Length: x\r\n\r\n", 400, id="no number as length"),
        pytest.param(POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400, id="two lengths"),
        pytest.param(b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * 9000), 414, id="long request line"),
        pytest.param(GET_HEALTH + b"X: %s\r\n\r\n" % (b"a" * 9000), 431, id="long header"),
        pytest.param(POST + b"Transfer-Encoding: gzip\r\n\r\n", 501, id="unknown transfer encoding"),
        pytest.param(b"GET /health HTTP/3.0\r\nHost: x\r\n\r\n", 505, id="unknown version"),
    ],
)
def test_what_is_not_http_is_refused_in_the_same_shape(
    shared_cluster: Cluster, request_bytes: bytes, status: int
) -> None:
    before = shared_cluster.received()
    answer = shared_cluster.edge.ask_raw(shared_cluster.edge.balanced, request_bytes)
    assert_refused(answer, status, "invalid_request")
    assert shared_cluster.received() == before


def test_an_upstream_that_answers_nonsense_is_502(stack: ExitStack) -> None:
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    edge = stack.enter_context(running_edge(engines=(f"127.0.0.1:{listener.getsockname()[1]}",)))

    def babble() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nbroken\x00header: x\r\n\r\n")

    talking = threading.Thread(target=babble)
    talking.start()
    assert_refused(edge.ask(edge.replica(0)), 502, "upstream_unavailable")
    talking.join()


def test_no_key_is_ever_in_the_error_log(stack: ExitStack) -> None:
    edge = stack.enter_context(running_edge(engines=(_dead_address(stack),)))
    authorization = f"Authorization: Bearer {GATEWAY_KEY.key}".encode()
    assert_refused(edge.ask(edge.balanced), 502, "upstream_unavailable")
    for head in (b"GET /health HTTP/1.1\r\n", b"GET /health HTTP/1.1\r\nHost: x\r\nHost: y\r\n"):
        edge.ask_raw(edge.balanced, head + authorization + b"\r\nbroken\x00line\r\n\r\n")
    edge.ask_raw(edge.balanced, b"GET /health HTTP/1.1\r\n" + authorization + b"x" * 9000 + b"\r\n\r\n")
    written = edge.error_log.read_text()
    assert "Connection refused" in written
    assert GATEWAY_KEY.key not in written
