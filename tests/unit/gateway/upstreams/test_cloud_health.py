"""The cloud's circuit: when it is asked, when it is left alone, and who tries it again."""

import pytest

from gateway.breaker import Circuit
from gateway.ports import Fault
from gateway.settings import Breaker
from gateway.upstreams.cloud_health import CloudHealth

PAUSE_S = 2.0
PROBE_S = 10.0


@pytest.fixture
def health() -> CloudHealth:
    return CloudHealth(Breaker(min_volume=2, open_s=PAUSE_S, max_open_s=8.0), probe_timeout_s=PROBE_S)


@pytest.fixture
def on_trial(health: CloudHealth) -> CloudHealth:
    """Gone at 0, and its one probe under way since 2."""
    health.failed(Fault.UNREACHABLE, 0.0)
    assert health.admits(PAUSE_S)
    return health


def test_a_cloud_that_has_not_failed_is_asked(health: CloudHealth) -> None:
    health.succeeded(0.0)
    assert health.admits(0.0)
    assert health.circuit(0.0) is Circuit.CLOSED


def test_a_cloud_that_cannot_be_reached_is_left_alone_at_once(health: CloudHealth) -> None:
    health.failed(Fault.UNREACHABLE, 0.0)
    assert not health.admits(PAUSE_S - 0.1)
    assert health.circuit(0.0) is Circuit.OPEN


def test_a_cloud_that_fails_often_is_left_alone(health: CloudHealth) -> None:
    health.failed(Fault.SUSPECT, 0.0)
    assert health.admits(0.0)
    health.failed(Fault.SUSPECT, 0.1)
    assert not health.admits(0.1)


@pytest.mark.parametrize("fault", [Fault.BUSY, Fault.NONE])
def test_neither_a_limit_nor_a_fault_of_the_request_takes_it_out(health: CloudHealth, fault: Fault) -> None:
    for _ in range(20):
        health.failed(fault, 0.0)
    assert health.admits(0.0)


def test_after_the_pause_one_request_is_let_through_and_no_other(on_trial: CloudHealth) -> None:
    assert on_trial.circuit(PAUSE_S) is Circuit.HALF_OPEN
    assert not on_trial.admits(PAUSE_S)
    assert not on_trial.admits(PAUSE_S + PROBE_S - 0.1)


def test_an_answer_to_the_probe_lets_everybody_in(on_trial: CloudHealth) -> None:
    on_trial.succeeded(3.0)
    assert on_trial.admits(3.0)
    assert on_trial.admits(3.0)


@pytest.mark.parametrize("fault", [Fault.SUSPECT, Fault.UNREACHABLE, Fault.BUSY])
def test_a_probe_without_an_answer_doubles_the_pause(on_trial: CloudHealth, fault: Fault) -> None:
    on_trial.failed(fault, 3.0)
    assert not on_trial.admits(3.0 + 2 * PAUSE_S - 0.1)
    assert on_trial.admits(3.0 + 2 * PAUSE_S)


def test_a_probe_that_told_nothing_leaves_its_place_to_the_next_request(on_trial: CloudHealth) -> None:
    on_trial.failed(Fault.NONE, 3.0)
    assert on_trial.admits(3.0)
    assert not on_trial.admits(3.0)


def test_a_probe_that_is_never_heard_of_again_loses_its_place(on_trial: CloudHealth) -> None:
    assert on_trial.admits(PAUSE_S + PROBE_S)
    assert not on_trial.admits(PAUSE_S + PROBE_S)
    on_trial.succeeded(PAUSE_S + PROBE_S + 1)
    assert on_trial.circuit(20.0) is Circuit.CLOSED


def test_what_was_asked_before_the_circuit_opened_does_not_close_it(health: CloudHealth) -> None:
    health.failed(Fault.UNREACHABLE, 0.0)
    health.succeeded(0.1)
    assert not health.admits(0.1)
