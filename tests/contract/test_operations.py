"""What an operator asks the gateway: is it alive, is it ready, what has it counted, what can it do."""

import httpx
import pytest

from tests.contract.engines import parse
from tests.contract.targets import Feature

pytestmark = pytest.mark.needs(Feature.SCOUT)

NAMES = (
    "scout_requests_total",
    "scout_request_duration_seconds_count",
    "scout_time_to_first_token_seconds_count",
    "scout_upstream_attempts_total",
    "scout_tokens_total",
    "scout_open_requests",
    "scout_replica_in_flight",
    "scout_replica_ready",
)


def open_to_all(target, path):
    """Probes and scrapers bring no key."""
    return httpx.get(f"{target.url}{path}", timeout=10)


def test_it_is_alive(target):
    assert open_to_all(target, "/livez").status_code == 200


def test_it_is_ready_and_names_its_replicas(target):
    response = open_to_all(target, "/readyz")
    assert response.status_code == 200
    replicas = response.json()["replicas"]
    assert replicas
    assert len(replicas) == len(target.engines or replicas)
    assert {replica["state"] for replica in replicas} == {"ready"}


def test_probes_tell_nothing_that_is_secret(target):
    for path in ("/livez", "/readyz", "/metrics"):
        told = open_to_all(target, path).text
        for key in (target.key, *target.other_keys):
            assert key not in told


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_that_dashboards_read_exists(wire, target, name):
    wire.stream(max_tokens=2)
    assert name in parse(open_to_all(target, "/metrics").text)


@pytest.mark.parametrize("name", ["scout_requests_total", "scout_upstream_attempts_total", "scout_tokens_total"])
def test_a_counter_counts(wire, target, name):
    before = parse(open_to_all(target, "/metrics").text).get(name, 0)
    wire.chat(max_tokens=4)
    assert parse(open_to_all(target, "/metrics").text)[name] > before


def test_nothing_is_in_flight_when_nobody_asks(wire, target):
    wire.stream(max_tokens=2)
    assert parse(open_to_all(target, "/metrics").text)["scout_replica_in_flight"] == 0


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models", "/api/chat", "/livez", "/readyz", "/metrics"])
def test_the_api_documents_every_route(target, path):
    assert path in open_to_all(target, "/openapi.json").json()["paths"]


def test_the_documents_can_be_read_in_a_browser(target):
    page = open_to_all(target, "/docs")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
