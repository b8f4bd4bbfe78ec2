"""The routing table: what a route may say, and which tiers it comes to for one conversation."""

from typing import Any

import pytest
from pydantic import ValidationError

from gateway.routes import DEADLINE_MARGIN_S, Route, Step, Tier, plan

ALL = frozenset(Tier)


def route(**given: Any) -> Route:
    return Route.model_validate({"chain": ["on-prem", "openai", "database", "cached"], "static": "Sorry.", **given})


def tiers(made: Any) -> list[tuple[Tier, bool]]:
    return [(step.tier, step.last_resort) for step in made.steps]


def test_a_plan_has_the_chain_s_tiers_in_their_order_and_the_static_answer_last() -> None:
    assert tiers(plan(route(), ALL, None)) == [
        (Tier.ON_PREM, False),
        (Tier.OPENAI, False),
        (Tier.DATABASE, False),
        (Tier.CACHED, False),
        (Tier.STATIC, True),
    ]


def test_tiers_that_may_not_be_used_are_left_out() -> None:
    made = plan(route(), {Tier.ON_PREM, Tier.CACHED}, None)
    assert tiers(made) == [(Tier.ON_PREM, False), (Tier.CACHED, False), (Tier.STATIC, True)]


def test_a_stale_answer_comes_before_the_static_one_where_the_route_has_it() -> None:
    made = plan(route(chain=["on-prem"], cache_s=60, stale_s=600), ALL, None)
    assert tiers(made) == [(Tier.ON_PREM, False), (Tier.CACHED, True), (Tier.STATIC, True)]
    assert tiers(plan(route(chain=["on-prem"], cache_s=60, stale_s=600), {Tier.ON_PREM}, None))[1] == (
        Tier.STATIC,
        True,
    )


def test_without_a_static_answer_there_is_no_last_resort() -> None:
    assert tiers(plan(route(chain=["on-prem"], static=""), ALL, None)) == [(Tier.ON_PREM, False)]


def test_each_tier_is_waited_for_as_long_as_the_route_says() -> None:
    made = plan(route(first_token_ms=5000, give_up_ms=12_000), ALL, None)
    assert made.steps[0] == Step(Tier.ON_PREM, 5.0)
    assert made.give_up_s == 12.0


@pytest.mark.parametrize(
    ("deadline_s", "patience_s", "give_up_s"),
    [
        pytest.param(60.0, 2.0, 15.0, id="later than ours"),
        pytest.param(3.0, 2.0, 3.0 - DEADLINE_MARGIN_S, id="before we give up"),
        pytest.param(1.0, 1.0 - DEADLINE_MARGIN_S, 1.0 - DEADLINE_MARGIN_S, id="before the next tier's turn"),
        pytest.param(0.05, 0.0, 0.0, id="no time at all"),
    ],
)
def test_the_client_s_deadline_can_only_shorten_the_waits(
    deadline_s: float, patience_s: float, give_up_s: float
) -> None:
    made = plan(route(), ALL, deadline_s)
    assert (made.steps[0].patience_s, made.give_up_s) == (pytest.approx(patience_s), pytest.approx(give_up_s))


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"chain": []}, "at least 1 item"),
        ({"chain": ["on-prem", "on-prem"]}, "names a tier twice"),
        ({"chain": ["on-prem", "static"]}, "Input should be"),
        ({"first_token_ms": 3000, "give_up_ms": 2000}, "give_up_ms is shorter"),
        ({"cache_s": 60, "stale_s": 30}, "stale_s is shorter"),
        ({"cloud": "sometimes"}, "'never', 'clear-only' or 'redacted'"),
        ({"colour": "red"}, "Extra inputs are not permitted"),
    ],
)
def test_a_row_that_makes_no_sense_is_refused(given: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValidationError, match=wrong):
        route(**given)
