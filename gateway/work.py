"""One request on its way through the pool: what it asks for, what it may still spend, and where it has been.

Made once by `gateway.chat`, and passed to whoever spends of it: the queue, the attempts, the relay.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from gateway.affinity import PromptKeys
from gateway.budget import Budget, Clocks
from gateway.ledger import Booking
from gateway.line import Priority
from gateway.pool import Lease, Visit
from gateway.ports import Chunk, UpstreamStream


@dataclass(slots=True)
class Work:
    """`body` is what the replica is sent, `keys` its prompt as the affinity index knows it, `tokens` an estimate of
    what it will occupy, prompt and answer together, and `visited` the replicas that have failed it."""

    body: Mapping[str, Any]
    keys: PromptKeys
    tokens: int
    clocks: Clocks
    budget: Budget
    priority: Priority
    entry: Booking
    arrived_at: float
    visited: set[Visit] = field(default_factory=set)


@dataclass(slots=True)
class Opened:
    """A stream whose first content has come; `chunks` is all that came so far, comments left out.

    Its place and its connection are held by `held`: whoever has it closes it.
    """

    lease: Lease
    stream: UpstreamStream
    chunks: list[Chunk]
    held: ExitStack
