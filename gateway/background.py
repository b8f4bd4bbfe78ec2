"""Work that outlives the request it is for: what a client who has left had seen is still written down.

It runs in the lifespan's task group, which is left only when all of it is done. What fails is logged, and ends nothing
else.
"""

from asyncio import TaskGroup
from collections.abc import Coroutine
from typing import Any

from gateway.logs import Log


class Background:
    """Starts tasks."""

    def __init__(self, tasks: TaskGroup, log: Log) -> None:
        self._tasks = tasks
        self._log = log

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs `work` beside. It is never cancelled by whoever asked for it."""
        self._tasks.create_task(self._run(work))

    async def _run(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001  # nobody waits for it, and the others must go on
            # Only its type: what it says may quote a customer.
            self._log.error("background", failed=type(error).__name__)
