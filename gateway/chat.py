"""The life of one request, in order: authenticate, read, bound, plan, attempt, relay.

Settling is what closing `entry` does. Whatever is taken on the way is held by one stack and given back however the
request ends. The hand-over to the answer is `on_prem.open`: until it returns this function owns everything, after it
the relay does.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from gateway import fields
from gateway.attempts import Attempts
from gateway.auth import Keyring
from gateway.budget import RetryBudget, clocks_for, parse_deadline_ms, parse_priority
from gateway.ending import Ending
from gateway.errors import ModelNotFound
from gateway.ledger import OK, Ledger
from gateway.pool import Pool
from gateway.ports import Clock
from gateway.relay import Relay
from gateway.settings import Route, Settings
from gateway.tiers.on_prem import ENGINE_PRIORITY, OnPrem

SERVED_BY_ON_PREM = "on-prem"


@dataclass(frozen=True, slots=True)
class Question:
    """What goes to the model: a chat completion's body, and how the client wants the answer."""

    body: Mapping[str, Any]
    model: str
    stream: bool


@dataclass(frozen=True, slots=True)
class Call:
    """One request at a front door, with the headers that say how it is to be treated.

    `read` reads and checks the body; it is called once the caller is known.
    """

    endpoint: str
    route: Route
    request_id: str
    authorization: str | None
    deadline_ms: str | None
    priority: str | None
    read: Callable[[], Awaitable[Question]]


@dataclass(frozen=True, slots=True)
class Whole:
    """An answer in one piece, the bytes of its JSON."""

    raw: bytes
    replica: str
    served_by: str = SERVED_BY_ON_PREM


@dataclass(frozen=True, slots=True)
class Streamed:
    """An answer as it comes. Whoever sends the relay closes it."""

    relay: Relay
    replica: str
    served_by: str = SERVED_BY_ON_PREM


@dataclass(frozen=True, slots=True)
class Gateway:
    """What a request needs on its way, built once in `app`."""

    settings: Settings
    keys: Keyring
    admins: Keyring
    ledger: Ledger
    pool: Pool
    attempts: Attempts
    on_prem: OnPrem
    retries: RetryBudget
    ending: Ending
    paths: Callable[[], dict[str, str]]
    clock: Clock


async def complete(gateway: Gateway, call: Call) -> Whole | Streamed:
    """Answers one call. Raises GatewayError; safe to cancel."""
    with ExitStack() as held:
        entry = held.enter_context(gateway.ledger.open(call.endpoint, call.request_id))
        arrived_at = gateway.clock()
        tenant = entry.key_id = gateway.keys.authenticate(call.authorization).key_id
        deadline_s = parse_deadline_ms(call.deadline_ms)
        priority = parse_priority(call.priority, call.route)
        question = await call.read()
        entry.stream = question.stream
        _check_model(question.model, gateway.settings.on_prem.model)
        body = fields.admit(question.body, gateway.settings.limits, tenant=tenant, priority=ENGINE_PRIORITY[priority])
        gateway.retries.request_seen(arrived_at)
        work = gateway.on_prem.work(
            body,
            tenant,
            clocks_for(gateway.settings.on_prem, call.route),
            arrived_at=arrived_at,
            deadline_s=deadline_s,
            priority=priority,
            booking=entry,
        )
        if not question.stream:
            answer, replica = await gateway.attempts.whole_answer(work)
            entry.usage = answer.usage
            entry.finish_reason = answer.finish_reason
            entry.outcome = OK
            return Whole(answer.raw, replica.name)
        relay = await gateway.on_prem.open(work, held)
        gateway.ending.watch(relay)
        return Streamed(relay, relay.replica)


def _check_model(asked: str, served: str) -> None:
    if asked != served:
        raise ModelNotFound(
            f"There is no such model here. Use {served!r}; GET /v1/models lists what there is.", param="model"
        )
