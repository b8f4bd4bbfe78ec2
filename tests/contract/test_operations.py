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
    "scout_replica_state",
    "scout_site_down",
    "scout_link_path",
    "scout_queue_waiting",
    "scout_retry_budget",
    "scout_routed_total",
)
# Of these there is no sample before it has happened once.
TYPES = {
    "scout_queue_wait_seconds": "histogram",
    "scout_replica_failed_total": "counter",
    "scout_resumes_total": "counter",
    "scout_hedges_total": "counter",
}
REPLICA_FIELDS = {"name", "state", "reason", "since_s", "draining", "in_flight"}


def open_to_all(target, path):
    """Probes and scrapers bring no key."""
    return httpx.get(f"{target.url}{path}", timeout=10)


def test_it_is_alive(target):
    assert open_to_all(target, "/livez").status_code == 200


def test_it_is_ready_and_names_its_replicas(target):
    response = open_to_all(target, "/readyz")
    assert response.status_code == 200
    assert response.json()["status"] == "ready"
    replicas = response.json()["replicas"]
    assert replicas
    assert len(replicas) == len(target.engines or replicas)
    for replica in replicas:
        assert set(replica) == REPLICA_FIELDS
        assert (replica["state"], replica["draining"]) == ("ready", False)
        assert replica["reason"], "why it is in that state is said in every state"
        assert replica["since_s"] >= 0


def test_it_tells_of_the_site_and_the_way_to_it(target):
    body = open_to_all(target, "/readyz").json()
    assert body["site"]["down"] is False
    assert isinstance(body["site"]["reason"], str)
    # Hosts by the path of the tailnet; empty where no tailscaled is asked.
    assert set(body["link"].values()) <= {"direct", "relayed", "none", "unknown"}


def test_probes_tell_nothing_that_is_secret(target):
    for path in ("/livez", "/readyz", "/metrics"):
        told = open_to_all(target, path).text
        for key in (target.key, *target.other_keys):
            assert key not in told


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_that_dashboards_read_exists(wire, target, name):
    wire.stream(max_tokens=2)
    assert name in parse(open_to_all(target, "/metrics").text)


@pytest.mark.parametrize(("name", "kind"), TYPES.items())
def test_a_metric_of_what_may_never_happen_is_announced(target, name, kind):
    assert f"# TYPE {name} {kind}" in open_to_all(target, "/metrics").text.splitlines()


def test_every_replica_is_in_one_state(target):
    replicas = open_to_all(target, "/readyz").json()["replicas"]
    figures = parse(open_to_all(target, "/metrics").text)
    assert figures["scout_replica_state"] == figures["scout_replica_ready"] == len(replicas)
    assert (figures["scout_site_down"], figures["scout_queue_waiting"]) == (0, 0)


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
