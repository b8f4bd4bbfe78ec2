"""What the business brings to the conversation door: its instructions, its tools, its answers and its facts.

The dealership in `gateway.dealership` satisfies it; nothing else in the gateway knows that it sells cars.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Customer:
    """Who asks, as far as a tool may know: what it books or shows is bound to the tenant and the conversation."""

    tenant: str
    session_id: str
    request_id: str


class ToolResult(Protocol):
    """What a tool has said. `content` is JSON for the model, `summary` one line for people, without personal data.

    `changed` says that something was changed for this customer: such an answer is for nobody else.
    """

    @property
    def ok(self) -> bool: ...
    @property
    def content(self) -> str: ...
    @property
    def summary(self) -> str: ...
    @property
    def changed(self) -> bool: ...


class Desk(Protocol):
    """One business."""

    @property
    def prompt_version(self) -> str:
        """Changes with the instructions."""

    @property
    def schemas(self) -> Sequence[dict[str, Any]]:
        """Its tools, in OpenAI's form."""

    @property
    def public(self) -> Sequence[str]:
        """Its own address, telephone number and the like, which are no customer's data."""

    def system_message(self, now: float) -> dict[str, Any]:
        """Its instructions to the model. `now` is the time of day, in epoch seconds."""

    async def call(self, name: str, arguments: str, customer: Customer) -> ToolResult:
        """Runs a tool. Whatever is wrong is said in the result; raises nothing."""

    async def facts(self, message: str, earlier: Sequence[str]) -> str | None:
        """What its database has to say to the message, in words; None if nothing. Raises StoreFailed."""

    def preloaded(self, route: str, message: str) -> str | None:
        """The answer that is kept ready for this message."""

    async def version(self) -> int:
        """Changes with its stock. Raises StoreFailed."""
