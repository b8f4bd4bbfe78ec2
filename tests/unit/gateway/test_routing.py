"""Which replica serves a request: those that may, load, and affinity within bounds."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.health import State
from gateway.routing import MAX_CORRECTION, TOKENS_PER_REQUEST, Candidate, Choice, load, pick, usable
from gateway.settings import Affinity

UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""How fast a busy machine runs an example is no property of ours."""

SETTINGS = Affinity(min_share=0.3, max_lead=4)
PROMPT = 1000
"""Tokens of the prompt to be placed."""
OTHER_STATES = [state for state in State if state is not State.READY]
IDLE = Candidate("", State.READY, 0, 0, limit=10, waiting=0.0, kv_usage=0.0, held_tokens=0, last_leased=0)


def candidate(name: str, in_flight: int = 0, **values: Any) -> Candidate:
    return replace(IDLE, name=name, in_flight=in_flight, **values)


def chosen(candidates: Collection[Candidate], excluded: Collection[str] = (), bounds: Affinity = SETTINGS) -> str:
    """`name why`."""
    choice = pick(iter(candidates), excluded, PROMPT, bounds)
    return f"{choice.name} {choice.why}" if choice else "nobody"


@pytest.mark.parametrize(
    ("candidates", "excluded", "name"),
    [
        pytest.param([], [], None, id="nobody there"),
        pytest.param([candidate("a", state=State.FAILED)], [], None, id="nobody ready"),
        pytest.param([candidate("a")], ["a"], None, id="nobody left"),
        pytest.param([candidate("a", 3, limit=3)], [], None, id="nobody has a place"),
        pytest.param([candidate("a", limit=0)], [], None, id="nobody may take any"),
        pytest.param([candidate("a", 2), candidate("b", 1)], [], "b", id="least in flight"),
        pytest.param([candidate("a", state=State.FAILED), candidate("b", 9)], [], "b", id="ready before idle"),
        pytest.param([candidate("a"), candidate("b", 9)], ["a"], "b", id="excluded, however idle"),
        pytest.param([candidate("a", 1, limit=1), candidate("b", 9)], [], "b", id="full, however idle"),
        pytest.param([candidate("a", 2, limit=3)], [], "a", id="one place left"),
        pytest.param(
            [candidate("a", 1, last_leased=7), candidate("b", 1, last_leased=3)], [], "b", id="rested longest"
        ),
        pytest.param([candidate("a", 1, last_leased=3), candidate("b", 2)], [], "a", id="load counts before rest"),
        pytest.param([candidate("a"), candidate("b")], [], "a", id="at the start in their order"),
    ],
)
def test_the_least_busy_replica_that_may_take_it_is_picked(
    candidates: list[Candidate], excluded: Collection[str], name: str | None
) -> None:
    assert pick(iter(candidates), excluded, PROMPT, SETTINGS) == (name and Choice(name, "load"))


@pytest.mark.parametrize("state", OTHER_STATES)
def test_only_ready_replicas_are_usable(state: State) -> None:
    ready, other = candidate("a"), candidate("b", state=state)
    assert usable(iter([ready, other]), []) == [ready]
    assert chosen([replace(ready, in_flight=9), other]) == "a load"


def test_a_full_replica_is_usable_and_an_excluded_one_is_not() -> None:
    full = candidate("a", 3, limit=3)
    assert usable([full, candidate("b")], ["b"]) == [full]


def test_tokens_in_flight_weigh_beside_requests() -> None:
    few_long, many_short = candidate("a", 1, in_flight_tokens=3 * TOKENS_PER_REQUEST), candidate("b", 3)
    assert (load(few_long), load(many_short)) == (4.0, 3.0)
    assert chosen([few_long, many_short]) == "b load"


@pytest.mark.parametrize(
    ("busy", "correction"),
    [
        pytest.param(candidate("a", 2, waiting=2.0), 0.0, id="what waits there is ours"),
        pytest.param(candidate("a", 2, waiting=5.0), 3.0, id="others wait there"),
        pytest.param(candidate("a", 2, waiting=50.0), MAX_CORRECTION, id="never more than so much"),
        pytest.param(candidate("a", kv_usage=0.8), 0.0, id="cache in comfort"),
        pytest.param(candidate("a", kv_usage=0.9), MAX_CORRECTION / 2, id="cache nearly full"),
        pytest.param(candidate("a", kv_usage=1.0), MAX_CORRECTION, id="cache full"),
        pytest.param(candidate("a", kv_usage=1.0, waiting=9.0), MAX_CORRECTION, id="both, and no more"),
    ],
)
def test_what_the_engine_says_of_itself_corrects(busy: Candidate, correction: float) -> None:
    assert load(busy) - busy.in_flight == pytest.approx(correction)


def test_what_the_engine_says_cannot_outweigh_what_we_have_sent() -> None:
    crowded = candidate("a", 0, waiting=100.0, kv_usage=1.0)
    assert chosen([crowded, candidate("b", 3)]) == "b load"
    assert chosen([crowded, candidate("b", 5)]) == "a load"


