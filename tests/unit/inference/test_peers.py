import socket
from collections.abc import Iterator

import pytest

from inference.peers import Engine, Gateway, GatewayRefused, GatewayUnreachable, View, count
from tests.unit.inference.admin_double import ADMIN_KEY, AdminDouble, serving

RUNNING = 'vllm:num_requests_running{engine="0",model_name="a}b"} 3.0\n'
WAITING = 'vllm:num_requests_waiting{engine="0"} 2.0\n'


@pytest.fixture
def double() -> Iterator[AdminDouble]:
    with serving(AdminDouble(in_flight=[4])) as double:
        yield double


def test_marks_are_set_looked_at_and_taken_away(double: AdminDouble) -> None:
    gateway = Gateway(double.url, ADMIN_KEY)
    assert gateway.mark("replica-1") == View("replica-1", "draining", 4)
    assert {name: view.serves for name, view in gateway.replicas().items()} == {"replica-0": True, "replica-1": False}
    gateway.unmark("replica-1")
    assert double.draining == set()


@pytest.mark.parametrize(
    ("key", "replica", "said"),
    [("sk-wrong-0123456789", "replica-0", "401, Wrong admin key."), (ADMIN_KEY, "replica-9", "404, There is no rep")],
)
def test_a_no_is_told_in_the_gateways_own_words(double: AdminDouble, key: str, replica: str, said: str) -> None:
    with pytest.raises(GatewayRefused, match=said) as raised:
        Gateway(double.url, key).mark(replica)
    assert key not in str(raised.value)


def test_a_key_is_not_shown_when_a_gateway_is_printed() -> None:
    assert ADMIN_KEY not in repr(Gateway("http://x", ADMIN_KEY)) + repr(Engine("http://x", ADMIN_KEY))


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://x", "http://", "http://127.0.0.1:notaport"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(GatewayUnreachable):
        Gateway(url, ADMIN_KEY).replicas()


def test_nobody_listening_is_unreachable_and_an_unknown_count() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
        with pytest.raises(GatewayUnreachable, match="does not answer"):
            Gateway(url, ADMIN_KEY).replicas()
        assert Engine(url, "").in_flight() is None


def test_what_is_no_admin_api_is_unreachable(double: AdminDouble) -> None:
    double.speaks = False
    with pytest.raises(GatewayUnreachable, match="no gateway's admin API"):
        Gateway(double.url, ADMIN_KEY).replicas()
    assert Engine(double.url, "").in_flight() is None


def test_the_engine_counts_what_runs_and_what_waits(double: AdminDouble) -> None:
    double.running, double.waiting = [3], [2]
    assert Engine(double.url, "sk").in_flight() == 5
    double.metrics_status = 401
    assert Engine(double.url, "sk").in_flight() is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(RUNNING + WAITING, 5, id="one engine"),
        pytest.param(RUNNING + RUNNING.replace("3.0", "1e1") + WAITING, 15, id="two engines"),
        pytest.param(RUNNING, None, id="one gauge alone"),
        pytest.param("", None, id="nothing"),
        pytest.param(RUNNING + WAITING.replace("2.0", "NaN"), None, id="no number"),
        pytest.param("vllm:num_requests_running 1\nvllm:num_requests_waiting 0\n", 1, id="no labels"),
    ],
)
def test_gauges_are_added_up_and_half_a_scrape_is_none(text: str, expected: int | None) -> None:
    assert count(text) == expected
