"""What we believe of a replica: every observation in every state, on a time that is passed in."""

import pytest

from gateway.health import (
    Belief,
    State,
    after_bad_probe,
    after_good_probe,
    after_lost_connection,
    at_start,
    suspected,
)
from gateway.settings import Health

SETTINGS = Health(ready_interval_s=30, failed_interval_s=1, failures_before_failed=3)
THEN, NOW = 50.0, 100.0


def belief(state: State, misses: int = 0, next_probe_at: float = 110.0) -> Belief:
    return Belief(state, "as before", THEN, next_probe_at, misses)


def test_at_the_start_nothing_is_known_and_a_probe_is_due() -> None:
    assert at_start(NOW) == Belief(State.UNKNOWN, "not probed yet", since=NOW, next_probe_at=NOW, misses=0)


@pytest.mark.parametrize(
    ("before", "since"),
    [
        pytest.param(belief(State.UNKNOWN), NOW, id="from unknown"),
        pytest.param(belief(State.FAILED, misses=9), NOW, id="from failed"),
        pytest.param(belief(State.READY, misses=2), THEN, id="ready stays ready since then"),
    ],
)
def test_a_good_probe_makes_ready_and_forgets_the_misses(before: Belief, since: float) -> None:
    assert after_good_probe(before, NOW, SETTINGS) == Belief(State.READY, "answers probes", since, NOW + 30, misses=0)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(belief(State.READY, 0), Belief(State.READY, "slow", THEN, NOW + 1, 1), id="first miss"),
        pytest.param(belief(State.READY, 1), Belief(State.READY, "slow", THEN, NOW + 1, 2), id="second miss"),
        pytest.param(
            belief(State.READY, 2), Belief(State.FAILED, "slow", NOW, NOW + 1, 3), id="the third is one too many"
        ),
        pytest.param(
            belief(State.UNKNOWN, 0), Belief(State.FAILED, "slow", NOW, NOW + 1, 1), id="unknown gets no grace"
        ),
        pytest.param(belief(State.FAILED, 3), Belief(State.FAILED, "slow", THEN, NOW + 1, 4), id="failed stays failed"),
    ],
)
def test_a_bad_probe_fails_a_ready_replica_only_when_there_were_several(before: Belief, after: Belief) -> None:
    assert after_bad_probe(before, NOW, SETTINGS, "slow") == after


def test_with_a_single_miss_allowed_the_first_bad_probe_fails_it() -> None:
    strict = Health(failures_before_failed=1)
    assert after_bad_probe(belief(State.READY), NOW, strict, "slow").state is State.FAILED


@pytest.mark.parametrize(
    ("state", "since"), [(State.UNKNOWN, NOW), (State.READY, NOW), (State.FAILED, THEN)], ids=lambda value: str(value)
)
def test_a_lost_connection_fails_at_once_and_probes_soon(state: State, since: float) -> None:
    after = after_lost_connection(belief(state, misses=1), NOW, SETTINGS, "refused")
    assert after == Belief(State.FAILED, "refused", since, NOW + 1, misses=1)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize(("due", "becomes"), [(NOW + 10, NOW), (NOW - 10, NOW - 10)], ids=["due later", "overdue"])
def test_a_suspicion_only_makes_the_next_probe_due(state: State, due: float, becomes: float) -> None:
    before = belief(state, misses=1, next_probe_at=due)
    assert suspected(before, NOW) == Belief(state, "as before", THEN, becomes, misses=1)


def test_a_replica_that_fails_and_returns_has_its_full_grace_again() -> None:
    believed = after_good_probe(at_start(NOW), NOW, SETTINGS)
    for _ in range(3):
        believed = after_bad_probe(believed, NOW, SETTINGS, "slow")
    assert believed.state is State.FAILED
    believed = after_good_probe(believed, NOW, SETTINGS)
    believed = after_bad_probe(believed, NOW, SETTINGS, "slow")
    assert believed.state is State.READY
