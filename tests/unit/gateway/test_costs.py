"""Prices and the month's budget, in whole micro-dollars."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.costs import CloudBudget, PriceTable, count, month_of

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


@pytest.mark.parametrize("value", [-1, 2.5, "7", True, None])
def test_a_count_that_cannot_be_one_is_none(value: object) -> None:
    assert count({"prompt_tokens": value}, "prompt_tokens") == 0


@pytest.mark.parametrize("wrong", [{"models": {}}, {"gpus": {"count": -1}}, {"currency": "EUR"}])
def test_a_table_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PriceTable.model_validate({**TABLE, **wrong})


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
