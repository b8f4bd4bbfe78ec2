"""The routing table: which tiers may answer a kind of question, in what order, and how long each is waited for.

A route is data (`gateway.toml`); operators add one without touching code. `plan` cuts its chain down to what this
conversation may use and says when each tier starts. Pure.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

DEFAULT = "general.conversation"
"""The route of what is none of the others."""

DEADLINE_MARGIN_S = 0.1
"""So long before a client's own deadline the last resorts answer: an answer that comes after it is none."""


class Tier(StrEnum):
    """Where an answer comes from; the honest label on it."""

    ON_PREM = "on-prem"
    OPENAI = "openai"
    DATABASE = "database"
    CACHED = "cached"
    STATIC = "static"


class Route(BaseModel):
    """One row of the table. Times in milliseconds count from the request's arrival."""

    model_config = ConfigDict(frozen=True, extra="forbid")  # not strict: TOML has no tuples and no enumerations

    chain: tuple[Literal[Tier.ON_PREM, Tier.OPENAI, Tier.DATABASE, Tier.CACHED], ...] = Field(min_length=1)
    first_token_ms: int = Field(2000, gt=0, le=600_000)
    """Then the next tier is started beside this one."""
    give_up_ms: int = Field(15_000, gt=0, le=600_000)
    """Then the last resorts answer: a stale answer, the static one."""
    cloud: Literal["never", "clear-only", "redacted"] = "clear-only"
    cache_s: float = Field(0, ge=0)
    """How long an answer is fresh; 0: it is never kept."""
    stale_s: float = Field(0, ge=0)
    """How old an answer may be when everything else fails."""
    static: str = ""
    """The answer when nobody else has one; empty: an error says so."""

    @model_validator(mode="after")
    def _check_together(self) -> "Route":
        if len(set(self.chain)) < len(self.chain):
            raise ValueError("the chain names a tier twice")
        if self.give_up_ms < self.first_token_ms:
            raise ValueError("give_up_ms is shorter than first_token_ms")
        if 0 < self.stale_s < self.cache_s:
            raise ValueError("stale_s is shorter than cache_s")
        return self


@dataclass(frozen=True, slots=True)
class Step:
    """A tier's turn. The next step starts when this one fails, or after `patience_s` beside it.

    `last_resort` is only started when all before it have failed, or at the time to give up.
    """

    tier: Tier
    patience_s: float
    last_resort: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps in their order, and when, in seconds from the request's arrival, waiting for a model is given up."""

    steps: tuple[Step, ...]
    give_up_s: float


def plan(route: Route, usable: Collection[Tier], deadline_s: float | None) -> Plan:
    """What may answer. `usable` are the tiers that this conversation may use and that are there at all."""
    give_up_s = route.give_up_ms / 1000
    if deadline_s is not None:
        give_up_s = min(give_up_s, max(0.0, deadline_s - DEADLINE_MARGIN_S))
    patience_s = min(route.first_token_ms / 1000, give_up_s)
    steps = [Step(tier, patience_s) for tier in route.chain if tier in usable]
    if route.stale_s and Tier.CACHED in usable:
        steps.append(Step(Tier.CACHED, 0.0, last_resort=True))
    if route.static:
        steps.append(Step(Tier.STATIC, 0.0, last_resort=True))
    return Plan(tuple(steps), give_up_s)
