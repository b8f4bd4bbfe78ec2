"""The engine's metrics, by the names that health checks, dashboards and alerts read. A renamed one is a blind one."""

import httpx
import pytest

from tests.contract.engines import parse
from tests.contract.targets import Feature

pytestmark = pytest.mark.needs(Feature.ENGINE_METRICS)

GAUGES = ("num_requests_running", "num_requests_waiting", "num_requests_waiting_by_reason", "kv_cache_usage_perc")
COUNTERS = (
    "prefix_cache_queries_total",
    "prefix_cache_hits_total",
    "num_preemptions_total",
    "prompt_tokens_total",
    "generation_tokens_total",
    "request_success_total",
)
HISTOGRAMS = (
    "time_to_first_token_seconds",
    "inter_token_latency_seconds",
    "e2e_request_latency_seconds",
    "request_queue_time_seconds",
    "request_prefill_time_seconds",
    "request_decode_time_seconds",
    "request_prompt_tokens",
    "request_generation_tokens",
)
NAMES = (
    *GAUGES,
    *COUNTERS,
    "cache_config_info",
    *(f"{name}_{part}" for name in HISTOGRAMS for part in ("sum", "count")),
)


def scrape(target, url):
    headers = {"authorization": f"Bearer {target.key}"} if target.key else {}
    return httpx.get(url, headers=headers, timeout=10)


def test_metrics_are_offered_for_every_replica(target):
    for url in target.metrics:
        response = scrape(target, url)
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_that_we_read_exists(wire, target, name):
    for url in target.metrics:
        assert f"vllm:{name}" in parse(scrape(target, url).text)


@pytest.mark.parametrize("name", ["generation_tokens_total", "prompt_tokens_total", "request_success_total"])
def test_a_counter_counts(wire, target, name):
    def counted():
        return sum(parse(scrape(target, url).text)[f"vllm:{name}"] for url in target.metrics)

    before = counted()
    wire.chat(max_tokens=4)
    assert counted() > before


@pytest.mark.parametrize("name", ["vllm:gpu_cache_usage_perc", "vllm:time_per_output_token_seconds_count"])
def test_a_metric_of_older_engines_is_gone(target, name):
    # Should one come back, its meaning must be read up before anything trusts it.
    for url in target.metrics:
        assert name not in parse(scrape(target, url).text)
