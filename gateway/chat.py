"""The life of one request, in order: authenticate, read, plan, attempt, relay; settling is what closing `entry` does.

Whatever is taken on the way is held by one stack and given back however the request ends. The hand-over to the answer
is the line with `pop_all`: until then this function owns everything, after it the relay does.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from gateway.attempts import Attempts
from gateway.auth import Keyring
from gateway.errors import ModelNotFound
from gateway.ledger import OK, Ledger
from gateway.ports import Clock
from gateway.relay import Relay
from gateway.settings import OnPrem

SERVED_BY_ON_PREM = "on-prem"


@dataclass(frozen=True, slots=True)
class Question:
    """What goes to the model: a chat completion's body, and how the client wants the answer."""

    body: Mapping[str, Any]
    model: str
    stream: bool


@dataclass(frozen=True, slots=True)
class Call:
    """One request at a front door. `read` reads and checks the body; it is called once the caller is known."""

    endpoint: str
    request_id: str
    authorization: str | None
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

    keys: Keyring
    ledger: Ledger
    attempts: Attempts
    on_prem: OnPrem
    clock: Clock


async def complete(gateway: Gateway, call: Call) -> Whole | Streamed:
    """Answers one call. Raises GatewayError; safe to cancel."""
    with ExitStack() as held:
        entry = held.enter_context(gateway.ledger.open(call.endpoint, call.request_id))
        entry.key_id = gateway.keys.authenticate(call.authorization).key_id
        question = await call.read()
        entry.stream = question.stream
        if question.model != gateway.on_prem.model:
            raise ModelNotFound(
                f"There is no such model here. Use {gateway.on_prem.model!r}; GET /v1/models lists what there is.",
                param="model",
            )
        if not question.stream:
            answer = await gateway.attempts.whole_answer(question.body, entry, held)
            entry.usage = answer.usage
            entry.finish_reason = answer.body["choices"][0].get("finish_reason")
            entry.outcome = OK
            return Whole(answer.raw, entry.replica or "")
        opened = await gateway.attempts.first_content(question.body, entry, held)
        relay = Relay(
            opened.replica,
            opened.stream,
            opened.chunks,
            pool=gateway.attempts.pool,
            settings=gateway.on_prem,
            entry=entry,
            held=held.pop_all(),
            clock=gateway.clock,
        )
        return Streamed(relay, opened.replica.name)
