"""What answers cost: the price table, and the month's budget for the cloud. Pure: the time is passed in.

Money is counted in micro-dollars (1e-6 USD), whole ones, and priced in decimals, so that sums are exact.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

MICROS_PER_DOLLAR = 1_000_000

MAX_COUNT = 1_000_000_000
"""A judgment: no answer has more tokens than that. A larger count is a fault, and must not spend the month's budget."""

COUNTS = ("prompt_tokens", "completion_tokens")


class Doubt(StrEnum):
    """Why a cost may be wrong."""

    UNKNOWN_MODEL = "unknown_model"
    """It is not in the table, and was charged as the dearest one."""
    BAD_COUNT = "bad_count"
    """A count cannot be one, and was taken as 0."""


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Price(_Data):
    """Of one model, in dollars for a million tokens. `cached_input` is for prompt tokens that the cloud had cached."""

    input: Decimal = Field(ge=0)
    cached_input: Decimal | None = Field(None, ge=0)
    output: Decimal = Field(ge=0)

    def micros(self, prompt_tokens: int, cached_tokens: int, completion_tokens: int) -> int:
        """Micro-dollars; `cached_tokens` are among `prompt_tokens`. Dollars a million are micro-dollars each."""
        cached_input = self.input if self.cached_input is None else self.cached_input
        uncached = (prompt_tokens - cached_tokens) * self.input
        return round(uncached + cached_tokens * cached_input + completion_tokens * self.output)


class Gpus(_Data):
    """What the dealership's own GPUs cost, all in (purchase, power, place), in dollars for an hour of each."""

    count: int = Field(ge=0)
    dollars_per_hour: Decimal = Field(ge=0)
    assumption: str = Field(min_length=1)


class PriceTable(_Data):
    """`as_of` and `source` say where the prices are from; `counterfactual` is the model that we would have paid for."""

    as_of: str
    source: str
    counterfactual: str
    models: dict[str, Price] = Field(min_length=1)
    gpus: Gpus

    @model_validator(mode="after")
    def _check_together(self) -> "PriceTable":
        if self.counterfactual not in self.models:
            raise ValueError(f"counterfactual: there is no price for {self.counterfactual!r} under models")
        return self

    def price_of(self, model: str) -> Price:
        """A model that is not in the table costs what the dearest does: a budget must not be overrun because a name was
        misspelt."""
        return self.models.get(model) or max(self.models.values(), key=lambda price: price.input + price.output)

    def cost_of(self, model: str, usage: Mapping[str, Any]) -> int:
        """Micro-dollars for a usage as OpenAI writes it. `doubts` says whether it was guessed."""
        prompt, completion = (count(usage, name) for name in COUNTS)
        return self.price_of(model).micros(prompt, cached_count(usage), completion)

    def doubts(self, model: str, usage: Mapping[str, Any]) -> tuple[Doubt, ...]:
        """Why the cost of this usage may be wrong. A count that is absent is no doubt: the tier said nothing of it."""
        found = [Doubt.UNKNOWN_MODEL] if model not in self.models else []
        given = [(usage, name) for name in COUNTS] + [(_details(usage), "cached_tokens")]
        if any(counts.get(name) not in (None, 0, count(counts, name)) for counts, name in given):
            found.append(Doubt.BAD_COUNT)
        return tuple(found)


def count(usage: Mapping[str, Any], name: str) -> int:
    """A count of a usage; 0 for what cannot be one. It is another server's word."""
    value = usage.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MAX_COUNT else 0


def cached_count(usage: Mapping[str, Any]) -> int:
    """Of the prompt's tokens those that were cached, which are never more than all."""
    return min(count(usage, "prompt_tokens"), count(_details(usage), "cached_tokens"))


def month_of(now: float) -> str:
    """The month of a time in epoch seconds, such as 2026-11, in UTC."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m")


class CloudBudget:
    """A month's money for the cloud, with a hard stop: once it is spent, nothing is sent until the month is over.

    `limit_micros` None is no limit. What requests under way have reserved counts as spent, so a month exceeds its limit
    at most by what answers cost beyond their estimates. Who does not reserve may overrun it by the whole of them.
    The budget is one process's: each begins with `spent_micros`, the usage ledger's sum.
    """

    def __init__(self, limit_micros: int | None, month: str, spent_micros: int) -> None:
        self._limit_micros = limit_micros
        self._month = month
        self._spent_micros = spent_micros
        self._reserved_micros = 0

    def may_spend(self, now: float) -> bool:
        """Whether anything more may be asked for."""
        return self._limit_micros is None or self._committed_micros(now) < self._limit_micros

    def reserve(self, estimate_micros: int, now: float) -> "Reservation | None":
        """Sets the estimate aside for a request about to be sent; None if the month has no room for it.

        Whoever got one settles it, however the request ends: what is never settled is never free again.
        """
        room = self._limit_micros is None or self._committed_micros(now) + estimate_micros <= self._limit_micros
        if not room or not self.may_spend(now):
            return None
        self._reserved_micros += estimate_micros
        return Reservation(self, estimate_micros)

    def spend(self, micros: int, now: float) -> None:
        """Books what an answer has cost, in the month of `now`, whenever it was asked for; so does the usage ledger."""
        self._spent_micros = self.spent_micros(now) + micros
        self._month = max(self._month, month_of(now))

    def spent_micros(self, now: float) -> int:
        """Of this month. It only goes forward: a clock set back over its beginning brings no money back."""
        return self._spent_micros if month_of(now) <= self._month else 0

    def _committed_micros(self, now: float) -> int:
        return self.spent_micros(now) + self._reserved_micros

    def _release(self, micros: int) -> None:
        self._reserved_micros -= micros


class Reservation:
    """Money set aside by `CloudBudget.reserve`. Settling it again does nothing."""

    def __init__(self, budget: CloudBudget, micros: int) -> None:
        self._budget = budget
        self._micros = micros
        self._settled = False

    def settle(self, actual_micros: int, now: float) -> None:
        """Books what it did cost in place of the estimate; 0 for a request that was not sent."""
        if self._settled:
            return
        self._settled = True
        self._budget._release(self._micros)
        self._budget.spend(actual_micros, now)


def _details(usage: Mapping[str, Any]) -> Mapping[str, Any]:
    details = usage.get("prompt_tokens_details")
    return details if isinstance(details, Mapping) else {}
