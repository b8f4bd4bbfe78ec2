"""What the gateway's unit tests share: a clock that stands still until told, and asyncio as the loop of async tests."""

import pytest

from tests.unit.gateway.accounts import Accounts
from tests.unit.gateway.manual_clock import ManualClock


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def accounts(clock: ManualClock) -> Accounts:
    return Accounts(clock)
