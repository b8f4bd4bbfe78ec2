"""The figures are found on a page as engines write it, and what is wrong with a page is told."""

import re

import pytest

from gateway.engine_metrics import parse
from gateway.health import Scrape

PAGE = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="llama-70b-scout"} 3.0
# HELP vllm:num_requests_waiting Number of requests waiting to be processed.
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="llama-70b-scout"} 2.0
# HELP vllm:num_requests_waiting_by_reason Sum of all reasons equals vllm:num_requests_waiting.
# TYPE vllm:num_requests_waiting_by_reason gauge
vllm:num_requests_waiting_by_reason{engine="0",model_name="llama-70b-scout",reason="capacity"} 70.0
vllm:num_requests_waiting_by_reason{engine="0",model_name="llama-70b-scout",reason="deferred"} 71.0
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{engine="0",model_name="llama-70b-scout"} 0.125
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{engine="0",model_name="llama-70b-scout"} 1.234567e+06
# TYPE vllm:generation_tokens_created gauge
vllm:generation_tokens_created{engine="0",model_name="llama-70b-scout"} 1.795e+09
vllm:request_generation_tokens_sum{engine="0",model_name="llama-70b-scout"} 9.0
"""


def test_a_page_of_one_engine() -> None:
    assert parse(PAGE) == Scrape(running=3, waiting=2, kv_usage=0.125, generated=1234567)


def test_several_engines_add_up_and_the_fullest_cache_counts() -> None:
    second = PAGE.replace('engine="0"', 'engine="1"').replace("0.125", "0.5")
    assert parse(PAGE + second) == Scrape(running=6, waiting=4, kv_usage=0.5, generated=2469134)


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param("", id="none"),
        pytest.param("{}", id="empty"),
        pytest.param('{model_name="a}b"}', id="a brace in a value"),
        pytest.param(r'{model_name="a\"} 9 \\"}', id="escapes in a value"),
    ],
)
def test_labels_of_any_kind(labels: str) -> None:
    assert parse(re.sub(r"(?m)\{[^}\n]*\}", lambda _: labels, PAGE)).running == 3


def test_a_samples_time_is_not_its_value() -> None:
    assert parse(PAGE.replace(" 3.0\n", " 3.0 1795567090000\n")).running == 3


@pytest.mark.parametrize(
    "name", ["num_requests_running", "num_requests_waiting", "kv_cache_usage_perc", "generation_tokens_total"]
)
def test_a_missing_metric_is_named(name: str) -> None:
    page = re.sub(rf"(?m)^vllm:{name}\{{.*\n", "", PAGE)
    with pytest.raises(ValueError, match=f"^vllm:{name} is missing$"):
        parse(page)


@pytest.mark.parametrize("value", ["NaN", "+Inf", "many"])
def test_a_value_that_is_no_number_is_named(value: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"vllm:kv_cache_usage_perc is '{value}'")):
        parse(PAGE.replace("0.125", value))


def test_another_services_page_has_nothing_for_us() -> None:
    with pytest.raises(ValueError, match="is missing"):
        parse("<html>welcome</html>")
