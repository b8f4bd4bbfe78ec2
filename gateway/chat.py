"""The life of one request, in order: authenticate, read, bound, plan, attempt, relay.

Settling is what closing `entry` does. Whatever is taken on the way is held by one stack and given back however the
request ends. The hand-over to the answer is the line with `pop_all`: until then this function owns everything, after
it the relay does.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from gateway import fields
from gateway.affinity import estimate_tokens, keys_of
from gateway.attempts import Attempts
from gateway.auth import Keyring
from gateway.budget import Budget, RetryBudget, clocks_for, parse_deadline_ms, parse_priority
from gateway.ending import Ending
from gateway.errors import ModelNotFound
from gateway.ledger import OK, Entry, Ledger
from gateway.line import Priority
from gateway.narrator import Narrator
from gateway.pool import Pool
from gateway.ports import Clock
from gateway.relay import Relay
from gateway.settings import Route, Settings
from gateway.work import Work

SERVED_BY_ON_PREM = "on-prem"

EXPECTED_ANSWER_TOKENS = 256
"""A judgment: what an answer is taken to occupy while it is not known, unless its request allows less."""

ENGINE_PRIORITY = {Priority.INTERACTIVE: 0, Priority.BATCH: 1}
"""Lower is earlier, in the engine's own queue too."""


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
    retries: RetryBudget
    ending: Ending
    whole_tokens: set[int]
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
        work = _plan(gateway, call.route, body, tenant, arrived_at, deadline_s, priority, entry)
        if not question.stream:
            answer, replica = await gateway.attempts.whole_answer(work)
            entry.usage = answer.usage
            entry.finish_reason = answer.finish_reason
            entry.outcome = OK
            return Whole(answer.raw, replica.name)
        narrator = Narrator(body, gateway.whole_tokens)
        work.body = narrator.first_leg()
        opened = await gateway.attempts.first_content(work)
        relay = Relay(
            opened,
            work,
            narrator,
            pool=gateway.pool,
            attempts=gateway.attempts,
            held=held.pop_all(),
            clock=gateway.clock,
        )
        gateway.ending.watch(relay)
        return Streamed(relay, relay.replica)


def _check_model(asked: str, served: str) -> None:
    if asked != served:
        raise ModelNotFound(
            f"There is no such model here. Use {served!r}; GET /v1/models lists what there is.", param="model"
        )


def _plan(
    gateway: Gateway,
    route: Route,
    body: Mapping[str, Any],
    tenant: str,
    arrived_at: float,
    deadline_s: float | None,
    priority: Priority,
    entry: Entry,
) -> Work:
    clocks = clocks_for(gateway.settings.on_prem, route)
    keys = keys_of(tenant, body["messages"], body.get("tools"))
    limit = body.get("max_completion_tokens") or body.get("max_tokens") or EXPECTED_ANSWER_TOKENS
    return Work(
        body=body,
        keys=keys,
        tokens=estimate_tokens(keys.total_bytes) + min(limit, EXPECTED_ANSWER_TOKENS),
        clocks=clocks,
        budget=Budget.start(arrived_at, clocks, deadline_s, gateway.settings.attempts),
        priority=priority,
        entry=entry,
        arrived_at=arrived_at,
    )
