"""Work beside a request: it goes on when the request is gone, and its failure is nobody else's."""

import asyncio

import pytest

from gateway.background import Background
from tests.unit.gateway.accounts import Accounts

pytestmark = pytest.mark.anyio


async def test_it_is_done_before_the_group_is_left_and_a_failure_ends_nothing_else(accounts: Accounts) -> None:
    done: list[str] = []

    async def works() -> None:
        await asyncio.sleep(0)
        done.append("works")

    async def fails() -> None:
        raise KeyError("a customer's words")

    async with asyncio.TaskGroup() as tasks:
        background = Background(tasks, accounts.log)
        background.start(fails())
        background.start(works())
    assert done == ["works"]
    assert (accounts.line["event"], accounts.line["failed"]) == ("background", "KeyError")
    assert "words" not in str(accounts.line)
