"""Prices and the month's budget, in whole micro-dollars."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.costs import MAX_COUNT, CloudBudget, Doubt, PriceTable, Reservation, cached_count, count, month_of

TABLE: dict[str, Any] = {
    "as_of": "2026-11-01",
    "source": "a test",
    "counterfactual": "big",
    "models": {"small": {"input": 1.0, "cached_input": 0.25, "output": 4.0}, "big": {"input": 10.0, "output": 30.0}},
    "gpus": {"count": 3, "dollars_per_hour": 1.0, "assumption": "made up"},
}
PRICES = PriceTable.model_validate(TABLE)
NOVEMBER = datetime(2026, 11, 30, 23, 59, tzinfo=UTC).timestamp()
DECEMBER = NOVEMBER + 60


@pytest.mark.parametrize(
    ("model", "usage", "micros"),
    [
        ("small", {"prompt_tokens": 1000, "completion_tokens": 500}, 3000),
        (
            "small",
            {"prompt_tokens": 1000, "completion_tokens": 0, "prompt_tokens_details": {"cached_tokens": 800}},
            400,
        ),
        ("big", {"prompt_tokens": 100, "prompt_tokens_details": {"cached_tokens": 50}}, 1000),
        ("small", {"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 99}}, 2),
        ("small", {"prompt_tokens": 10, "prompt_tokens_details": None}, 10),
        ("small", {}, 0),
        ("misspelt", {"prompt_tokens": 100}, 1000),
    ],
)
def test_a_usage_costs_what_the_table_says_and_an_unknown_model_what_the_dearest_does(
    model: str, usage: dict[str, Any], micros: int
) -> None:
    assert PRICES.cost_of(model, usage) == micros


@pytest.mark.parametrize("value", [-1, 2.5, "7", True, None, MAX_COUNT + 1, 10**400])
def test_a_count_that_cannot_be_one_is_none(value: object) -> None:
    assert count({"prompt_tokens": value}, "prompt_tokens") == 0


def test_a_price_with_many_digits_is_exact() -> None:
    table = PriceTable.model_validate({**TABLE, "models": {"big": {"input": 0.075, "output": 0.1}}})
    assert table.cost_of("big", {"prompt_tokens": MAX_COUNT, "completion_tokens": MAX_COUNT}) == 175_000_000


def test_of_a_prompt_no_more_was_cached_than_all_of_it() -> None:
    assert cached_count({"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 4}}) == 4
    assert cached_count({"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 99}}) == 10
    assert cached_count({"prompt_tokens": 10, "prompt_tokens_details": "none"}) == 0


@pytest.mark.parametrize(
    ("model", "usage", "doubts"),
    [
        ("small", {"prompt_tokens": 10, "completion_tokens": 0, "prompt_tokens_details": {"cached_tokens": 5}}, ()),
        ("small", {"prompt_tokens": 10, "completion_tokens": None}, ()),
        ("small", {}, ()),
        ("misspelt", {"prompt_tokens": 10}, (Doubt.UNKNOWN_MODEL,)),
        ("small", {"prompt_tokens": -10}, (Doubt.BAD_COUNT,)),
        ("small", {"completion_tokens": "many"}, (Doubt.BAD_COUNT,)),
        ("small", {"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": 10**400}}, (Doubt.BAD_COUNT,)),
        ("misspelt", {"prompt_tokens": True}, (Doubt.UNKNOWN_MODEL, Doubt.BAD_COUNT)),
    ],
)
def test_a_cost_that_was_guessed_is_doubted(model: str, usage: dict[str, Any], doubts: tuple[Doubt, ...]) -> None:
    assert PRICES.doubts(model, usage) == doubts


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"models": {}}, "models"),
        ({"models": {"big": {"input": float("inf"), "output": 1}}}, "models.big.input"),
        ({"models": {"big": {"input": -0.1, "output": 1}}}, "models.big.input"),
        ({"gpus": {"count": -1, "dollars_per_hour": 1, "assumption": "x"}}, "gpus.count"),
        ({"gpus": {"count": 1, "dollars_per_hour": float("nan"), "assumption": "x"}}, "gpus.dollars_per_hour"),
        ({"currency": "EUR"}, "currency"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused_with_its_key(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError) as refused:
        PriceTable.model_validate({**TABLE, **wrong})
    assert [".".join(map(str, one["loc"])) for one in refused.value.errors()] == [named]


def test_what_is_compared_with_must_have_a_price() -> None:
    with pytest.raises(ValidationError, match="counterfactual: there is no price for 'typo'"):
        PriceTable.model_validate({**TABLE, "counterfactual": "typo"})


def test_months_are_those_of_utc() -> None:
    assert (month_of(NOVEMBER), month_of(DECEMBER)) == ("2026-11", "2026-12")


def test_a_budget_stops_hard_and_begins_anew_with_the_month() -> None:
    budget = CloudBudget(1000, "2026-11", 900)
    assert budget.may_spend(NOVEMBER)
    budget.spend(150, NOVEMBER)
    assert not budget.may_spend(NOVEMBER)
    assert budget.spent_micros(NOVEMBER) == 1050
    assert budget.may_spend(DECEMBER)
    budget.spend(10, DECEMBER)
    assert budget.spent_micros(DECEMBER) == 10


def test_without_a_limit_there_is_no_stop_and_with_nothing_there_is_no_start() -> None:
    assert CloudBudget(None, "2026-11", 10**12).may_spend(NOVEMBER)
    assert not CloudBudget(0, "2026-11", 0).may_spend(NOVEMBER)
    assert CloudBudget(None, "2026-11", 10**12).reserve(10**12, NOVEMBER) is not None
    assert CloudBudget(0, "2026-11", 0).reserve(0, NOVEMBER) is None


def test_a_clock_that_is_set_back_over_the_month_s_beginning_brings_no_money_back() -> None:
    budget = CloudBudget(1000, "2026-11", 0)
    budget.spend(1000, DECEMBER)
    assert not budget.may_spend(NOVEMBER)
    budget.spend(5, NOVEMBER)
    assert budget.spent_micros(DECEMBER) == 1005


def reserved(budget: CloudBudget, micros: int, now: float = NOVEMBER) -> Reservation:
    reservation = budget.reserve(micros, now)
    assert reservation is not None
    return reservation


def test_what_others_have_reserved_is_not_there_to_spend() -> None:
    budget = CloudBudget(1000, "2026-11", 300)
    first = reserved(budget, 400)
    assert budget.reserve(301, NOVEMBER) is None
    reserved(budget, 300)
    assert not budget.may_spend(NOVEMBER)
    first.settle(100, NOVEMBER)
    assert budget.spent_micros(NOVEMBER) == 400
    assert budget.reserve(301, NOVEMBER) is None
    reserved(budget, 300)


def test_a_reservation_is_settled_once_and_one_that_was_not_used_is_given_back() -> None:
    budget = CloudBudget(1000, "2026-11", 0)
    reservation = reserved(budget, 1000)
    reservation.settle(0, NOVEMBER)
    reservation.settle(1000, NOVEMBER)
    assert budget.spent_micros(NOVEMBER) == 0
    reserved(budget, 1000)


def test_what_was_reserved_in_one_month_and_ends_in_the_next_is_the_next_one_s() -> None:
    budget = CloudBudget(1000, "2026-11", 900)
    reservation = reserved(budget, 100)
    assert budget.reserve(901, DECEMBER) is None, "what is under way counts in the new month"
    reservation.settle(70, DECEMBER)
    assert budget.spent_micros(DECEMBER) == 70


@given(st.lists(st.tuples(st.integers(0, 400), st.booleans(), st.integers(0, 400)), max_size=40))
def test_a_month_exceeds_its_limit_by_no_more_than_answers_exceed_their_estimates(
    requests: list[tuple[int, bool, int]],
) -> None:
    budget, beyond = CloudBudget(1000, "2026-11", 0), 0
    under_way = list[tuple[Reservation, int]]()
    for estimate, ends, actual in requests:
        reservation = budget.reserve(estimate, NOVEMBER)
        if reservation is not None:
            beyond += max(0, actual - estimate)
            under_way.append((reservation, actual))
        if ends and under_way:
            done, cost = under_way.pop(0)
            done.settle(cost, NOVEMBER)
    for done, cost in under_way:
        done.settle(cost, NOVEMBER)
    assert budget.spent_micros(NOVEMBER) <= 1000 + beyond
