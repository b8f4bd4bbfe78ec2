import threading
from contextlib import ExitStack

import pytest

from inference.nginx_keys import ClientKey
from tests.contract.nginx.conftest import Cluster, start_cluster
from tests.contract.nginx.edge import ENGINE_KEY, GATEWAY_KEY, OTHER_KEY, Edge, eventually
from tests.contract.nginx.refusal import assert_refused
from tests.contract.nginx.upstream import PATIENCE_S, Exchange

NEW_KEY = ClientKey(name="gateway", key="sk-gateway-new-9876543210")

GUARDED = [("POST", "/v1/chat/completions"), ("POST", "/v1/completions"), ("GET", "/v1/models"), ("GET", "/metrics")]


@pytest.mark.parametrize(
    "authorization",
    [
        pytest.param(None, id="none"),
        pytest.param("", id="empty"),
        pytest.param("Bearer sk-wrong-0123456789abcdef", id="another key"),
        pytest.param(f"Bearer {ENGINE_KEY}", id="the engine's key"),
        pytest.param(f"Bearer {GATEWAY_KEY.key[:-1]}", id="cut short"),
        pytest.param(f"Bearer {GATEWAY_KEY.key}x", id="too long"),
        pytest.param(f"Bearer {GATEWAY_KEY.key.upper()}", id="other case"),
        pytest.param(f"Bearer {GATEWAY_KEY.key.replace('.', '0')}", id="dot is no wildcard"),
        pytest.param(f"Bearer {GATEWAY_KEY.key.replace('+', '9')}", id="plus is no repetition"),
        pytest.param(GATEWAY_KEY.key, id="no scheme"),
        pytest.param(f"Basic {GATEWAY_KEY.key}", id="another scheme"),
        pytest.param(f"Bearer {GATEWAY_KEY.key}, Bearer {OTHER_KEY.key}", id="two in one header"),
        pytest.param(GATEWAY_KEY.name, id="the key's name"),
    ],
)
@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_a_missing_or_wrong_key_is_401_and_reaches_no_replica(
    shared_cluster: Cluster, method: str, path: str, authorization: str | None
) -> None:
    before = shared_cluster.received()
    headers = {} if authorization is None else {"authorization": authorization}
    answer = shared_cluster.edge.ask(shared_cluster.edge.balanced, method, path, key=None, headers=headers)
    assert_refused(answer, 401, "invalid_api_key")
    assert answer.one("www-authenticate") == "Bearer"
    assert shared_cluster.received() == before


@pytest.mark.parametrize("key", [GATEWAY_KEY, OTHER_KEY], ids=lambda key: str(key.name))
def test_several_keys_are_valid_at_once_and_the_log_names_the_one(shared_cluster: Cluster, key: ClientKey) -> None:
    edge = shared_cluster.edge
    answer = edge.ask(edge.balanced, key=key.key)
    assert answer.status == 200
    assert edge.log_line(answer.one("x-request-id"))["key"] == key.name


def test_the_scheme_is_read_without_regard_to_case(shared_cluster: Cluster) -> None:
    headers = {"authorization": f"bearer {GATEWAY_KEY.key}"}
    assert shared_cluster.edge.ask(shared_cluster.edge.balanced, key=None, headers=headers).status == 200


def test_health_is_open(shared_cluster: Cluster) -> None:
    assert shared_cluster.edge.ask(shared_cluster.edge.replica(0), "GET", "/health", key=None).status == 200


@pytest.mark.parametrize("key", [GATEWAY_KEY.key, None], ids=["with a key", "without"])
def test_the_engine_gets_its_own_key_and_never_the_clients(shared_cluster: Cluster, key: str | None) -> None:
    edge, replica = shared_cluster.edge, shared_cluster.replicas[0]
    method, path = ("POST", "/v1/chat/completions") if key else ("GET", "/health")
    assert edge.ask(edge.replica(0), method, path, key=key).status == 200
    assert replica.requests[-1].all("authorization") == [f"Bearer {ENGINE_KEY}"]
    assert GATEWAY_KEY.key not in str(replica.requests[-1].headers)


def test_a_second_authorization_header_changes_nothing(shared_cluster: Cluster) -> None:
    edge = shared_cluster.edge
    before = shared_cluster.received()
    wrong, right = (f"Authorization: Bearer {key}\r\n" for key in ("sk-wrong-0123456789abcdef", GATEWAY_KEY.key))
    answer = edge.ask_raw(edge.balanced, f"GET /v1/models HTTP/1.1\r\nHost: x\r\n{wrong}{right}\r\n".encode())
    # nginx 1.22 takes the first of two, later versions refuse the request.
    assert answer.status in (400, 401)
    assert shared_cluster.received() == before


def test_metrics_are_open_to_a_monitoring_network_and_nothing_else_is(stack: ExitStack) -> None:
    cluster = start_cluster(stack, monitors=("127.0.0.0/8",))
    edge = cluster.edge
    assert edge.ask(edge.replica(0), "GET", "/metrics", key=None).status == 200
    assert_refused(edge.ask(edge.replica(0), "GET", "/v1/models", key=None), 401, "invalid_api_key")


def test_metrics_are_closed_to_other_networks(stack: ExitStack) -> None:
    edge = start_cluster(stack, monitors=("100.64.0.0/10", "fd7a:115c:a1e0::/48")).edge
    assert_refused(edge.ask(edge.replica(0), "GET", "/metrics", key=None), 401, "invalid_api_key")
    assert edge.ask(edge.replica(0), "GET", "/metrics").status == 200


def test_a_reload_rotates_the_keys_and_leaves_running_streams_whole(cluster: Cluster) -> None:
    edge, go_on = cluster.edge, threading.Event()

    def stream(exchange: Exchange) -> None:
        if exchange.request.method == "GET":
            return exchange.answer()
        exchange.begin_stream()
        exchange.event("before")
        assert go_on.wait(PATIENCE_S)
        exchange.event("after")
        exchange.end_stream()

    for replica in cluster.replicas:
        replica.script = stream

    with ExitStack() as streams:
        running = [streams.enter_context(edge.open(edge.balanced, key=GATEWAY_KEY.key)) for _ in range(6)]
        assert [response.readline() for response in running] == [b"data: before\n"] * 6

        edge.put_keys([NEW_KEY])
        edge.hand_over()
        edge.reload()
        eventually(lambda: _status(edge, NEW_KEY) == 200, "the new key is valid")
        eventually(lambda: _status(edge, GATEWAY_KEY) == 401, "the old key is not")

        go_on.set()
        whole = b"\ndata: after\n\ndata: [DONE]\n\n"
        assert [response.read() for response in running] == [whole] * 6

    assert {_status(edge, GATEWAY_KEY) for _ in range(10)} == {401}
    assert {_status(edge, NEW_KEY) for _ in range(10)} == {200}


def test_a_broken_key_file_leaves_the_old_keys_in_force(cluster: Cluster) -> None:
    edge = cluster.edge
    (edge.prefix / "keys" / "keys.map").write_text("not nginx")
    edge.reload()
    eventually(lambda: "[emerg]" in edge.error_log.read_text(), "nginx refuses the file")
    assert _status(edge, GATEWAY_KEY) == 200


def _status(edge: Edge, key: ClientKey) -> int:
    return edge.ask(edge.balanced, "GET", "/v1/models", key=key.key).status