@pytest.mark.parametrize(
    ("candidates", "expected"),
    [
        pytest.param([candidate("a"), candidate("b", held_tokens=900)], "b affinity", id="the holder"),
        pytest.param([candidate("a"), candidate("b", held_tokens=300)], "b affinity", id="just enough"),
        pytest.param([candidate("a"), candidate("b", held_tokens=299)], "a load", id="not enough"),
        pytest.param([candidate("a"), candidate("b", 4, held_tokens=900)], "b affinity", id="busier, in bounds"),
        pytest.param([candidate("a"), candidate("b", 5, held_tokens=900)], "a load", id="too busy"),
        pytest.param([candidate("a", 5), candidate("b", 9, held_tokens=900)], "b affinity", id="all are busy"),
        pytest.param([candidate("a"), candidate("b", 1, limit=1, held_tokens=900)], "a load", id="full"),
        pytest.param(
            [candidate("a"), candidate("b", held_tokens=900, state=State.FAILED)], "a load", id="holder not ready"
        ),
        pytest.param(
            [candidate("a"), candidate("b", 1, waiting=5.0, held_tokens=900)], "a load", id="others crowd the holder"
        ),
        pytest.param(
            [candidate("a", 1, limit=1), candidate("b", 6, held_tokens=900), candidate("c", 2)],
            "b affinity",
            id="one that has no place bounds nobody",
        ),
        pytest.param(
            [candidate("a"), candidate("b", 3, in_flight_tokens=90_000, held_tokens=900)],
            "b affinity",
            id="long prompts do not drive a conversation away",
        ),
        pytest.param(
            [candidate("a", 0, held_tokens=500), candidate("b", 2, held_tokens=900)], "b affinity", id="the longest"
        ),
        pytest.param(
            [candidate("a"), candidate("b", 1, held_tokens=500), candidate("c", 5, held_tokens=900)],
            "b affinity",
            id="the longest of those in bounds",
        ),
        pytest.param(
            [candidate("a", 1, held_tokens=810), candidate("b", 2, held_tokens=900)],
            "a affinity",
            id="nearly as long and less busy",
        ),
        pytest.param(
            [candidate("a", held_tokens=900, last_leased=2), candidate("b", held_tokens=900, last_leased=1)],
            "b affinity",
            id="rested longest among holders",
        ),
    ],
)
def test_affinity_with_bounded_load(candidates: list[Candidate], expected: str) -> None:
    assert chosen(candidates) == expected


def test_an_excluded_holder_is_passed_over() -> None:
    assert chosen([candidate("a", 9), candidate("b", held_tokens=900)], ["b"]) == "a load"


def test_holding_nothing_is_no_affinity_even_if_any_share_will_do() -> None:
    assert chosen([candidate("a"), candidate("b")], bounds=Affinity(min_share=0.0)) == "a load"


def test_a_prompt_without_tokens_goes_by_load() -> None:
    assert pick([candidate("a", 1), candidate("b")], [], 0, SETTINGS) == Choice("b", "load")


def test_without_a_lead_only_the_least_busy_holder_wins() -> None:
    bounds = Affinity(max_lead=0)
    assert chosen([candidate("a"), candidate("b", 1, held_tokens=900)], bounds=bounds) == "a load"
    assert chosen([candidate("a", 1), candidate("b", 1, held_tokens=900)], bounds=bounds) == "b affinity"


def test_concurrent_requests_spread_evenly() -> None:
    replicas = {name: candidate(name) for name in "abc"}
    names = []
    for n in range(7):
        choice = pick(replicas.values(), [], PROMPT, SETTINGS)
        assert choice is not None
        names.append(choice.name)
        taken = replicas[choice.name]
        replicas[choice.name] = replace(taken, in_flight=taken.in_flight + 1, last_leased=n + 1)
    assert names == ["a", "b", "c", "a", "b", "c", "a"]


pools = st.lists(
    st.builds(
        Candidate,
        name=st.sampled_from("abcdef"),
        state=st.sampled_from(State),
        in_flight=st.integers(0, 12),
        in_flight_tokens=st.integers(0, 100_000),
        limit=st.integers(0, 12),
        waiting=st.floats(0, 200),
        kv_usage=st.floats(0, 1),
        held_tokens=st.integers(0, 2000),
        last_leased=st.integers(0, 50),
    ),
    max_size=6,
    unique_by=lambda candidate: candidate.name,
)
affinities = st.builds(Affinity, min_share=st.floats(0, 1), max_lead=st.integers(0, 8))


@UNTIMED
@given(pools, st.sets(st.sampled_from("abcdef")), st.integers(0, 3000), affinities)
def test_whoever_is_picked_may_take_it_and_somebody_is_if_anybody_may(
    pool: list[Candidate], excluded: set[str], prompt_tokens: int, bounds: Affinity
) -> None:
    choice = pick(pool, excluded, prompt_tokens, bounds)
    may = {c.name for c in pool if c.state is State.READY and c.name not in excluded and c.in_flight < c.limit}
    assert choice.name in may if choice else not may
    assert choice == pick(pool, excluded, prompt_tokens, bounds)


@UNTIMED
@given(pools, st.integers(0, 3000), affinities)
def test_affinity_never_goes_beyond_the_lead_and_load_never_to_a_busier_one(
    pool: list[Candidate], prompt_tokens: int, bounds: Affinity
) -> None:
    choice = pick(pool, [], prompt_tokens, bounds)
    free = {c.name: c for c in usable(pool, []) if c.in_flight < c.limit}
    if choice is None:
        assert not free
    elif choice.why == "load":
        assert load(free[choice.name]) == min(map(load, free.values()))
    else:
        lead = free[choice.name].in_flight - min(c.in_flight for c in free.values())
        assert lead <= bounds.max_lead + MAX_CORRECTION
        assert free[choice.name].held_tokens >= max(1, bounds.min_share * prompt_tokens)
