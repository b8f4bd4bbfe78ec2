"""What answers cost: the price table, and the month's budget for the cloud. Pure: the time is passed in.

Money is counted in micro-dollars (1e-6 USD), whole ones, so that sums of many small amounts are exact.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

MICROS_PER_DOLLAR = 1_000_000
TOKENS_PER_PRICE = 1_000_000
"""Prices are for a million tokens, as the clouds publish them."""


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Price(_Data):
    """Of one model, in dollars for a million tokens. `cached_input` is for prompt tokens that the cloud had cached."""

    input: float = Field(ge=0)
    cached_input: float | None = Field(None, ge=0)
    output: float = Field(ge=0)


class Gpus(_Data):
    """What the dealership's own GPUs cost, all in (purchase, power, place), in dollars for an hour of each."""

    count: int = Field(ge=0)
    dollars_per_hour: float = Field(ge=0)
    assumption: str = Field(min_length=1)


class PriceTable(_Data):
    """`as_of` and `source` say where the prices are from; `counterfactual` is the model that we would have paid for."""

    as_of: str
    source: str
    counterfactual: str
    models: dict[str, Price] = Field(min_length=1)
    gpus: Gpus

    def cost_of(self, model: str, usage: Mapping[str, Any]) -> int:
        """Micro-dollars for a usage as OpenAI writes it. A model that is not in the table costs what the dearest does:
        a budget must not be overrun because a name was misspelt."""
        prompt, completion = count(usage, "prompt_tokens"), count(usage, "completion_tokens")
        details = usage.get("prompt_tokens_details")
        cached = min(prompt, count(details, "cached_tokens") if isinstance(details, Mapping) else 0)
        price = self.models.get(model) or self._dearest()
        cached_price = price.input if price.cached_input is None else price.cached_input
        dollars_per_million = (prompt - cached) * price.input + cached * cached_price + completion * price.output
        return round(dollars_per_million * MICROS_PER_DOLLAR / TOKENS_PER_PRICE)

    def _dearest(self) -> Price:
        return max(self.models.values(), key=lambda price: price.input + price.output)


def count(usage: Mapping[str, Any], name: str) -> int:
    """A count of a usage; 0 for what cannot be one. It is another server's word."""
    value = usage.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def month_of(now: float) -> str:
    """The month of a time in epoch seconds, such as 2026-11, in UTC."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m")


class CloudBudget:
    """A month's money for the cloud, with a hard stop: once it is spent, nothing is sent until the month is over.

    `limit_micros` None is no limit. Answers under way when it is spent are paid too, so a month may exceed it by what
    they cost.
    """

    def __init__(self, limit_micros: int | None, month: str, spent_micros: int) -> None:
        self._limit_micros = limit_micros
        self._month = month
        self._spent_micros = spent_micros

    def may_spend(self, now: float) -> bool:
        """Whether anything more may be asked for."""
        return self._limit_micros is None or self.spent_micros(now) < self._limit_micros

    def spend(self, micros: int, now: float) -> None:
        """Books what an answer has cost."""
        self._spent_micros = self.spent_micros(now) + micros
        self._month = month_of(now)

    def spent_micros(self, now: float) -> int:
        """Of this month."""
        return self._spent_micros if month_of(now) == self._month else 0
