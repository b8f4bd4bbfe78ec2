"""The engine's metrics on their way through nginx: asked for every second, over a tunnel, so they are made small."""

import gzip

import pytest

from tests.contract.nginx.conftest import Cluster

# Types that engines have sent, and of which nginx sees the parameters too.
TYPES = ["text/plain; version=0.0.4; charset=utf-8", "text/plain; version=1.0.0; charset=utf-8"]
LINES = (f'vllm:e2e_request_latency_seconds_bucket{{engine="0",le="{bound}"}} {bound * 3}\n' for bound in range(800))
SCRAPE = "".join(LINES).encode()


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("via", [{}, {"via": "1.1 proxy"}], ids=["direct", "through a proxy"])
def test_metrics_are_compressed_for_who_asks(shared_cluster: Cluster, kind: str, via: dict[str, str]) -> None:
    replica, edge = shared_cluster.replicas[0], shared_cluster.edge
    replica.script = lambda exchange: exchange.answer(200, SCRAPE, content_type=kind)
    answer = edge.ask(edge.replica(0), "GET", "/metrics", headers={"accept-encoding": "gzip, deflate", **via})
    assert (answer.one("content-encoding"), answer.one("content-type")) == ("gzip", kind)
    assert gzip.decompress(answer.body) == SCRAPE
    assert len(answer.body) < len(SCRAPE) / 4
    assert replica.requests[-1].all("accept-encoding") == []


def test_metrics_are_plain_for_who_does_not(shared_cluster: Cluster) -> None:
    replica, edge = shared_cluster.replicas[0], shared_cluster.edge
    replica.script = lambda exchange: exchange.answer(200, SCRAPE, content_type=TYPES[0])
    answer = edge.ask(edge.replica(0), "GET", "/metrics")
    assert (answer.body, answer.all("content-encoding")) == (SCRAPE, [])


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v1/chat/completions"), ("POST", "/v1/completions"), ("GET", "/v1/models")]
)
def test_nothing_else_is_compressed_whatever_its_type(shared_cluster: Cluster, method: str, path: str) -> None:
    replica, edge = shared_cluster.replicas[0], shared_cluster.edge
    replica.script = lambda exchange: exchange.answer(200, SCRAPE, content_type=TYPES[0])
    answer = edge.ask(edge.replica(0), method, path, headers={"accept-encoding": "gzip, deflate"})
    assert (answer.body, answer.all("content-encoding")) == (SCRAPE, [])
