import json
import os
import re
import subprocess
from contextlib import ExitStack
from datetime import datetime

import pytest

from tests.contract.nginx.conftest import Cluster
from tests.contract.nginx.edge import (
    ENGINE_KEY,
    GATEWAY_KEY,
    NOBODY,
    OTHER_KEY,
    Edge,
    eventually,
    prepared_edge,
)
from tests.contract.nginx.upstream import PATIENCE_S, Exchange, Upstream

FIELDS = {
    "time", "request_id", "key", "client", "port", "method", "path", "status", "bytes_received", "bytes_sent",
    "request_time", "upstream_addr", "upstream_status", "upstream_connect_time", "upstream_header_time",
    "upstream_response_time", "completion",
}  # fmt: skip


def test_a_served_request_is_one_line_with_upstream_status_and_timings(shared_cluster: Cluster) -> None:
    edge = shared_cluster.edge
    answer = edge.ask(edge.replica(1), path="/v1/chat/completions?user=Jane%20Doe")
    line = edge.log_line(answer.one("x-request-id"))
    assert set(line) == FIELDS
    datetime.fromisoformat(line["time"])
    told = {name: line[name] for name in ("key", "client", "port", "method", "path", "status", "completion")}
    assert told == {
        "key": "gateway",
        "client": "127.0.0.1",
        "port": str(edge.replica(1)),
        "method": "POST",
        "path": "/v1/chat/completions",  # without the query
        "status": 200,
        "completion": "OK",
    }
    assert (line["upstream_addr"], line["upstream_status"]) == (shared_cluster.replicas[1].address, "200")
    assert line["bytes_sent"] == len(answer.body)
    assert line["bytes_received"] > 0
    assert line["request_time"] >= 0
    for name in ("connect", "header", "response"):
        assert float(line[f"upstream_{name}_time"]) >= 0


@pytest.mark.parametrize(
    ("method", "path", "key", "status"),
    [
        pytest.param("POST", "/v1/chat/completions", "sk-wrong-0123456789", 401, id="401"),
        pytest.param("PUT", "/v1/models", GATEWAY_KEY.key, 405, id="405"),
        pytest.param("POST", "/v1/../tokenize", GATEWAY_KEY.key, 404, id="404"),
    ],
)
def test_a_refused_request_is_logged_as_it_was_sent(
    shared_cluster: Cluster, method: str, path: str, key: str, status: int
) -> None:
    edge = shared_cluster.edge
    answer = edge.ask(edge.balanced, method, path, key=key)
    line = edge.log_line(answer.one("x-request-id"))
    assert (line["method"], line["path"], line["status"]) == (method, path, status)
    assert (line["upstream_addr"], line["upstream_status"]) == ("", "")
    assert line["key"] == ("" if status == 401 else "gateway")


def test_a_request_that_is_not_http_is_logged_too(shared_cluster: Cluster) -> None:
    edge = shared_cluster.edge
    answer = edge.ask_raw(edge.balanced, b'"quoted" \\ \x01 garbage\r\n\r\n')
    line = edge.log_line(answer.one("x-request-id"))
    assert (line["status"], line["method"], line["path"]) == (400, "", "")


def test_no_key_is_ever_in_the_log(shared_cluster: Cluster) -> None:
    edge = shared_cluster.edge
    for key in (GATEWAY_KEY.key, OTHER_KEY.key, "sk-wrong-0123456789"):
        answer = edge.ask(edge.balanced, path=f"/v1/chat/completions?key={key}", key=key)
        edge.log_line(answer.one("x-request-id"))
    written = edge.access_log.read_text()
    for key in (GATEWAY_KEY.key, OTHER_KEY.key, "sk-wrong-0123456789", ENGINE_KEY):
        assert key not in written


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/tokenize"], ids=["proxied", "refused"])
def test_a_clients_request_id_is_kept_and_sent_back_once(shared_cluster: Cluster, path: str) -> None:
    edge, replica = shared_cluster.edge, shared_cluster.replicas[0]
    replica.script = _echo_request_id
    answer = edge.ask(edge.replica(0), path=path, headers={"x-request-id": f"req_Own.1:{path[1]}-x"})
    assert answer.all("x-request-id") == [f"req_Own.1:{path[1]}-x"]
    if answer.status == 200:
        assert replica.requests[-1].all("x-request-id") == answer.all("x-request-id")


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(None, id="none"),
        pytest.param("", id="empty"),
        pytest.param("a" * 129, id="too long"),
        pytest.param('x"y', id="quote"),
        pytest.param("x y", id="space"),
        pytest.param("{}", id="braces"),
        pytest.param("-rf", id="leading dash"),
    ],
)
def test_a_request_id_that_is_missing_or_odd_is_replaced(shared_cluster: Cluster, sent: str | None) -> None:
    edge, replica = shared_cluster.edge, shared_cluster.replicas[0]
    replica.script = _echo_request_id
    answer = edge.ask(edge.replica(0), headers={} if sent is None else {"x-request-id": sent})
    assert re.fullmatch("[0-9a-f]{32}", answer.one("x-request-id"))
    assert replica.requests[-1].all("x-request-id") == answer.all("x-request-id")


def test_the_replica_hears_of_the_peer_and_not_of_what_the_client_claims(shared_cluster: Cluster) -> None:
    edge, replica = shared_cluster.edge, shared_cluster.replicas[0]
    edge.ask(edge.replica(0), headers={"x-forwarded-for": "10.0.0.1", "host": "attacker.example"})
    assert replica.requests[-1].all("x-forwarded-for") == ["127.0.0.1"]
    assert replica.requests[-1].all("host") == ["vllm"]


def test_the_log_goes_to_a_pipe_as_in_a_container(stack: ExitStack) -> None:
    replica = Upstream()
    stack.callback(replica.stop)
    edge = stack.enter_context(prepared_edge(engines=(replica.address,)))
    edge.hand_over()
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.fchown(writing, NOBODY if os.geteuid() == 0 else -1, -1)  # as a container's runtime does
    process = subprocess.Popen(edge.command("-g", "daemon off;"), stdout=writing, stderr=subprocess.DEVNULL)
    os.close(writing)
    with os.fdopen(reading, "rb") as log:
        try:
            answer = eventually(lambda: _try(edge), "an answer")
            line = json.loads(eventually(log.readline, "a line"))
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE_S)
    assert line["request_id"] == answer.one("x-request-id")


def _try(edge: Edge) -> object:
    try:
        return edge.ask(edge.balanced)
    except ConnectionRefusedError:
        return None


def _echo_request_id(exchange: Exchange) -> None:
    # As vLLM does with --enable-request-id-headers.
    exchange.answer(x_request_id="".join(exchange.request.all("x-request-id")))
