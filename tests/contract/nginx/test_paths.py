import pytest

from tests.contract.nginx.conftest import Cluster
from tests.contract.nginx.edge import GATEWAY_KEY
from tests.contract.nginx.refusal import assert_refused

ALLOWED = [
    pytest.param("POST", "/v1/chat/completions", id="chat"),
    pytest.param("POST", "/v1/completions", id="completions"),
    pytest.param("GET", "/v1/models", id="models"),
    pytest.param("GET", "/health", id="health"),
    pytest.param("GET", "/metrics", id="metrics"),
]

# Paths that vLLM serves, or serves in some mode, most of them without asking for a key.
DANGEROUS = [
    "/invocations", "/ping", "/load", "/version", "/tokenize", "/detokenize", "/pooling", "/score", "/rerank",
    "/classify", "/kv_event_sources", "/scale_elastic_ep", "/is_scaling_elastic_ep", "/docs", "/redoc",
    "/openapi.json", "/collective_rpc", "/server_info", "/reset_prefix_cache", "/sleep", "/wake_up", "/is_sleeping",
    "/start_profile", "/stop_profile", "/v1/load_lora_adapter", "/v1/unload_lora_adapter", "/v1/responses",
    "/v1/messages", "/v1/embeddings", "/v1/score", "/v1/rerank", "/v2/rerank", "/v2/embed",
    "/v1/audio/transcriptions", "/v1/audio/translations", "/v1/realtime", "/v1/chat/completions/render",
    "/v1/completions/render", "/inference/v1/generate", "/inference/v1/abort_requests", "/pause", "/resume",
]  # fmt: skip

# Other ways to write an allowed or a dangerous path.
TRICKS = [
    "/", "//", "/v1", "/v1/", "//v1/chat/completions", "/v1//chat/completions", "/v1/chat/completions/",
    "/v1/models/", "/v1/models/llama-70b-scout", "/v1/chat/completions/..", "/v1/chat/completions/../../../tokenize",
    "/v1/../tokenize", "/v1/models/../models", "/./v1/models", "/v1/%6dodels", "/v1%2fmodels", "/v1/%2e%2e/tokenize",
    "/v1/models%3f", "/v1/models%20", "/v1/models;x=1", "/v1/models#", "/v1/models#/../x",
    "/V1/models", "/health/", "/health/../invocations", "/metrics/../tokenize", "/metrics%2f", "/_error", "/index.html",
    "/v1/models\\..\\tokenize", "/health.html", "/.env", "/nginx.conf", "http://x//v1/models",
]  # fmt: skip

# No path at all: it leaves the root, or holds what no path may hold.
IMPOSSIBLE = [
    "/../tokenize",
    "/%2e%2e/tokenize",
    "/v1/models/../../../tokenize",
    "/v1/models%00",
    "/v1/models%",
    "v1/models",
]


@pytest.mark.parametrize(("method", "path"), ALLOWED)
@pytest.mark.parametrize("way", ["balanced", "replica"])
def test_each_allowed_path_reaches_a_replica_as_it_was_sent(
    shared_cluster: Cluster, method: str, path: str, way: str
) -> None:
    edge, replica = shared_cluster.edge, shared_cluster.replicas[1]
    before = shared_cluster.received()
    port = edge.balanced if way == "balanced" else edge.replica(1)
    assert edge.ask(port, method, f"{path}?trace=a%20b").status == 200
    assert shared_cluster.received() == before + 1
    if way == "replica":
        assert (replica.requests[-1].method, replica.requests[-1].path) == (method, f"{path}?trace=a%20b")


def test_the_port_of_a_replica_reaches_no_other(shared_cluster: Cluster) -> None:
    before = [len(replica.requests) for replica in shared_cluster.replicas]
    for _ in range(6):
        assert shared_cluster.edge.ask(shared_cluster.edge.replica(1)).status == 200
    after = [len(replica.requests) for replica in shared_cluster.replicas]
    assert after == [before[0], before[1] + 6]


@pytest.mark.parametrize("path", DANGEROUS + TRICKS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_every_other_path_is_404_and_reaches_no_replica(shared_cluster: Cluster, method: str, path: str) -> None:
    before = shared_cluster.received()
    answer = shared_cluster.edge.ask_raw(shared_cluster.edge.replica(0), _request(method, path))
    assert_refused(answer, 404, "not_found")
    assert shared_cluster.received() == before


@pytest.mark.parametrize("path", IMPOSSIBLE)
def test_what_is_no_path_at_all_is_400_and_reaches_no_replica(shared_cluster: Cluster, path: str) -> None:
    before = shared_cluster.received()
    answer = shared_cluster.edge.ask_raw(shared_cluster.edge.replica(0), _request("GET", path))
    assert_refused(answer, 400, "invalid_request")
    assert shared_cluster.received() == before


def test_bytes_outside_ascii_are_404_and_do_not_spoil_the_log(shared_cluster: Cluster) -> None:
    before = shared_cluster.received()
    request = b"GET /v1/models\xff/../models HTTP/1.1\r\nHost: x\r\nX-Request-Id: raw-bytes\r\n\r\n"
    assert_refused(shared_cluster.edge.ask_raw(shared_cluster.edge.balanced, request), 404, "not_found")
    assert shared_cluster.edge.log_line("raw-bytes")["path"] == ""
    assert shared_cluster.received() == before


def test_an_unknown_path_is_404_without_a_key_too(shared_cluster: Cluster) -> None:
    assert_refused(
        shared_cluster.edge.ask(shared_cluster.edge.balanced, "GET", "/tokenize", key=None), 404, "not_found"
    )


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        pytest.param("GET", "/v1/chat/completions", "POST", id="GET chat"),
        pytest.param("PUT", "/v1/completions", "POST", id="PUT completions"),
        pytest.param("OPTIONS", "/v1/chat/completions", "POST", id="OPTIONS chat"),
        pytest.param("POST", "/v1/models", "GET", id="POST models"),
        pytest.param("DELETE", "/health", "GET", id="DELETE health"),
        pytest.param("POST", "/metrics", "GET", id="POST metrics"),
        pytest.param("TRACE", "/health", "GET", id="TRACE health"),
    ],
)
def test_another_method_is_405_and_names_the_right_one(
    shared_cluster: Cluster, method: str, path: str, allowed: str
) -> None:
    before = shared_cluster.received()
    answer = shared_cluster.edge.ask(shared_cluster.edge.balanced, method, path)
    assert_refused(answer, 405, "method_not_allowed")
    assert answer.one("allow") == allowed
    assert shared_cluster.received() == before


def test_head_is_405_without_a_body(shared_cluster: Cluster) -> None:
    answer = shared_cluster.edge.ask(shared_cluster.edge.balanced, "HEAD", "/v1/models")
    assert (answer.status, answer.one("allow"), answer.body) == (405, "GET", b"")


def _request(method: str, path: str) -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {GATEWAY_KEY.key}\r\n\r\n".encode()
