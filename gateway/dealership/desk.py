"""The dealership at the conversation door: joins its instructions, tools, kept answers and facts. Satisfies `Desk`."""

from collections.abc import Sequence
from typing import Any

from gateway.cache import normalise
from gateway.dealership import facts, wishes
from gateway.dealership.answers import Answers
from gateway.dealership.hours import Hours
from gateway.dealership.inventory import Inventory
from gateway.dealership.prompt import Prompt
from gateway.dealership.tool_replies import ToolResult
from gateway.dealership.tools import Toolbox
from gateway.desk import Customer
from gateway.ports import Clock


class DealershipDesk:
    """One dealership. `clock` is the one that the stock's version is looked at by."""

    def __init__(
        self, inventory: Inventory, toolbox: Toolbox, prompt: Prompt, answers: Answers, hours: Hours, clock: Clock
    ) -> None:
        self.prompt_version = prompt.version
        self.schemas: Sequence[dict[str, Any]] = toolbox.schemas
        self.public: Sequence[str] = (hours.name, hours.address, hours.phone)
        self._inventory = inventory
        self._toolbox = toolbox
        self._prompt = prompt
        self._answers = answers
        self._clock = clock

    def system_message(self, now: float) -> dict[str, Any]:
        """See the protocol."""
        return {"role": "system", "content": self._prompt.system_message(now)}

    async def call(self, name: str, arguments: str, customer: Customer) -> ToolResult:
        """See the protocol."""
        return await self._toolbox.call(name, arguments, customer)

    async def facts(self, message: str, earlier: Sequence[str]) -> str | None:
        """What is in stock of what the message asks for; how much there is to choose from where that is not clear."""
        query = wishes.query_from(message, earlier, await self._inventory.vocabulary())
        if query is None:
            return facts.when_unclear(await self._inventory.total())
        return facts.render(await self._inventory.search(query))

    def preloaded(self, route: str, message: str) -> str | None:
        """See the protocol."""
        return self._answers.preloaded(route, normalise(message))

    async def version(self) -> int:
        """See the protocol."""
        return await self._inventory.current_version(self._clock())
