"""The instruments: labels from closed sets only, and buckets at the targets that the system is held to."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from gateway.metrics import LATENCY_BUCKETS_S, Metrics
from gateway.settings import Topology

CLOSED = {"endpoint", "stream", "outcome", "replica", "kind", "state", "path", "priority", "why", "code"}


@pytest.fixture
def metrics() -> Metrics:
    made = Metrics(CollectorRegistry())
    made.requests.labels("chat", "true", "ok").inc()
    made.duration.labels("chat", "true").observe(1)
    made.first_content.labels("chat").observe(1)
    made.attempts.labels("replica-0", "ok").inc()
    made.tokens.labels("prompt").inc()
    made.in_flight.labels("replica-0").set(1)
    made.ready.labels("replica-0").set(1)
    made.state.labels("replica-0", "ready").set(1)
    made.replica_failed.labels("replica-0").inc()
    made.link_path.labels("direct").set(1)
    made.waiting.labels("batch").set(1)
    made.queue_wait.labels("batch").observe(1)
    made.routed.labels("load").inc()
    made.broken.labels("replica-0", "upstream_lost").inc()
    made.resumes.labels("resumed").inc()
    made.hedges.labels("won").inc()
    return made


def test_labels_come_from_closed_sets(metrics: Metrics) -> None:
    labels = {label for family in metrics.registry.collect() for sample in family.samples for label in sample.labels}
    assert labels - {"le"} == CLOSED


def test_every_instrument_is_looked_at_here(metrics: Metrics) -> None:
    for family in metrics.registry.collect():
        assert family.samples, f"{family.name} has labels that the fixture does not set"


def test_every_instrument_is_ours_and_says_what_it_measures(metrics: Metrics) -> None:
    for family in metrics.registry.collect():
        assert family.name.startswith("scout_")
        assert family.documentation


def test_two_gateways_in_one_process_count_apart(metrics: Metrics) -> None:
    assert b"scout_requests_total{" not in generate_latest(Metrics(CollectorRegistry()).registry)
    assert b"scout_requests_total{" in generate_latest(metrics.registry)


@pytest.mark.parametrize("target_s", [0.01, 0.05, 0.5, 1.0, 2.0, 3.0, Topology().on_prem.first_content_timeout_s])
def test_each_latency_target_is_a_bucket_bound(target_s: float) -> None:
    assert target_s in LATENCY_BUCKETS_S
